"""What a selection's decisions say: what each choice was worth, how close it was, and pictures of it.

Rows are those of decisions.jsonl. The drop of an operation is the accuracy of the supernet less its
accuracy without the operation. Where both were measured on the same images its interval is that of a paired
difference; where the whole supernet was not measured, the drop is taken from the probe that lost least, and
the interval is Wilson's of the probe's own accuracy.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from tf_darts.plots.colours import FAINT, INK, SOFT, shades
from tf_darts.plots.heat_map import new
from tf_darts.spaces import Space

CONFIDENCE = 0.95
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
    """

    name: str
    drop: float | None
    low: float | None
    high: float | None
    weight: float | None
    chosen: bool
    images: int


@dataclasses.dataclass(frozen=True)
class ShownDecision:
    """A decision, to be shown.

    Attributes:
      number: from 1.
      kind: operation, topology or magnitude.
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

    def numbered(self, number: int) -> "ShownDecision":
        """The same as the decision of this number."""
        return dataclasses.replace(self, number=number)

    @property
    def narrow(self) -> bool:
        """Whether chance may have decided: the lead's interval reaches zero."""
        return self.lead is not None and self.lead <= _Z * (self.lead_error or 0.0)


def read(space: Space, rows: Sequence[Mapping]) -> list[ShownDecision]:
    """The decisions of a file of rows."""
    return [_read(space, number, row) for number, row in enumerate(rows, 1)]


def _read(space: Space, number: int, row: Mapping) -> ShownDecision:
    topology = row["kind"] == "topology"
    probes = row["rounds"][-1]["probes"] if row.get("rounds") else row.get("probes", [])
    kept = set(row["kept_names"]) if topology else {row["chosen"]}
    weights = row.get("mixing_weights", {})
    names = [probe["edge_name" if topology else "operation"] for probe in probes] or list(weights)
    whole = row.get("whole")
    base = whole["accuracy"] if whole else max((probe["accuracy"] for probe in probes), default=0.0)
    effects = []
    for place, name in enumerate(names):
        drop = low = high = None
        if probes:
            drop, low, high = _drop(probes[place], base)
        weight = weights.get(name)
        images = probes[place]["images"] if probes else 0
        effects.append(Effect(name, drop, low, high, weight, name in kept, images))
    if "lead" in row:
        lead, error, over = row["lead"]["value"], row["lead"]["error"], row["lead"]["over"]
    else:
        lead, error, over = _lead(probes, [e.chosen for e in effects])
    refused = row.get("refused", ())
    return ShownDecision(
        number=number,
        kind=row["kind"],
        cell_type=row["cell_type"],
        place=f"node {row['node']}" if topology else f"edge {row['edge_name']}",
        chosen=", ".join(row["kept_names"]) if topology else str(row["chosen"] or "not kept"),
        effects=tuple(effects),
        supernet=whole["accuracy"] if whole else None,
        epoch=row.get("epoch"),
        lead=lead,
        lead_error=error,
        over=over,
        criterion=row.get("criterion", row["kind"]),
        refused=tuple(str(space.edges[r]) if topology else str(r) for r in refused),
    )


def _drop(probe: Mapping, base: float) -> tuple[float, float, float]:
    """Drop of accuracy with its interval."""
    images = probe["images"]
    if "lost" in probe:  # paired: only the images on which the two differ count
        lost, gained = probe["lost"], probe["gained"]
        drop = (lost - gained) / images
        half = _Z * math.sqrt(max((lost + gained) / images - drop**2, 0.0) / images)
        return drop, drop - half, drop + half
    interval = stats.binomtest(probe["correct"], images).proportion_ci(CONFIDENCE, method="wilson")
    return base - probe["accuracy"], base - float(interval.high), base - float(interval.low)


def _lead(probes: Sequence[Mapping], chosen: Sequence[bool]) -> tuple[float | None, float | None, str | None]:
    """How far the kept candidates are ahead of the others in accuracy, and its standard error.

    That of independent accuracies: which images two probes get wrong is not recorded here.
    """
    if not probes:
        return None, None, None
    kept = [p for p, c in zip(probes, chosen, strict=True) if c]
    others = [p for p, c in zip(probes, chosen, strict=True) if not c]
    if not kept or not others:
        return None, None, None
    weakest = max(kept, key=lambda p: p["accuracy"])
    following = min(others, key=lambda p: p["accuracy"])
    variance = sum(p["accuracy"] * (1.0 - p["accuracy"]) / p["images"] for p in (weakest, following))
    name = following.get("operation") or following.get("edge_name")
    return following["accuracy"] - weakest["accuracy"], math.sqrt(variance), name


def scalars(decision: ShownDecision) -> dict[str, float]:
    """A decision as numbers by name, for curves."""
    values = {"lead": decision.lead, "supernet_accuracy": decision.supernet}
    if decision.supernet is not None:
        values["drop_of_chosen"] = next((e.drop for e in decision.effects if e.chosen), None)
    return {name: value for name, value in values.items() if value is not None}


def draw(space: Space, decision: ShownDecision) -> Figure:
    """Bars of the drops with their intervals, beside the mixing weights; the choice in full colour."""
    effects = decision.effects
    weighed = any(e.weight is not None for e in effects)
    figure = new(4.4, 1.25 + 0.27 * len(effects))
    left, *right = figure.subplots(1, 1 + weighed, squeeze=False, width_ratios=(2, 1)[: 1 + weighed])[0]
    draw_drops(left, space, decision)
    if weighed:
        _bars(right[0], effects, [e.weight for e in effects], shades(space.operations))
        right[0].set_yticks([])
        right[0].set_xlim(0.0, None)
        right[0].set_xlabel("mixing weight", fontsize=8)
    before = "" if decision.supernet is None else f", supernet {100 * decision.supernet:.1f} %"
    title = f"decision {decision.number}: {decision.cell_type} {decision.place}{before}"
    close = "  (a narrow choice)" if decision.narrow else ""
    figure.suptitle(f"{title}\nkept: {decision.chosen}{close}", fontsize=9.5, x=0.02, ha="left", color=INK)
    return figure


def draw_drops(axes: Axes, space: Space, decision: ShownDecision) -> None:
    """The bars of the drops alone, percentage points, with names on the left."""
    effects = decision.effects
    drops = [None if e.drop is None else 100 * e.drop for e in effects]
    _bars(axes, effects, drops, shades(space.operations))
    for place, effect in enumerate(effects):
        if effect.low is not None:
            axes.hlines(place, 100 * effect.low, 100 * effect.high, color=INK, linewidth=1.2)
    axes.axvline(0.0, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(effects)), [e.name for e in effects], fontsize=8)
    for label, effect in zip(axes.get_yticklabels(), effects, strict=True):
        label.set_fontweight("bold" if effect.chosen else "normal")
    base = "" if decision.supernet is not None else " (less than the best probe's)"
    axes.set_xlabel(f"accuracy lost without it, %{base}", fontsize=8)


def _bars(
    axes: Axes, effects: Sequence[Effect], values: Sequence[float | None], colours: Mapping[str, str]
) -> None:
    for place, (effect, value) in enumerate(zip(effects, values, strict=True)):
        if value is not None:
            colour = colours.get(effect.name, SOFT)
            axes.barh(place, value, 0.66, color=colour, alpha=1.0 if effect.chosen else 0.45)
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.tick_params(axis="both", labelsize=8, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
