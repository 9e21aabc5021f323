"""A file of reference values, and the comparisons with it."""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping

import numpy as np

from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.spaces import Space

# Largest relative error by what a quantity is: float32 on two frameworks, and how far steps amplify it.
OUTPUT, GRADIENT, AFTER_STEPS = 1e-5, 1e-4, 1e-3
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
    """

    quantity: str
    key: str
    error: float
    tolerance: float
    moved: float = 0.0

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
          UserError: it cannot be read.
        """
        return cls(npz.read(path))

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
        """Return images as float32 NHWC and labels as int32, checked to be what the model takes."""
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
        return images.transpose(0, 2, 3, 1).astype(np.float32), labels.astype(np.int32)

    def genotype(self, space: Space) -> Genotype:
        """Return the genotype, which is stored as text."""
        text = self["genotype"]
        if text.size != 1 or text.dtype.kind not in "US":
            raise UserError(f"file: genotype has shape {text.shape} and type {text.dtype}; allowed: one text")
        text = text.item()
        return genotype_lib.from_text(
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text, space
        )

    def compare(self, quantity: str, prefix: str, ours: Mapping[str, np.ndarray], tolerance: float) -> None:
        """Compare each array under `prefix` that the file has and `ours` names.

        Raises:
          UserError: an array has another shape than ours.
        """
        theirs = {k: v for k, v in self.under(prefix).items() if k in ours}
        largest = max((np.abs(v).max() for v in theirs.values()), default=0.0)
        for name, value in theirs.items():
            if value.shape != np.shape(ours[name]):
                raise UserError(f"file: {prefix}{name} has shape {value.shape}; ours: {np.shape(ours[name])}")
            scale = max(np.abs(value).max(), 1e-3 * largest, 1e-30)
            self.ours[prefix + name] = np.asarray(ours[name], np.float64)
            self.scale[prefix + name] = scale
            difference = np.abs(self.ours[prefix + name] - value).max()
            self.comparisons.append(Comparison(quantity, prefix + name, difference / scale, tolerance))

    def equal(self, quantity: str, key: str, theirs, ours) -> None:
        """Compare what has to be the same, stored under `key`."""
        error = 0.0 if theirs == ours else float("inf")
        self.comparisons.append(Comparison(quantity, key, error, 0.0))


def report(comparisons: list[Comparison]) -> str:
    """Return a table: for each quantity the number of arrays, the largest error, its key, and the verdict."""
    groups = collections.defaultdict(list)
    for comparison in comparisons:
        groups[comparison.quantity].append(comparison)
    lines = [f"{'quantity':<24}{'arrays':>7}{'largest error':>15}{'tolerance':>11}  verdict  where"]
    for quantity, members in groups.items():
        worst = max(members, key=lambda c: (not c.passed, c.error))
        verdict = "BEYOND" if not worst.passed else "ok" if worst.within else "ok (*)"
        lines.append(
            f"{quantity:<24}{len(members):>7}{worst.error:>15.2e}{worst.tolerance:>11.0e}  {verdict:<7}"
            f"  {worst.key}"
        )
    rounded = sum(c.passed and not c.within for c in comparisons)
    if rounded:
        lines.append(
            f"(*) {rounded} arrays are beyond the tolerance, but no further than our own values move when"
            f" weights and images change by {NUDGE:g}:\n    a ReLU or max pooling is at its kink."
        )
    return "\n".join(lines)
