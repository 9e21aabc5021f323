"""A file of reference values, and the comparisons with it."""

import collections
import dataclasses
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.spaces import Space
from tf_darts.tools import reference_checks

# What a quantity is, for its tolerance: the result of a pass, a gradient, or what steps have amplified.
OUTPUT, GRADIENT, AFTER_STEPS = range(3)
# Largest relative error, by the type that is computed in: float32 on two frameworks; float64, in which
# rounding is far from every kink.
TOLERANCES = {"float32": (1e-5, 1e-4, 1e-3), "float64": (1e-9, 1e-9, 1e-7)}
NUDGE, NUDGES = 1e-6, 6  # relative size of the changes, and how often they are tried
ALLOWED_MOVES = 2.0  # a difference may be so many times what the nudges do: both sides have rounded


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One array of the file against ours.

    Attributes:
      quantity: the group that it is reported in.
      key: its key in the file.
      error: largest difference, relative to the largest value; for gradients and weights, of arrays much
        smaller than the others of the quantity, relative to a thousandth of the largest there.
      tolerance: largest error accepted.
      moved: how far our own value moves when weights and images change by a millionth, measured as the
        error is; 0 if not tried.
      ours_from_exact: how far our value is from the one in float64, measured as the error is; None where
        that is not known.
      file_from_exact: how far the file's value is.
    """

    quantity: str
    key: str
    error: float
    tolerance: float
    moved: float = 0.0
    ours_from_exact: float | None = None
    file_from_exact: float | None = None

    @property
    def within(self) -> bool:
        """Whether the error is within the tolerance."""
        return bool(self.error <= self.tolerance)  # False for NaN

    @property
    def passed(self) -> bool:
        """Whether the values agree: within the tolerance, or as far apart as rounding may bring them."""
        return self.within or bool(self.error <= ALLOWED_MOVES * self.moved < float("inf"))


class ReferenceFile(Mapping):
    """The arrays of a reference file, and what was compared with them so far.

    Attributes:
      comparisons: in the order made.
      ours: our value for every key compared.
      scale: what its error is relative to.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = dict(arrays)
        self.comparisons: list[Comparison] = []
        self.ours: dict[str, np.ndarray] = {}
        self.scale: dict[str, float] = {}

    @classmethod
    def read(cls, path: str) -> "ReferenceFile":
        """Read a file.

        Raises:
          UserError: it cannot be read, or holds something else than numbers, finite where they are inputs.
        """
        arrays = npz.read(path)
        reference_checks.check_contents(arrays, path)
        return cls(arrays)

    def nudged(self, seed: int) -> "ReferenceFile":
        """Return a copy with weights and images changed at random by about a millionth."""
        random = np.random.default_rng(seed)
        inputs = re.compile(r"x(_train|_valid)?|state/.*\.(weight|bias)")
        return ReferenceFile(
            {
                key: value * (1 + NUDGE * random.standard_normal(value.shape))
                if inputs.fullmatch(key)
                else value
                for key, value in self._arrays.items()
            }
        )

    def exact(self, path: str) -> "ReferenceFile | None":
        """Return the file of the same inputs computed in float64, NAME_float64.npz beside NAME.npz.

        Args:
          path: of this file.

        Returns:
          None where there is none, or one of other inputs, with a warning.

        Raises:
          UserError: it is there and cannot be read.
        """
        beside = pathlib.Path(path).with_suffix("")
        beside = beside.with_name(f"{beside.name}_float64.npz")
        if not beside.exists():
            return None
        found = ReferenceFile.read(str(beside))
        given = [key for key in self if re.fullmatch(r"(state|alpha)/.+|[xy](_train|_valid)?", key)]
        other = [key for key in given if key not in found or not np.array_equal(found[key], self[key])]
        if other:
            print(f"warning: {beside} is left out: its {other[0]} is not that of {path}", file=sys.stderr)
            return None
        return found

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._arrays:
            raise UserError(f"file: the array {key!r} is missing")
        return self._arrays[key]

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose key starts with `prefix`, by the rest of the key."""
        return {k[len(prefix) :]: v for k, v in self._arrays.items() if k.startswith(prefix)}

    def batch(self, images_key: str, labels_key: str, model: Supernet | Network) -> tuple:
        """Return images NHWC of the type that is computed in, and labels int32; both must suit the model."""
        images, labels = self[images_key], self[labels_key]
        channels = model.body.stem.conv.shape[2]
        multiple = 2 ** sum(block.reduction for block in model.body.layout)
        if images.ndim != 4 or images.shape[1] != channels or any(n % multiple for n in images.shape[2:]):
            raise UserError(
                f"file: {images_key} has shape {images.shape}; allowed: [batch, {channels}, height, width]"
                f" with sides divisible by {multiple}"
            )
        classes = model.head.classifier.units
        if labels.shape != images.shape[:1] or not np.isin(labels, np.arange(classes)).all():
            raise UserError(
                f"file: {labels_key} of shape {labels.shape} has to hold {len(images)} labels,"
                f" integers from 0 to {classes - 1}"
            )
        return images.transpose(0, 2, 3, 1).astype(keras.config.floatx()), labels.astype(np.int32)

    def genotype(self, space: Space) -> Genotype:
        """Return the genotype, which is stored as text."""
        text = self["genotype"]
        if text.size != 1 or text.dtype.kind not in "US":
            raise UserError(f"file: genotype has shape {text.shape} and type {text.dtype}; allowed: one text")
        text = text.item()
        return genotype_lib.from_text(
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text, space
        )

    def compare(self, quantity: str, prefix: str, ours: Mapping[str, np.ndarray], kind: int) -> None:
        """Compare each array under `prefix` that the file has and `ours` names, of the same shape.

        Args:
          quantity: the group that it is reported in.
          prefix: what keys of the file begin with.
          ours: our values, by the rest of the key.
          kind: `OUTPUT`, `GRADIENT` or `AFTER_STEPS`.
        """
        theirs = {k: v for k, v in self.under(prefix).items() if k in ours}
        tolerance = TOLERANCES[keras.config.floatx()][kind]
        largest = max(map(_largest, theirs.values()), default=0.0)
        for name, value in theirs.items():
            scale = max(_largest(value), 1e-3 * largest, 1e-30)
            self.ours[prefix + name] = np.asarray(ours[name], np.float64)
            self.scale[prefix + name] = scale
            error = self.distance(prefix + name, value)
            self.comparisons.append(Comparison(quantity, prefix + name, error, tolerance))

    def distance(self, key: str, other: np.ndarray) -> float:
        """Return how far our value is from another one, as errors are measured."""
        return float(np.abs(self.ours[key] - other).max() / self.scale[key])

    def equal(self, quantity: str, key: str, theirs, ours) -> None:
        """Compare what has to be the same, stored under `key`."""
        error = 0.0 if theirs == ours else float("inf")
        self.comparisons.append(Comparison(quantity, key, error, 0.0))


def _largest(value: np.ndarray) -> float:
    """Return the largest absolute value that is finite: beside an infinite one every difference is small."""
    return float(np.abs(value[np.isfinite(value)].astype(np.float64)).max(initial=0.0))


def report(comparisons: list[Comparison]) -> str:
    """Return a table: for each quantity the number of arrays, the largest error, its key, and the verdict.

    Where values in float64 are known, it has the largest distance of both sides from them too.
    """
    groups = collections.defaultdict(list)
    for comparison in comparisons:
        groups[comparison.quantity].append(comparison)
    known = any(c.ours_from_exact is not None for c in comparisons)
    exact = f"{'ours-float64':>14}{'file-float64':>14}" if known else ""
    lines = [f"{'quantity':<24}{'arrays':>7}{'largest error':>15}{'tolerance':>11}{exact}  verdict  where"]
    for quantity, members in groups.items():
        worst = max(members, key=lambda c: (not c.passed, c.error))
        verdict = "BEYOND" if not worst.passed else "ok" if worst.within else "ok (*)"
        exact = "".join(f"{distance:>14}" for distance in _from_exact(members)) if known else ""
        lines.append(
            f"{quantity:<24}{len(members):>7}{worst.error:>15.2e}{worst.tolerance:>11.0e}{exact}"
            f"  {verdict:<7}  {worst.key}"
        )
    rounded = [c for c in comparisons if c.passed and not c.within]
    if rounded:
        lines.append(
            f"(*) {len(rounded)} arrays are beyond the tolerance, but no further than our own values move"
            f" when weights and images change by {NUDGE:g}:\n    a ReLU or max pooling is at its kink."
        )
        if known:
            ours, theirs = _from_exact(rounded)
            lines[-1] += f" From float64, ours are up to {ours} away and the file's {theirs}."
    return "\n".join(lines)


def _from_exact(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the largest distance of ours and of the file's values from float64, as text; "" if unknown."""
    texts = []
    for name in ("ours_from_exact", "file_from_exact"):
        distances = [d for c in comparisons if (d := getattr(c, name)) is not None]
        texts.append(f"{max(distances):.2e}" if distances else "")
    return texts
