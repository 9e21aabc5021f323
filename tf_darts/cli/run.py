"""The whole way: search, select by each method from the same supernet, train each and its rivals, compare.

bin/run --config=configs/quickstart.py --workdir=runs/mine
bin/run --config=configs/own_images.py --workdir=runs/mine --data_dir=IMAGES --budget=200k --hours=1
"""

import shlex

from absl import flags

from tf_darts.cli import shared_flags
from tf_darts.nas_bench import nas_bench_201
from tf_darts.runtime import command
from tf_darts.session import start

_TABLE = shared_flags.table_flag()
_BUDGET = flags.DEFINE_string(
    "budget",
    None,
    "With configs/own_images.py, the same as --config.own_images.budget: what the network may cost, as"
    ' "200k parameters, 300 kB, 2 ms".',
)
_HOURS = flags.DEFINE_float(
    "hours", None, "With configs/own_images.py, the same as --config.own_images.hours: a time limit."
)
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Run all stages; print the comparison and where its picture is."""
    own_images = {"budget": _BUDGET.value, "hours": _HOURS.value}
    config = shared_flags.load_config(_TABLE.value, own_images)
    workdir = shared_flags.workdir()
    table = nas_bench_201.of_config(config)
    if config.own_images.plan:
        from tf_darts.own_images import find

        find.check(config, shared_flags.given_fields())  # before the images are read
        config = find.with_side(config, shared_flags.given_fields())
    session, own_workdir = start(config, workdir, selects=True)
    from tf_darts.whole_way import whole_run

    if config.own_images.plan:
        found = find.run(session, own_workdir, shared_flags.given_fields())
        done, exported = found.outcome, found.exported
    else:
        done, exported = whole_run.run(session, own_workdir, table), None
    print()
    print(done)
    print()
    if exported is not None:
        print(f"The network's files and its model card are in {exported}")
    print(f"The cells are drawn in {done.picture}. The report has everything on one page: {done.report}")
    print(f"Next: {command.of('tensorboard')} --logdir={shlex.quote(workdir)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
