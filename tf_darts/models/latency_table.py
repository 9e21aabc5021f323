"""How long the parts of a network take with TFLite, by operation and shape: a table, and a CSV file of it."""

import csv
import dataclasses
import io
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tf_darts.errors import UserError, show
from tf_darts.runtime import command
from tf_darts.workdir import files

NAME = "latency.csv"  # in a work directory
COLUMNS = ("operation", "height", "width", "inputs", "channels", "stride", "ms")
# Parts that are no candidate operation: a call of the interpreter, a sum of two edges, a cell's output of
# several nodes, what brings a cell's inputs to its width, what lies between stages, heads; and stems.
CALL, SUM, JOIN, PREPROCESS, REDUCE, BLOCK, POOLED_BLOCK, HEAD, BARE_HEAD = (
    "call",
    "sum",
    "join",
    "preprocess",
    "preprocess_reduce",
    "residual_block",
    "pooled_block",
    "head",
    "head_without_norm",
)
STEM = "stem_"  # and the stem's name
SCALE = "scale"  # a line about a table: what whole networks take, in sums of their parts


class Part(NamedTuple):
    """What is timed: an operation on an image of so many pixels.

    Attributes:
      operation: a candidate operation, with the sum of its output and another edge's; or one of the above.
      height: of what comes in, pixels.
      width: the same.
      inputs: channels of what comes in.
      channels: of what comes out.
      stride: of the operation.
    """

    operation: str
    height: int
    width: int
    inputs: int
    channels: int
    stride: int

    def __str__(self) -> str:
        size = f"{self.height}x{self.width}x{self.inputs}"
        return f"{self.operation} on {size} to {self.channels} channels, stride {self.stride}"


NOTHING = Part(CALL, 1, 1, 1, 1, 1)


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of each part, as one call of a TFLite file takes that holds nothing else.

    Attributes:
      ms: by part. What a call takes by itself, `NOTHING`, is in each of them.
      about: what they were measured on.
      path: the file; "": none.
    """

    ms: Mapping[Part, float]
    about: Mapping[str, str] = dataclasses.field(default_factory=dict)
    path: str = ""

    @property
    def threads(self) -> int:
        """Threads of the interpreter."""
        threads = self.about.get("threads", "1")
        return int(threads) if threads.isdecimal() and int(threads) else 1

    @property
    def scale(self) -> float:
        """What whole networks take, in sums of their parts; 1 where nobody has measured it."""
        return float(self.about.get(SCALE, 1.0))

    def nanoseconds(self, part: Part) -> int:
        """Return what a part adds to a network; `NOTHING`: what a call takes by itself.

        Raises:
          UserError: the table lacks the part.
        """
        missing = [p for p in (part, NOTHING) if p not in self.ms]
        if missing:
            raise lacking(self.path, missing)
        alone = self.ms[NOTHING]
        taken = self.ms[part] if part == NOTHING else max(self.ms[part] - alone, 0.0)
        return round(1e6 * self.scale * taken)

    def with_more(self, other: "LatencyTable") -> "LatencyTable":
        """Return the table with the parts of another that it lacks."""
        more = {part: ms for part, ms in other.ms.items() if part not in self.ms}
        return LatencyTable({**self.ms, **more}, self.about) if more else self

    def to_text(self) -> str:
        """Return the table as CSV, with what it was measured on in lines that begin with #."""
        file = io.StringIO()
        for name, value in self.about.items():
            file.write(f"# {name}: {' '.join(value.split())}\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for part in sorted(self.ms):
            rows.writerow([*part, f"{self.ms[part]:.6f}"])
        return file.getvalue()

    def write(self, path: pathlib.Path) -> None:
        """Write the file; it appears whole or not at all."""
        files.write_atomically(path, self.to_text().encode())

    def keep(self, workdir: pathlib.Path) -> None:
        """Write the file of a work directory, unless it is this one."""
        path = workdir / NAME
        if str(path) != self.path:
            self.write(path)


def read(path: str | pathlib.Path) -> LatencyTable:
    """Read a table that `LatencyTable.write` wrote, or somebody filled in.

    Raises:
      UserError: it cannot be read, or a line is no row of such a table.
    """
    try:
        text = pathlib.Path(path).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, f"is no UTF-8 text (byte {error.start})") from None
    except (OSError, ValueError) as error:
        raise _bad(path, f"cannot be read: {files.reason(error)}") from None
    about: dict[str, str] = {}
    ms: dict[Part, float] = {}
    head = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            name, _, said = line.lstrip("# ").partition(":")
            about[name.strip()] = said.strip()
            if name.strip() == SCALE and not _is_positive(said):
                raise _bad(path, f"line {number} is {show(line)}", "a number above 0")
            continue
        row = [cell.strip() for cell in next(csv.reader([line]), [])]
        if not any(row):
            continue
        if not head:
            if row != list(COLUMNS):
                raise _bad(path, f"line {number} is {show(line)}, not the columns {','.join(COLUMNS)}")
            head = True
            continue
        try:
            operation, *sizes, taken = row
            part, value = Part(operation, *map(int, sizes)), float(taken)
            if len(row) != len(COLUMNS) or not math.isfinite(value) or value < 0 or min(part[1:]) < 1:
                raise ValueError
        except (ValueError, TypeError):
            raise _bad(path, f"line {number} is {show(line)}, no row of {','.join(COLUMNS)}") from None
        ms[part] = value
    if not ms:
        raise _bad(path, "holds no rows")
    return LatencyTable(ms, about, str(path))


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def lacking(path: str, missing: Iterable[Part]) -> UserError:
    """Return the error about parts that a table lacks."""
    missing = list(missing)
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    allowed = f"all rows that {command.of('latency')} measures with this config"
    return _bad(path, f"has no row for {missing[0]}{more}", allowed)


def _bad(path: str | pathlib.Path, fault: str, allowed: str = "") -> UserError:
    allowed = allowed or f"a table that {command.of('latency')} wrote"
    field = f"config: selection.latency_table is {show(str(path))}"
    return UserError(f"{field}, which {fault}; allowed: {allowed}")
