"""Trains a genotype from scratch: bin/train --workdir=runs/mine, or with --genotype=FILE --name=NAME."""

import re
import shlex

from absl import flags

from tf_darts.cli import common, folders
from tf_darts.errors import UserError

_METHOD = common.method_flag()
_GENOTYPE = flags.DEFINE_string(
    "genotype",
    None,
    "A genotype to train instead of a selected one: a file (JSON or published text form) or the text.",
)
_NAME = flags.DEFINE_string("name", "given", "With --genotype: the folder under training/.")
flags.adopt_module_key_flags(common)  # --help lists the shared flags too


def program() -> None:
    """Trains and prints the test accuracy."""
    config = common.with_method(common.load_config(may_be_recorded=True), _METHOD.value)
    workdir = common.workdir()
    if not re.fullmatch(r"[\w.-]+", _NAME.value) or _NAME.value.startswith("."):
        raise UserError(f"--name: {_NAME.value!r}; allowed: letters, digits, _ . - (not first a dot)")
    from tf_darts import genotype as genotype_lib
    from tf_darts import spaces

    space, name = spaces.of(config), folders.selection_name(config)
    if _GENOTYPE.value is not None:
        name, genotype = _NAME.value, genotype_lib.read(_GENOTYPE.value, space)
    with common.quiet_start():
        from tf_darts.cli import stages
    if _GENOTYPE.value is None:
        genotype = stages.selected(workdir, config, space)
    run = common.Run(config, workdir)
    folder, result = stages.train(run, run.workdir, name, genotype)
    print(
        f"Test accuracy {100 * result['test_accuracy']:.2f} % after the last epoch"
        f" (best {100 * result['best_test_accuracy']:.2f} %), {result['parameters']:,} parameters."
    )
    place = shlex.quote(workdir)
    print(f"The network is in {folder} (figures in {folder / 'result.json'}).")
    following = f"bin/tensorboard --logdir={place}, bin/report --workdir={place}"
    print(f"Next: {following} or bin/export --workdir={place} --name={name}")


def main() -> None:
    """The entry point."""
    common.run(program)


if __name__ == "__main__":
    main()
