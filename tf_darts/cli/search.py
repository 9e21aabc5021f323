"""Searches a supernet: bin/search --config=configs/quickstart.py --workdir=runs/mine."""

import shlex

from absl import flags

from tf_darts.cli import common

flags.adopt_module_key_flags(common)  # --help lists the shared flags too


def program() -> None:
    """Searches and says where the supernet is."""
    config, workdir = common.load_config(), common.workdir()
    run = common.Run(config)
    from tf_darts.cli import stages

    folder = stages.search(run, workdir)
    print(f"The searched supernet is in {folder} (alpha in {folder / 'result.json'}).")
    print(f"Next: bin/select --workdir={shlex.quote(workdir)}")


def main() -> None:
    """The entry point."""
    common.run(program)


if __name__ == "__main__":
    main()
