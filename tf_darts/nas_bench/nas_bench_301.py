"""NAS-Bench-301 (Zela et al., ICLR 2022): accuracies in the DARTS space, predicted by an ensemble of trees.

Its models are pickled XGBoost. `bin/convert_nas_bench_301` makes plain arrays of them where they are; this
reads such a file, and needs neither XGBoost nor a pickle. An ensemble's members each give the validation
accuracy on CIFAR-10 of the network of a genotype (32 channels, 8 cells, 100 epochs). The mean is the
prediction.
"""

import dataclasses
import itertools

import ml_collections
import numpy as np

from tf_darts.data import npz
from tf_darts.errors import UserError, show
from tf_darts.genotypes.genotype import Choice, Genotype, validate
from tf_darts.spaces.darts import DARTS, OPERATIONS

SCHEMA_VERSION = 1
CELL_TYPES = DARTS.cell_types
# Nodes that choose their inputs; node 2 has two.
NODES = DARTS.topology_nodes
PAIRS = tuple(tuple(itertools.combinations(range(node), 2)) for node in NODES)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How the ensemble's trees see a genotype: as a vector, in which most entries are fixed.

    Attributes:
      base: the vector without any choice, float32 [features].
      edge_columns: where the operation of an edge stands, int [cell types, edges].
      operation_values: what stands there, float32 [cell types, edges, operations].
      input_columns: where the inputs of a node stand, int [cell types, nodes].
      input_values: what stands there, float32 [cell types, nodes, pairs], in the order of `PAIRS`.
    """

    base: np.ndarray
    edge_columns: np.ndarray
    operation_values: np.ndarray
    input_columns: np.ndarray
    input_values: np.ndarray

    def vector(self, genotype: Genotype) -> np.ndarray:
        """Return the vector of a genotype of the DARTS space, float32 [features].

        Raises:
          UserError: it is of another space.
        """
        validate(genotype, DARTS)
        found = self.base.copy()
        index = {(edge.target, edge.source): e for e, edge in enumerate(DARTS.edges)}
        for t, cell_type in enumerate(CELL_TYPES):
            sources: dict[int, list[int]] = {}
            for choice in genotype.cells[cell_type]:
                e, o = index[choice.target, choice.source], OPERATIONS.index(choice.operation)
                found[self.edge_columns[t, e]] = self.operation_values[t, e, o]
                sources.setdefault(choice.target, []).append(choice.source)
            for n, node in enumerate(NODES):
                pair = PAIRS[n].index(tuple(sorted(sources[node])))
                found[self.input_columns[t, n]] = self.input_values[t, n, pair]
        return found


@dataclasses.dataclass(frozen=True)
class Trees:
    """The trees of all members, node by node.

    Attributes:
      roots: first node of each tree, int [trees].
      members: the member that a tree is of, int [trees].
      left: where a vector goes whose feature is below the threshold, int [nodes]; -1: it is a leaf.
      right: where others go, int [nodes].
      features: which entry of the vector is looked at, int [nodes].
      values: thresholds, and what leaves add, float32 [nodes].
      base_scores: what each member starts from, float32 [members].
    """

    roots: np.ndarray
    members: np.ndarray
    left: np.ndarray
    right: np.ndarray
    features: np.ndarray
    values: np.ndarray
    base_scores: np.ndarray

    def predict(self, vector: np.ndarray) -> np.ndarray:
        """Return what each member says of a vector, float64 [members]."""
        nodes = self.roots
        while (inner := self.left[nodes] >= 0).any():
            below = vector[self.features[nodes]] < self.values[nodes]
            nodes = np.where(inner, np.where(below, self.left[nodes], self.right[nodes]), nodes)
        sums = np.bincount(self.members, self.values[nodes], minlength=len(self.base_scores))
        return sums + self.base_scores


@dataclasses.dataclass(frozen=True)
class PredictedAccuracy:
    """What the ensemble says of a genotype.

    Attributes:
      accuracy: mean of the members, percent.
      deviation: standard deviation over the members, percentage points.
    """

    accuracy: float
    deviation: float

    def __str__(self) -> str:
        return (
            f"NAS-Bench-301 predicts a validation accuracy of {self.accuracy:.2f} % on CIFAR-10; its members"
            f" differ by {self.deviation:.2f}."
        )


class NasBench301:
    """The surrogate.

    Args:
      encoding: of genotypes.
      trees: of the ensemble.
    """

    def __init__(self, encoding: Encoding, trees: Trees):
        self.encoding, self.trees = encoding, trees

    def predict(self, genotype: Genotype) -> PredictedAccuracy:
        """Return the validation accuracy on CIFAR-10 that the ensemble predicts, without noise.

        Raises:
          UserError: the genotype is not one of the DARTS space.
        """
        found = self.trees.predict(self.encoding.vector(genotype))
        return PredictedAccuracy(float(found.mean()), float(found.std()))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a file holds."""
        parts = dataclasses.asdict(self.encoding) | dataclasses.asdict(self.trees)
        return {"schema_version": np.int64(SCHEMA_VERSION), **parts}

    @staticmethod
    def load(path: str) -> "NasBench301":
        """Read a file of `bin/convert_nas_bench_301`.

        Raises:
          UserError: it is missing, damaged, or something else.
        """
        return of_arrays(npz.read(path), path)


