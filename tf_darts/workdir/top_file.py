"""The file of a selection's best genotypes, the one that it selected first."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from tf_darts.workdir.records import read_json, write_json

NAME = "top.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankedGenotype:
    """One of a selection's best genotypes.

    Attributes:
      rank: from 1, which was selected.
      genotype: its text form.
      lost: the leads that it gives up, summed, in the criterion's unit: shares of the images, nats, or
        mixing weight.
      differs: what it has otherwise than the one selected, as texts.
      parameters: of the network that the config trains; None: not counted.
      multiply_adds: of a forward pass for one image.
      tflite_bytes: of its TFLite file, estimated.
      tflite_int8_bytes: the same in int8.
      latency_ms: of a call with one image, predicted; None: there was no table.
    """

    rank: int
    genotype: str
    lost: float
    differs: tuple[str, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    tflite_bytes: int | None = None
    tflite_int8_bytes: int | None = None
    latency_ms: float | None = None

    def costs(self) -> str:
        """Return as text what is known of its network's costs; "": nothing."""
        found = [] if self.parameters is None else [f"{self.parameters:,} parameters"]
        found += [] if self.multiply_adds is None else [f"{self.multiply_adds:,} multiply-adds"]
        if self.tflite_bytes is not None and self.tflite_int8_bytes is not None:
            float32, int8 = self.tflite_bytes / 1000, self.tflite_int8_bytes / 1000
            found.append(f"TFLite about {float32:,.0f} kB, in int8 {int8:,.0f} kB")
        found += [] if self.latency_ms is None else [f"{self.latency_ms:.3g} ms predicted"]
        return ", ".join(found)


def write(folder: pathlib.Path, criterion: str, ranked: Sequence[RankedGenotype]) -> None:
    """Write the file.

    Args:
      folder: of the selection.
      criterion: in whose unit `lost` is.
      ranked: the genotypes.
    """
    rows = [dataclasses.asdict(row) for row in ranked]
    write_json(folder / NAME, {"criterion": criterion, "genotypes": rows})


def read(folder: pathlib.Path) -> tuple[str, list[RankedGenotype]]:
    """Return the criterion and the genotypes; ("", []) where there is no such file.

    Raises:
      UserError: the file is damaged.
    """
    path = folder / NAME
    content: dict[str, Any] = read_json(path) if path.exists() else {}
    known = {field.name for field in dataclasses.fields(RankedGenotype)}
    rows = [{name: row[name] for name in row if name in known} for row in content.get("genotypes", ())]
    ranked = [RankedGenotype(**{**row, "differs": tuple(row.get("differs", ()))}) for row in rows]
    return content.get("criterion", ""), ranked
