"""The rows of decisions.jsonl: what a selection, or a search that decides, has decided and measured.

A row is one of the dataclasses below. `DecisionsFile.append` writes it and `read` reads it; a field that has
its default is left out of the file. A selection of the user's own may leave rows of other kinds, which are
read as `OtherDecision`.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tf_darts.workdir.records import JsonLines, read_lines, write_lines

NAME = "decisions.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """What the supernet scored without one operation or edge, or whole.

    Attributes:
      operation: the operation that was left out.
      edge: the edge that was left out.
      edge_name: the same as text.
      correct: images classified correctly.
      images: images seen.
      accuracy: share of correct images, 0 to 1.
      loss: mean cross-entropy.
      lost: images that only the whole supernet gets right; None: not measured beside it.
      gained: images that only the probe gets right.
    """

    operation: str | None = None
    edge: int | None = None
    edge_name: str | None = None
    correct: int
    images: int
    accuracy: float
    loss: float
    lost: int | None = None
    gained: int | None = None

    @property
    def name(self) -> str:
        """What was left out, as text."""
        return self.operation or self.edge_name or ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a criterion that looks at more than the score of a probe said of the choices.

    Attributes:
      importance: by operation, or by name of the edge.
      images: that it looked at.
      passes: images that were passed forward for it; a backward pass counts as two forward ones.
    """

    importance: dict[str, float]
    images: int
    passes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lead:
    """By how much the operation that is kept is ahead of the next, image by image.

    Attributes:
      over: the next operation.
      value: the lead, in the criterion's unit.
      error: its standard error; None: of one image.
    """

    over: str
    value: float
    error: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a decision on a node's input edges.

    Attributes:
      probes: of the edges that were left.
      removed: the edges that were dropped.
      refused: edges that the budget did not let drop.
    """

    probes: tuple[Probe, ...]
    removed: tuple[int, ...]
    refused: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationDecision:
    """An edge was decided for an operation.

    Attributes:
      number: from 0; None: made during a search.
      event: number of the event that it belongs to; None: of none.
      epoch: before which it was made, of fine-tuning; of a search: after which.
      cell_type: the cell type.
      criterion: what the operations were judged by.
      racing_confidence: of the race; None: there was none.
      edge: the edge.
      edge_name: the same as text.
      operation: index of the operation that is kept.
      chosen: its name.
      refused: operations that the budget did not allow.
      probes: of all operations, in their order; none where nothing was probed.
      whole: the supernet as it was, on the same images; None: not measured.
      lead: of the chosen operation; None: not measured.
      mixing_weights: by operation, before the decision.
      measured: by a criterion that looks at more than scores; None: by another.
      score: of the edge (SGAS); None: none.
      removed: edges that were removed with it (SGAS); None: of a selection.
      undone: whether the search went back to an epoch before it.
    """

    kind: ClassVar[str] = "operation"

    number: int | None = None
    event: int | None = None
    epoch: int
    cell_type: str
    criterion: str = ""
    racing_confidence: float | None = None
    edge: int
    edge_name: str = ""
    operation: int
    chosen: str = ""
    refused: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    whole: Probe | None = None
    lead: Lead | None = None
    mixing_weights: dict[str, float] = dataclasses.field(default_factory=dict)
    measured: Measured | None = None
    score: float | None = None
    removed: tuple[int, ...] | None = None
    undone: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopologyDecision:
    """A node chose its input edges.

    Attributes:
      number: from 0; None: made during a search.
      event: number of the event that it belongs to; None: of none.
      epoch: of fine-tuning before which it was made.
      cell_type: the cell type.
      criterion: what the edges were judged by.
      racing_confidence: of the race; None: there was none.
      rounds: in each of which edges were dropped; none where nothing was probed.
      mixing_weights: by name of the edge, where these decided; None: they did not.
      measured: by a criterion that looks at more than scores; None: by another.
      refused: edges that the budget did not let drop, where there were no rounds.
      node: the node.
      removed: the edges that were dropped, in order.
      kept: the edges that are left.
      kept_names: the same as texts.
    """

    kind: ClassVar[str] = "topology"

    number: int | None = None
    event: int | None = None
    epoch: int
    cell_type: str
    criterion: str = ""
    racing_confidence: float | None = None
    rounds: tuple[Round, ...] = ()
    mixing_weights: dict[str, float] | None = None
    measured: Measured | None = None
    refused: tuple[int, ...] = ()
    node: int
    removed: tuple[int, ...]
    kept: tuple[int, ...] = ()
    kept_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class MagnitudeDecision:
    """An edge as magnitude-based selection found it.

    Attributes:
      cell_type: the cell type.
      edge: the edge.
      edge_name: the same as text.
      mixing_weights: by operation.
      chosen: the operation that the genotype keeps on it; None: the genotype drops the edge.
    """

    kind: ClassVar[str] = "magnitude"

    cell_type: str
    edge: int
    edge_name: str
    mixing_weights: dict[str, float]
    chosen: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermutationRow:
    """All operations were removed in a random order, one after the other (Shapley values).

    Attributes:
      number: of the order, from 0.
      images: that each supernet was scored on.
      scored: supernets that were scored.
      correct: images that the whole supernet gets right.
      correct_left: images that it gets right without what was removed.
      removed: operations that were removed before the order was cut off.
      lost: correct images that each removal cost, by cell type, edge and operation; 0 after the cut.
      epoch: of a search, after which they were; None: of a selection.
      undone: whether the search went back to an epoch before it.
    """

    kind: ClassVar[str] = "permutation"

    number: int
    images: int
    scored: int
    correct: int
    correct_left: int
    removed: int
    lost: dict[str, tuple[tuple[int, ...], ...]]
    epoch: int | None = None
    undone: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapleyDecision:
    """An edge as selection by Shapley values found it.

    Attributes:
      cell_type: the cell type.
      edge: the edge.
      edge_name: the same as text.
      importance: by operation, the mean over the orders of removal less the standard deviation.
      values: by operation, the mean: the Shapley value, accuracy from 0 to 1.
      mixing_weights: by operation.
      chosen: the operation that the genotype keeps on it; None: the genotype drops the edge.
    """

    kind: ClassVar[str] = "shapley"
    criterion: ClassVar[str] = "shapley"

    cell_type: str
    edge: int
    edge_name: str
    importance: dict[str, float]
    values: dict[str, float]
    mixing_weights: dict[str, float]
    chosen: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomDecision:
    """A genotype was drawn.

    Attributes:
      genotype: its text form.
    """

    kind: ClassVar[str] = "random"

    genotype: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleDecision:
    """A genotype was drawn, and scored by the supernet that was cut down to it.

    Attributes:
      genotype: its text form.
      correct: images classified correctly.
      images: images seen.
      accuracy: share of correct images, 0 to 1.
      loss: mean cross-entropy.
    """

    kind: ClassVar[str] = "sample"

    genotype: str
    correct: int
    images: int
    accuracy: float
    loss: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProposalRow:
    """A genotype that was proposed by decisions on a supernet, and scored (Zero-Cost-PT).

    Attributes:
      number: of the proposal, from 0.
      genotype: its text form.
      criterion: the proxy.
      score: of the discrete network, the mean over batches; larger is better.
      images: that it was scored on.
      passes: images that were passed forward for it, a backward pass counted as two forward ones; without
        those of decisions that stand in the file themselves.
      selected: whether it is the one whose decisions stand in the file.
    """

    kind: ClassVar[str] = "proposal"

    number: int
    genotype: str
    criterion: str
    score: float
    images: int
    passes: int
    selected: bool


@dataclasses.dataclass(frozen=True)
class OtherDecision:
    """A row that a selection or a method of the user's own has left.

    Attributes:
      content: the row.
    """

    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What the row says that it is."""
        return str(self.content.get("kind", ""))

    @property
    def epoch(self) -> int:
        """The epoch that the row says; -1: it says none."""
        return int(self.content.get("epoch", -1))


