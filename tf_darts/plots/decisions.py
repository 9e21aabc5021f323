"""What a selection's decisions say: what each choice was worth, how close it was, and pictures of it.

The decisions are those of decisions.jsonl (`workdir.decisions`). The drop of an operation is the accuracy of
the supernet less its accuracy without the operation. Where both were measured on the same images its interval
is that of a paired difference; where the whole supernet was not measured, the drop is taken from the probe
that lost least, and the interval is Wilson's of the probe's own accuracy.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from tf_darts.plots.colours import FAINT, INK, SOFT, shades
from tf_darts.plots.heat_map import PANEL, TEXT, new
from tf_darts.plots.plain_figure import PlainFigure
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import (
    Decision,
    MagnitudeDecision,
    OperationDecision,
    Probe,
    ShapleyDecision,
    TopologyDecision,
)

CONFIDENCE = 0.95

EdgeDecision = OperationDecision | TopologyDecision | MagnitudeDecision | ShapleyDecision
WORTH = {
    False: "accuracy lost without it, %",
    True: "loss gained without it, nats",
}  # by whether the loss decided
_Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@dataclasses.dataclass(frozen=True)
class Effect:
    """What one operation or edge of a decision was worth.

    Attributes:
      name: the operation, or the edge.
      drop: accuracy lost without it, 0 to 1; None: it was not probed.
      low: where the interval of the drop begins.
      high: where it ends.
      weight: its mixing weight before the decision; None: of an edge.
      chosen: whether it was kept.
      images: that its probe saw.
      loss: that the supernet gained without it, nats; None: it was not probed.
      importance: what a criterion that looks at more than scores says of it; None: it was not asked.
    """

    name: str
    drop: float | None
    low: float | None
    high: float | None
    weight: float | None
    chosen: bool
    images: int
    loss: float | None
    importance: float | None = None


@dataclasses.dataclass(frozen=True)
class ShownDecision:
    """A decision, to be shown.

    Attributes:
      number: from 1.
      kind: operation, topology, magnitude or shapley.
      cell_type: the cell type.
      place: the edge or the node, as text.
      chosen: what was kept, as text.
      effects: of all candidates, in the space's order.
      supernet: accuracy of the supernet before it, 0 to 1; None: not measured.
      epoch: of fine-tuning before which it was made; None: there is no fine-tuning.
      lead: by how much the choice is ahead of the next candidate, in accuracy (0 to 1), or in the
        criterion's own unit where the candidates were compared image by image; None: nothing was probed.
      lead_error: standard error of the lead.
      over: the next candidate.
      criterion: what they were judged by.
      refused: candidates that the budget refused.
    """

    number: int
    kind: str
    cell_type: str
    place: str
    chosen: str
    effects: tuple[Effect, ...]
    supernet: float | None
    epoch: int | None
    lead: float | None
    lead_error: float | None
    over: str | None
    criterion: str
    refused: tuple[str, ...]

    @property
    def narrow(self) -> bool:
        """Whether chance may have decided: the lead's interval reaches zero."""
        return self.by_images and self.lead is not None and self.lead <= _Z * (self.lead_error or 0.0)

    @property
    def lead_in_nats(self) -> bool:
        """Whether the lead is in nats, image by image; else it is in accuracy."""
        return self.by_loss and self.lead_error is not None

    @property
    def by_loss(self) -> bool:
        """Whether the loss, and not the accuracy, decided."""
        return self.criterion == "loss"

    @property
    def by_images(self) -> bool:
        """Whether scores of probes decided, of which it is known how much chance there is in the images."""
        return self.lead is not None and not self.measured

    @property
    def measured(self) -> bool:
        """Whether a criterion decided that looks at more than scores."""
        return any(effect.importance is not None for effect in self.effects)

    @property
    def about(self) -> str:
        """What `worth` is, for an axis."""
        return f"importance by {self.criterion}" if self.measured else WORTH[self.by_loss]

    def worth(self, effect: Effect) -> float | None:
        """Return by what a candidate was judged: importance, loss (nats) or accuracy (0 to 1)."""
        if self.measured:
            return effect.importance
        return effect.loss if self.by_loss else effect.drop

    def lead_text(self, digits: int = 2) -> str:
        """Format the lead with its unit; of nats with so many digits."""
        if self.lead is None:
            return ""
        if self.measured:
            return f"{self.lead:+.3g}"
        return f"{self.lead:+.{digits}f} nats" if self.lead_in_nats else f"{100 * self.lead:+.2f} points"


