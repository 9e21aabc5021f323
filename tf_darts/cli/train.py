"""Trains a genotype from scratch: bin/train --workdir=runs/mine, or with --genotype=FILE --name=NAME.

Where a work directory has several selections, --selection=NAME says whose genotype it is: the folder under
selection/. Otherwise it is that of the config's selection, by its name or else its method (--method).
"""

import os
import shlex

from absl import flags

from tf_darts import config as config_lib
from tf_darts.cli import entry, shared_flags
from tf_darts.errors import UserError
from tf_darts.nas_bench import nas_bench_201
from tf_darts.runtime import command
from tf_darts.runtime.quiet import quiet_start
from tf_darts.session import start
from tf_darts.workdir import genotype_file, stage_folders

_METHOD = shared_flags.method_flag()
_SELECTION = flags.DEFINE_string(
    "selection",
    None,
    "Whose genotype is trained: a folder under selection/ of --workdir. The same as --config.selection.name.",
)
_GENOTYPE = flags.DEFINE_string(
    "genotype",
    None,
    "A genotype to train instead of a selected one: a file (JSON or published text form), the text, or the"
    " name of a published one, such as darts_pt_s5_0 (tf_darts/genotypes/published.py).",
)
_NAME = flags.DEFINE_string("name", "given", "With --genotype: the folder under training/.")
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Train; print the test accuracy."""
    whose = {"--method": _METHOD, "--selection": _SELECTION, "--genotype": _GENOTYPE}
    given = [name for name, flag in whose.items() if flag.value is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)}: allowed: one of them")
    workdir = shared_flags.workdir()
    config = config_lib.with_method(shared_flags.load_config(), _METHOD.value)
    if _SELECTION.value is not None:
        config.selection.name = _SELECTION.value
        config = config_lib.validate(config)
    if _GENOTYPE.value is None and flags.FLAGS["name"].present:
        raise UserError(
            f"--name: {_NAME.value!r}; allowed: only with --genotype; the training of a selected genotype has"
            " the name of its selection (--config.selection.name)"
        )
    stage_folders.check_name("--name", _NAME.value)
    from tf_darts import spaces
    from tf_darts.genotypes.published import PUBLISHED

    space, name = spaces.of(config), stage_folders.selection_name(config)
    if _GENOTYPE.value is not None:
        published = PUBLISHED.get(_GENOTYPE.value)
        given = _GENOTYPE.value if published is None else published.to_text()
        name, genotype = _NAME.value, genotype_file.read(given, space)
    with quiet_start():
        from tf_darts import stages
        from tf_darts.own_images import plan
    config = plan.trained_as(workdir, config, shared_flags.given_fields(), name)
    if _GENOTYPE.value is None:
        genotype = stages.selected(workdir, config, space)
    # A table that is gone by now is not missed: the package's says the same here.
    there = os.path.exists(os.path.expanduser(config.report.table))
    table = nas_bench_201.of_config(config) if there else nas_bench_201.of_space(config.space)
    session, own_workdir = start(config, workdir)
    from tf_darts.nas_bench import true_accuracy

    folder, result = stages.train(session, own_workdir, name, genotype)
    print(
        f"Test accuracy {100 * result['test_accuracy']:.2f} % after the last epoch"
        f" (best {100 * result['best_test_accuracy']:.2f} %), {result['parameters']:,} parameters."
    )
    if "test_top_5_accuracy" in result:
        print(f"Top-5 test accuracy {100 * result['test_top_5_accuracy']:.2f} % after the last epoch.")
    place = shlex.quote(workdir)
    if table is not None:
        print(true_accuracy.entry_table(table.lookup(genotype), table))
    print(f"The network is in {folder} (figures in {folder / 'result.json'}).")
    following = f"{command.of('tensorboard')} --logdir={place}, {command.of('report')} --workdir={place}"
    print(f"Next: {following} or {command.of('export')} {entry.place('workdir', workdir)} --name={name}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