Decision = (
    OperationDecision
    | TopologyDecision
    | MagnitudeDecision
    | PermutationRow
    | ShapleyDecision
    | RandomDecision
    | SampleDecision
    | ProposalRow
    | OtherDecision
)

_KINDS: dict[str, type] = {
    kind.kind: kind
    for kind in (
        OperationDecision,
        TopologyDecision,
        MagnitudeDecision,
        PermutationRow,
        ShapleyDecision,
        RandomDecision,
        SampleDecision,
        ProposalRow,
    )
}
# Fields that hold dataclasses, one (False) or several (True).
_NESTED: dict[str, tuple[type, bool]] = {
    "probes": (Probe, True),
    "rounds": (Round, True),
    "whole": (Probe, False),
    "lead": (Lead, False),
    "measured": (Measured, False),
}


def as_row(decision: Decision | Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision as JSON has it.

    Args:
      decision: a decision; a row of the user's own is returned as it is.
    """
    if isinstance(decision, Mapping):
        return dict(decision)
    if isinstance(decision, OtherDecision):
        return dict(decision.content)
    fields = _plain(decision)
    number = {"number": fields.pop("number")} if "number" in fields else {}
    return {**number, "kind": decision.kind, **fields}


def _plain(value: Any) -> Any:
    """Return a dataclass as a dictionary without the fields that have their defaults."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.default is dataclasses.MISSING or getattr(value, field.name) != field.default
    }