def shown_all(space: Space, decisions: Iterable[Decision]) -> list[ShownDecision]:
    """Return the decisions on edges and nodes as they are shown, numbered from 1 in their order."""
    about_cells = (d for d in decisions if isinstance(d, EdgeDecision))
    return [shown(space, number, decision) for number, decision in enumerate(about_cells, 1)]


def shown(space: Space, number: int, decision: EdgeDecision) -> ShownDecision:
    """Return a decision as it is shown.

    Args:
      space: the search space.
      number: of the decision, from 1.
      decision: on an operation, on topology, by magnitude or by Shapley values.
    """
    if isinstance(decision, TopologyDecision):
        probes = decision.rounds[-1].probes if decision.rounds else ()
        kept, weights = set(decision.kept_names), decision.mixing_weights or {}
        place, chosen = f"node {decision.node}", ", ".join(decision.kept_names)
        refused = tuple(str(space.edges[e]) for e in decision.refused)
    else:
        probes = decision.probes if isinstance(decision, OperationDecision) else ()
        kept, weights = {decision.chosen}, decision.mixing_weights
        place, chosen = f"edge {decision.edge_name}", decision.chosen or "not kept"
        refused = decision.refused if isinstance(decision, OperationDecision) else ()
    measured = decision.measured if isinstance(decision, OperationDecision | TopologyDecision) else None
    importance = {} if measured is None else measured.importance
    if isinstance(decision, ShapleyDecision):
        importance = decision.importance
    names = [probe.name for probe in probes] or list(importance) or list(weights)
    whole = decision.whole if isinstance(decision, OperationDecision) else None
    base = whole.accuracy if whole else max((probe.accuracy for probe in probes), default=0.0)
    base_loss = whole.loss if whole else min((probe.loss for probe in probes), default=0.0)
    effects = []
    for i, name in enumerate(names):
        drop = low = high = loss = None
        if probes:
            drop, low, high = _drop(probes[i], base)
            loss = probes[i].loss - base_loss
        images = probes[i].images if probes else 0 if measured is None else measured.images
        about = (weights.get(name), name in kept, images, loss, importance.get(name))
        effects.append(Effect(name, drop, low, high, *about))
    if isinstance(decision, OperationDecision) and decision.lead is not None:
        lead, error, over = decision.lead.value, decision.lead.error, decision.lead.over
    elif importance:
        (lead, over), error = _lead_by(importance, kept), None
    else:
        lead, error, over = _lead(probes, [e.chosen for e in effects])
    by_magnitude = isinstance(decision, MagnitudeDecision)
    at_once = by_magnitude or isinstance(decision, ShapleyDecision)
    return ShownDecision(
        number=number,
        kind=decision.kind,
        cell_type=decision.cell_type,
        place=place,
        chosen=chosen,
        effects=tuple(effects),
        supernet=whole.accuracy if whole else None,
        epoch=None if at_once else decision.epoch,
        lead=lead,
        lead_error=error,
        over=over,
        criterion=decision.kind if by_magnitude else decision.criterion,
        refused=refused,
    )


