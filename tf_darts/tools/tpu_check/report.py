"""The report of what was lowered and compiled, as a page with tables."""

from collections.abc import Sequence

from tf_darts.plots.table import markdown
from tf_darts.tools.tpu_check.cases import CHIPS

_HEAD = """# Do the steps run on a TPU?

`bin/tpu_check` wrote this page, without a TPU. TensorFlow's own TPU bridge lowered steps of the programs to
StableHLO, as `TPUStrategy` would. Then libtpu, the compiler of Cloud TPUs, compiled them for v4 and v5e,
except where the table says "lowered only". A TPU VM with this TensorFlow has the version of libtpu that
requirements-tpu.txt names. Lowering fails on an operation without a TPU kernel. A lowered program is searched
for calls and transfers to the host, and for shapes that are not static. Only a TPU can show that
`TPUStrategy` starts, and how long a step takes.

"""

_NOTES = """
Arguments are the variables and the images. They stay in the core's memory from step to step, and results
replace those that they change. The two least times divide what the compiler counts by what a core can do:
FLOP by the peak in bfloat16, bytes by the bandwidth of the memory. A step takes at least the longer of the
two; real steps take longer. The compiler counts the body of a loop once. A probe step has a loop over the
operations of an edge. Compile times are those of machines that did other work too. Memory for compiling
includes what was swapped to disk.
"""


def page(rows: Sequence[dict], versions: dict[str, str], machine: str) -> str:
    """Return the page.

    Args:
      rows: from `run.results` or `run.found`.
      versions: of the packages that lower and drive the compiler, by name; that of libtpu is in its rows.
      machine: what it ran on.
    """
    failed = [row for row in rows if "error" in row]
    text = _HEAD + f"Versions: {', '.join(f'{n} {v}' for n, v in versions.items())}. Machine: {machine}.\n\n"
    good = [row for row in rows if "error" not in row]
    lowered = len(good) + sum(row["chip"] is not None for row in failed)
    compiled = sum(row["chip"] is not None for row in good)
    text += f"{lowered} of {len(rows)} programs lowered, {compiled} of them compiled.\n"
    if failed:
        text += "\nWhat failed (the log lies beside the records, CASE/CHIP.log of the output folder):\n\n"
        text += "".join(f"- **{r['name']}**, {r['chip'] or 'lowering'}: {r['error']}\n" for r in failed)
    if good:
        lines = [cells(row) for row in good]
        text += f"\n{markdown(list(lines[0]), [list(line.values()) for line in lines], texts=4)}\n{_NOTES}"
    return text


def cells(row: dict) -> dict[str, str]:
    """Return a row of the table, by column."""
    depth = f"{row['cells']} cell{'s' * (row['cells'] > 1)}" if row["cells"] else "full size"
    if row["batch"]:
        depth += f", batch {row['batch']}"
    if row["replicas"] > 1:
        depth += f", {row['replicas']} cores, {row['all_reduces']} all-reduces"
    of_program = {
        "space": row["space"],
        "step": row["program"],
        "precision": row["precision"],
        "size": depth,
        "operations": f"{row['operations']:,}",
        "lowering, s": f"{row['lowering_seconds']:.0f}",
        "chip": row["chip"] or "lowered only",
    }
    if row["chip"] is None:
        return of_program | dict.fromkeys(_COMPILED, "")
    chip = CHIPS[row["chip"]]
    values = (
        row.get("libtpu", "unknown"),  # 1.0.0 did not record it
        f"{row['compile_seconds']:.0f}",
        f"{row['compile_peak_bytes'] / 1e9:.1f}",
        *(_mega(row[f"{name}_bytes"]) for name in ("code", "argument", "temporary")),
        f"{row['flops'] / 1e9:.1f}",
        f"{row['bytes_accessed'] / 1e9:.2f}",
        f"{1e3 * row['flops'] / chip.flops:.2f}",
        f"{1e3 * row['bytes_accessed'] / chip.bandwidth:.2f}",
    )
    return of_program | dict(zip(_COMPILED, values, strict=True))


_COMPILED = (
    "libtpu",
    "compiling, s",
    "memory for that, GB",
    "code, MB",
    "arguments, MB",
    "temporaries, MB",
    "GFLOP",
    "GB moved",
    "least by compute, ms",
    "least by memory, ms",
)


def _mega(count: float) -> str:
    return f"{count / 1e6:.1f}"
