"""Selects an architecture from a searched supernet: bin/select --workdir=runs/mine."""

import shlex

from absl import flags

from tf_darts.cli import common

_METHOD = common.method_flag()
flags.adopt_module_key_flags(common)  # --help lists the shared flags too


def program() -> None:
    """Selects and prints the genotype."""
    config = common.with_method(common.load_config(may_be_recorded=True), _METHOD.value)
    workdir, method = common.workdir(), config.selection.method
    run = common.Run(config)
    from tf_darts.cli import stages

    folder, genotype = stages.select(run, workdir)
    print(f"{method} selects {genotype.to_text(run.space)}")
    print(f"It is in {folder / 'genotype.json'}; every decision is in {folder / 'decisions.jsonl'}.")
    print(f"Next: bin/train --workdir={shlex.quote(workdir)} --method={method}")


def main() -> None:
    """The entry point."""
    common.run(program)


if __name__ == "__main__":
    main()