def _drop(probe: Probe, base: float) -> tuple[float, float, float]:
    """Return the drop of accuracy with its interval."""
    images = probe.images
    if probe.lost is not None and probe.gained is not None:  # paired: only images on which the two differ
        lost, gained = probe.lost, probe.gained
        drop = (lost - gained) / images
        half = _Z * math.sqrt(max((lost + gained) / images - drop**2, 0.0) / images)
        return drop, drop - half, drop + half
    interval = stats.binomtest(probe.correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return base - probe.accuracy, base - float(interval.high), base - float(interval.low)


def _lead(probes: Sequence[Probe], chosen: Sequence[bool]) -> tuple[float | None, float | None, str | None]:
    """Return how far the kept candidates are ahead of the others in accuracy, its standard error, and whom.

    The error is that of independent accuracies: which images two probes get wrong is not recorded here.
    """
    if not probes:
        return None, None, None
    kept = [p for p, c in zip(probes, chosen, strict=True) if c]
    others = [p for p, c in zip(probes, chosen, strict=True) if not c]
    if not kept or not others:
        return None, None, None
    weakest = max(kept, key=lambda p: p.accuracy)
    following = min(others, key=lambda p: p.accuracy)
    variance = sum(p.accuracy * (1.0 - p.accuracy) / p.images for p in (weakest, following))
    return following.accuracy - weakest.accuracy, math.sqrt(variance), following.name


def _lead_by(importance: Mapping[str, float], kept: Collection[str]) -> tuple[float | None, str | None]:
    """Return how far what is kept is ahead of the most important of the others, and of which."""
    others = [name for name in importance if name not in kept]
    if not others or len(others) == len(importance):  # nothing else, or nothing was kept
        return None, None
    following = max(others, key=lambda name: importance[name])
    return min(importance[name] for name in kept) - importance[following], following


def scalars(decision: ShownDecision) -> dict[str, float]:
    """Return a decision as numbers by name, for curves."""
    if decision.measured:
        chosen = [e.importance for e in decision.effects if e.chosen and e.importance is not None]
        named = {"of_chosen": min(chosen, default=None), "lead": decision.lead}
        return {f"{decision.criterion}_{n}": value for n, value in named.items() if value is not None}
    values = {"lead": decision.lead, "supernet_accuracy": decision.supernet}
    if decision.supernet is not None:
        values["drop_of_chosen"] = next((e.drop for e in decision.effects if e.chosen), None)
    return {name: value for name, value in values.items() if value is not None}


def draw(space: Space, decision: ShownDecision, weights: bool = True) -> Figure:
    """Draw the drops as bars with their intervals, beside the mixing weights; the choice in full colour.

    Args:
      space: the search space.
      decision: that was made.
      weights: whether the mixing weights say anything.
    """
    effects = decision.effects
    weighed = weights and any(e.weight is not None for e in effects)
    figure = new(PANEL, 1.3 + 0.27 * len(effects))
    left, *right = figure.subplots(1, 1 + weighed, squeeze=False, width_ratios=(2, 1)[: 1 + weighed])[0]
    draw_drops(left, space, decision)
    if weighed:
        _bars(right[0], effects, [e.weight for e in effects], shades(space.operations))
        right[0].set_yticks([])
        right[0].set_xlim(0.0, None)
        right[0].set_xlabel("mixing weight", fontsize=TEXT)
        right[0].xaxis.set_major_locator(MaxNLocator(2))
    before = "" if decision.supernet is None else f", supernet {100 * decision.supernet:.1f} %"
    title = f"decision {decision.number}: {decision.cell_type} {decision.place}{before}"
    close = "  (a narrow choice)" if decision.narrow else ""
    figure.suptitle(f"{title}\nkept: {decision.chosen}{close}", fontsize=9.5, x=0.02, ha="left", color=INK)
    return figure


def draw_drops(axes: Axes, space: Space, decision: ShownDecision) -> None:
    """Draw what decided as bars, accuracy in percentage points, with names on the left."""
    effects = decision.effects
    scale = 100 if decision.about == WORTH[False] else 1
    worths = [decision.worth(effect) for effect in effects]
    values = [None if worth is None else scale * worth for worth in worths]
    _bars(axes, effects, values, shades(space.operations))
    for place, effect in enumerate(effects):
        if effect.low is not None and not decision.by_loss:
            axes.hlines(place, 100 * effect.low, 100 * effect.high, color=INK, linewidth=1.2)
    axes.axvline(0.0, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(effects)), [e.name for e in effects], fontsize=TEXT)
    for label, effect in zip(axes.get_yticklabels(), effects, strict=True):
        label.set_fontweight("bold" if effect.chosen else "normal")
    whole = decision.supernet is not None or decision.measured
    base = "" if whole else "\n(less than the best probe's)"
    axes.set_xlabel(f"{decision.about}{base}", fontsize=TEXT)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _bars(
    axes: Axes, effects: Sequence[Effect], values: Sequence[float | None], colours: Mapping[str, str]
) -> None:
    for place, (effect, value) in enumerate(zip(effects, values, strict=True)):
        if value is not None:
            colour = colours.get(effect.name, SOFT)
            (bar,) = axes.barh(place, value, 0.66, color=colour, alpha=1.0 if effect.chosen else 0.45)
            if isinstance(axes.figure, PlainFigure):
                axes.figure.hover(bar, f"{effect.name}: {value:.3g}")
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.tick_params(axis="both", labelsize=TEXT, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
