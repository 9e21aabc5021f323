"""Makes the NAS-Bench-201 table from NATS-Bench's own file: bin/convert_nats_bench --source=... --output=....

The benchmark's files are pickles: its package, which reads them, runs what is in them.
"""

import importlib.util
import os
import shlex

from absl import flags

from tf_darts import trust
from tf_darts.cli import shared_flags
from tf_darts.errors import UserError
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import NasBench201, accuracy_column
from tf_darts.runtime import command

_SOURCE = flags.DEFINE_string(
    "source",
    None,
    "NATS-Bench's topology search space: the unpacked folder NATS-tss-v1_0-3ffb9-simple, or the file"
    " NATS-tss-v1_0-3ffb9.pickle.pbz2, which is held in memory whole. The package"
    " nats_bench (the extra `nats-bench`) unpickles it, which runs what is in it: name it by --trust too.",
)
_OUTPUT = flags.DEFINE_string("output", None, "A new file for the table, such as nb201.csv.gz.")


def program() -> None:
    """Convert; print what is there now and how it is used."""
    source, output = (os.path.expanduser(flag.value or "") for flag in (_SOURCE, _OUTPUT))
    if not source:
        raise UserError("--source: missing; give a folder or file of NATS-Bench's topology search space")
    if not os.path.exists(source):
        raise UserError(f"--source: {source!r}: no such folder or file")
    if not output:
        raise UserError("--output: missing; give the file for the table, for example --output=nb201.csv.gz")
    shared_flags.check_new_file("--output", output)
    if not trust.allows_path(source):
        raise UserError(
            f"--source: {source!r} is a pickle: reading it runs what is in it; allowed: one that you trust,"
            f" with {trust.flag([source])}"
        )
    if importlib.util.find_spec("nats_bench") is None:
        raise UserError("--source: nats_bench is missing; run: pip install -e '.[nats-bench]'")
    import nats_bench

    from tf_darts.nas_bench.convert_nats_bench import convert

    table_file.write(output, convert(source, nats_bench.create))
    table = NasBench201.load(output)
    column = accuracy_column("CIFAR-10", "test")
    best = int(table.column(column).argmax())
    print(f"{len(table):,} architectures are in {output}.")
    print(f"The best on CIFAR-10: {table.texts[best]}, {table.column(column)[best]:.2f} % test accuracy.")
    print(f"Next: {command.of('select')} --workdir=WORKDIR --table={shlex.quote(output)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