def of_row(row: Mapping[str, Any]) -> Decision:
    """Return the decision that a row holds.

    Fields that this version does not know are left out. A row that lacks a field is an `OtherDecision`.
    """
    kind = _KINDS.get(str(row.get("kind")))
    try:
        return OtherDecision(row) if kind is None else _made(kind, row)
    except (TypeError, AttributeError):
        return OtherDecision(row)


def _made(kind: type, row: Mapping[str, Any]) -> Any:
    """Return a dataclass with the fields of a row; raise TypeError where one is missing."""
    values = {}
    for field in dataclasses.fields(kind):
        if field.name not in row:
            continue
        value = row[field.name]
        nested, several = _NESTED.get(field.name, (None, False))
        if nested is not None and several:
            value = tuple(_made(nested, item) for item in value)
        elif nested is not None and value is not None:
            value = _made(nested, value)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def read(folder: pathlib.Path) -> list[Decision]:
    """Read the decisions of a stage; none where it has left none.

    Args:
      folder: the stage's folder.

    Raises:
      UserError: the file is damaged.
    """
    return [of_row(row) for row in read_lines(folder / NAME)]


def undo_after(folder: pathlib.Path, epoch: int) -> None:
    """Mark the decisions that a search made after an epoch as undone: it went back to that epoch.

    Args:
      folder: the search's folder.
      epoch: the epoch, from 0.
    """
    rows = read_lines(folder / NAME)
    if rows:
        write_lines(folder / NAME, [{**row, "undone": True} if row["epoch"] > epoch else row for row in rows])


class DecisionsFile:
    """The decisions of a stage that is at work, continued where a checkpoint left it.

    Args:
      folder: the stage's folder.
      keep: called with each decision that is there; those from the first for which it returns False are
        dropped: they belong to work that is done again. None: none is kept.

    Attributes:
      path: the file.
      decisions: what it holds.
    """

    def __init__(self, folder: pathlib.Path, keep: Callable[[Decision], bool] | None = None):
        self.path = folder / NAME
        self._lines = JsonLines(self.path, lambda row: keep is not None and keep(of_row(row)))
        self.decisions: list[Decision] = [of_row(row) for row in self._lines.rows]

    def append(self, *decisions: Decision | Mapping[str, Any]) -> None:
        """Add decisions; they are on disk when this returns.

        Args:
          decisions: a method of the user's own may give rows instead.

        Raises:
          UserError: they cannot be written.
        """
        rows = [as_row(decision) for decision in decisions]
        self._lines.append(*rows)
        self.decisions += [of_row(row) for row in rows]