def of_arrays(arrays: dict[str, np.ndarray], source: str) -> NasBench301:
    """Return the surrogate that a file's arrays are.

    Args:
      arrays: by name.
      source: the file, for messages.

    Raises:
      UserError: an array is missing, or does not fit the others.
    """

    def check(good: bool, what: str) -> None:
        if not good:
            raise UserError(f"file: {show(source)} holds no surrogate of NAS-Bench-301: {what}")

    names = [f.name for kind in (Encoding, Trees) for f in dataclasses.fields(kind)]
    missing = [name for name in ("schema_version", *names) if name not in arrays]
    check(not missing, f"without {', '.join(missing)}")
    version = arrays["schema_version"]
    check(version.shape == () and version == SCHEMA_VERSION, f"schema_version is {version}")
    types, edges, pairs = len(CELL_TYPES), len(DARTS.edges), max(map(len, PAIRS))
    shapes = {
        "edge_columns": (types, edges),
        "operation_values": (types, edges, len(OPERATIONS)),
        "input_columns": (types, len(NODES)),
        "input_values": (types, len(NODES), pairs),
    }
    for name, shape in shapes.items():
        check(arrays[name].shape == shape, f"{name} has shape {arrays[name].shape}, not {shape}")
    for name in set(names) - set(shapes):
        check(arrays[name].ndim == 1 and len(arrays[name]) > 0, f"{name} is no list")
    integers = {"edge_columns", "input_columns", "roots", "members", "left", "right", "features"}
    for name in names:
        kind = "iu" if name in integers else "f"
        check(arrays[name].dtype.kind in kind, f"{name} is of {arrays[name].dtype}")
        # Thresholds may be infinite; nothing is NaN.
        check(not np.isnan(arrays[name]).any() if kind == "f" else True, f"{name} is not a number")
    nodes, features = len(arrays["left"]), len(arrays["base"])
    for name in ("right", "features", "values"):
        check(len(arrays[name]) == nodes, f"{len(arrays[name])} {name} for {nodes} nodes")
    check(len(arrays["members"]) == len(arrays["roots"]), "not every tree has a member")
    bounds = {
        "edge_columns": features,
        "input_columns": features,
        "features": features,
        "roots": nodes,
        "members": len(arrays["base_scores"]),
    }
    for name, most in bounds.items():
        check(bool(((arrays[name] >= 0) & (arrays[name] < most)).all()), f"{name} is out of range")
    # Children stand after their parents, so that a way through a tree ends.
    place, inner = np.arange(nodes), arrays["left"] >= 0
    for name in ("left", "right"):
        way = arrays[name]
        check(bool(((way > place) & (way < nodes))[inner].all()), f"{name} leads nowhere")
    check(bool((arrays["left"] >= -1).all()), "left is out of range")
    kinds = {name: np.int64 if name in integers else np.float32 for name in names}
    typed = {name: np.asarray(arrays[name], kinds[name]) for name in names}
    encoding = Encoding(*(typed[f.name] for f in dataclasses.fields(Encoding)))
    return NasBench301(encoding, Trees(*(typed[f.name] for f in dataclasses.fields(Trees))))


def of_config(config: ml_collections.ConfigDict) -> NasBench301 | None:
    """Return the surrogate that `report.surrogate` names; None: it names none.

    Raises:
      UserError: the file is missing, or is no surrogate.
    """
    if not config.report.surrogate:
        return None
    try:
        return NasBench301.load(config.report.surrogate)
    except UserError as error:
        raise UserError(f"report.surrogate: {error}") from None


def random_genotype(draw: np.random.Generator) -> Genotype:
    """Draw a genotype of the DARTS space."""
    cells = {}
    for cell_type in CELL_TYPES:
        choices = []
        for node in DARTS.targets:
            for source in sorted(draw.choice(node, 2, replace=False).tolist()):
                choices.append(Choice(node, source, OPERATIONS[draw.integers(len(OPERATIONS))]))
        cells[cell_type] = tuple(choices)
    return Genotype(DARTS.name, cells)
