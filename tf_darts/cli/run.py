"""The whole way: search, select by each method from the same supernet, train each and its rivals, compare.

bin/run --config=configs/quickstart.py --workdir=runs/mine
"""

import shlex

from absl import flags

from tf_darts.cli import shared_flags
from tf_darts.nas_bench import nas_bench_201
from tf_darts.runtime import command
from tf_darts.session import start

_TABLE = shared_flags.table_flag()
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Run all stages; print the comparison and where its picture is."""
    config, workdir = shared_flags.load_config(table=_TABLE.value), shared_flags.workdir()
    table = nas_bench_201.of_config(config)
    session, own_workdir = start(config, workdir)
    from tf_darts.whole_way import whole_run

    done = whole_run.run(session, own_workdir, table)
    print()
    print(done)
    print()
    print(f"The cells are drawn in {done.picture}; all that was found is on one page, {done.report}")
    print(f"Next: {command.of('tensorboard')} --logdir={shlex.quote(workdir)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
