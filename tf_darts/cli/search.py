"""Searches a supernet: bin/search --config=configs/quickstart.py --workdir=runs/mine."""

from absl import flags

from tf_darts.cli import entry, shared_flags
from tf_darts.nas_bench import nas_bench_201
from tf_darts.runtime import command
from tf_darts.session import start

_TABLE = shared_flags.table_flag()
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Search; print where the supernet is."""
    config, workdir = shared_flags.load_config(table=_TABLE.value), shared_flags.workdir()
    nas_bench_201.of_config(config)  # not used here; checked now, rather than after the search
    session, own_workdir = start(config, workdir, selects=True)
    from tf_darts import stages

    folder = stages.search(session, own_workdir)
    print(f"The searched supernet is in {folder} (alpha in {folder / 'result.json'}).")
    print(f"Next: {command.of('select')} {entry.place('workdir', workdir)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
