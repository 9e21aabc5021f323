"""The drawings of README.md and docs/concepts.md, as SVG files: light and dark, and whole on a phone.

    python -m tests.docs.pictures    writes them into docs/

A drawing is 360 pixels wide, so that a phone shows its text at full size and a desktop two beside each other.
Accuracies are read from results/; what only explains has no figures, or such as are computed here.
"""

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from xml.sax.saxutils import escape

from tests.docs.pages import ROOT

WIDTH = 360
_HEIGHT, _TALL = 206, 262  # pixels: two beside each other are as high
_FONT = 14  # pixels, of all text but titles
_STYLE = """
    .card { fill: #ffffff; stroke: #d0d7de }
    text { fill: #1f2328 }
    .soft { fill: #59636e }
    .line { stroke: #59636e; fill: none }
    .node { fill: #eef1f5; stroke: #59636e; stroke-width: 1.5 }
    .bar { fill: #8c959f }
    .conv { stroke: #0b68b1; fill: none } text.conv, .bar.conv, .dot.conv { fill: #0b68b1; stroke: none }
    .skip { stroke: #c24a00; fill: none } text.skip, .bar.skip, .dot.skip { fill: #b34400; stroke: none }
    .kept { stroke: #1f2328; fill: none; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #3d444d }
      text { fill: #f0f6fc }
      .soft { fill: #b1bac4 }
      .line { stroke: #9198a1 }
      .node { fill: #212830; stroke: #9198a1 }
      .bar { fill: #6e7681 }
      .conv { stroke: #58a6ff } text.conv, .bar.conv, .dot.conv { fill: #79b8ff }
      .skip { stroke: #f0883e } text.skip, .bar.skip, .dot.skip { fill: #ffa657 }
      .kept { stroke: #f0f6fc }
    }
"""
# The candidates on the edge that the drawings show: name, class of the style, and alpha, an example.
_CANDIDATES = (
    ("pool", "", -0.2),
    ("skip", "skip", 1.0),
    ("3x3", "conv", 0.5),
    ("1x1", "", 0.1),
    ("none", "", -0.6),
)
_MISSED = (2, 1, 10, 4, 0)  # how long the bars are of what each is worth: an example, too
_NODES = ((0.0, 1.0), (0.5, 0.0), (1.0, 1.0))  # of the small cell, shares of its width and height
_EDGES = ((0, 1), (1, 2), (0, 2))
_KEPT = (2, 1, 3)  # candidates that are kept on these edges
EPOCHS = (10, 20, 40)
_RANDOM, _LOW, _HIGH = "random cell", 65, 95


class Drawing:
    """A drawing in the making."""

    def __init__(self, title: str, description: str, height: int):
        self.height = height
        self._parts = [
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="text">{escape(description)}</desc>',
            f"<style>{_STYLE}  </style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        ]
        self.text(16, 27, title, weight="600")

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "", weight: str = "") -> None:
        """Write a line of text; `anchor` is where on it x is: start, middle or end."""
        extra = "".join(
            f' {name}="{value}"'
            for name, value in (("class", kind), ("text-anchor", anchor), ("font-weight", weight))
            if value
        )
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{extra}>{escape(text)}</text>')

    def path(self, shape: str, kind: str = "line", width: float = 2, dashed: bool = False) -> None:
        """Draw a line."""
        dash = ' stroke-dasharray="3 5"' if dashed else ""
        self._parts.append(f'<path class="{kind}" stroke-width="{width:g}"{dash} d="{shape}"/>')

    def arrow(self, x: float, y: float, length: float) -> None:
        """Draw an arrow to the right."""
        self.path(f"M{x:g} {y:g} h{length:g} m-6 -5 l6 5 l-6 5")

    def dot(self, x: float, y: float, radius: float, kind: str) -> None:
        """Draw a filled circle."""
        self._parts.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle."""
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2"/>'
        )

    def node(self, x: float, y: float, name: str, radius: float = 13) -> None:
        """Draw a node with its number."""
        self.dot(x, y, radius, "node")
        self.text(x, y + 5, name, anchor="middle")

    def strands(
        self, start: tuple[float, float], end: tuple[float, float], kinds: Sequence[str], removed: int = -1
    ):
        """Draw an edge: a curve for each candidate, side by side."""
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0)
        across = (-(y1 - y0) / length, (x1 - x0) / length)
        for i, kind in enumerate(kinds):
            bend = 14 * (i - (len(kinds) - 1) / 2)
            x, y = ((a + b) / 2 + bend * c for a, b, c in zip(start, end, across, strict=True))
            shape = f"M{x0:g} {y0:g} Q{x:.1f} {y:.1f} {x1:g} {y1:g}"
            self.path(shape, kind or "line", 2.5 if kind else 1.6, dashed=i == removed)

    def cell(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        decided: Iterable[int] = (),
        names: bool = False,
    ):
        """Draw the small cell of three edges: all candidates on an edge, or the one that is kept."""
        places = [(x + width * a, y + height * b) for a, b in _NODES]
        decided = set(decided)
        for number, ((source, target), kept) in enumerate(zip(_EDGES, _KEPT, strict=True)):
            kinds = [kind for _, kind, _ in _CANDIDATES]
            self.strands(places[source], places[target], [kinds[kept]] if number in decided else kinds)
        for number, place in enumerate(places):
            self.node(*place, str(number), 11)
        if names:
            (x0, y0), (x1, y1), (x2, _) = places
            for (px, py, anchor), kept in zip(
                ((x0 + 18, y0 - 36, "end"), (x2 - 18, y0 - 36, "start"), (x1, y1 + height + 20, "middle")),
                _KEPT,
                strict=True,
            ):
                name, kind, _ = _CANDIDATES[kept]
                self.text(px, py, name, kind or "soft", anchor)

    def svg(self) -> str:
        """Return the file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}"'
            f' height="{self.height}" role="img" aria-labelledby="title text"'
            " font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\""
            f' font-size="{_FONT}">'
        )
        return "\n  ".join([head, *self._parts]) + "\n</svg>\n"


def mixing_weights() -> list[float]:
    """Return the softmax of the example's alpha."""
    powers = [math.exp(alpha) for _, _, alpha in _CANDIDATES]
    return [power / sum(powers) for power in powers]


def cell() -> Drawing:
    """Draw a cell and name its parts."""
    drawing = Drawing(
        "A cell: nodes, edges, operations",
        "Three nodes, 0 to 2, joined by three edges, each with one operation. Beside it the same as text.",
        _HEIGHT,
    )
    drawing.cell(56, 64, 124, 90, range(3), names=True)
    drawing.text(214, 64, "three nodes,", "soft")
    drawing.text(214, 82, "three edges:", "soft")
    for i, ((source, target), kept) in enumerate(zip(_EDGES, _KEPT, strict=True)):
        name, kind, _ = _CANDIDATES[kept]
        drawing.text(214, 112 + 24 * i, f"{target}<-{source}")
        drawing.text(262, 112 + 24 * i, f"carries {name}", kind or "soft")
    return drawing


def supernet() -> Drawing:
    """Draw a cell of the supernet beside the cell of a genotype."""
    drawing = Drawing(
        "Supernet and genotype",
        "Left a cell of three nodes and three edges, with five candidate operations on every edge. Right the"
        " same cell with one operation on each edge.",
        _HEIGHT,
    )
    drawing.cell(34, 64, 112, 80)
    drawing.arrow(166, 106, 28)
    drawing.cell(218, 64, 104, 80, range(3), names=True)
    drawing.text(90, 192, "all candidates at once", "soft", "middle")
    drawing.text(270, 192, "one on each edge", "soft", "middle")
    return drawing


def _rows(
    drawing: Drawing, lengths: Sequence[float], kept: int, left: float, values: Sequence[str] = ()
) -> None:
    """Draw a bar for each candidate, with a frame around that which is kept."""
    longest = max(lengths)
    for i, ((name, kind, _), length) in enumerate(zip(_CANDIDATES, lengths, strict=True)):
        y = 66 + 27 * i
        drawing.text(16, y + 13, name, kind or "soft")
        drawing.box(left, y, max(150 * length / longest, 2), 17, f"bar {kind}".strip())
        if values:
            drawing.text(left + 150 * length / longest + 8, y + 13, values[i], "soft")
        if i == kept:
            drawing.box(9, y - 5, WIDTH - 18, 27, "kept")
            drawing.text(WIDTH - 18, y + 13, "stays", weight="600", anchor="end")


def alpha() -> Drawing:
    """Draw alpha and the mixing weights of an edge."""
    drawing = Drawing(
        "Alpha of an edge, and its mixing weights",
        "Five candidates with their alpha, an example, and its softmax: the share of each in the sum.",
        _HEIGHT,
    )
    weights = mixing_weights()
    drawing.text(118, 54, "alpha", "soft", "end")
    drawing.text(140, 54, "mixing weight (softmax)", "soft")
    _rows(drawing, weights, -1, 140, [f"{100 * weight:.0f} %" for weight in weights])
    for i, (_, _, value) in enumerate(_CANDIDATES):
        drawing.text(118, 79 + 27 * i, f"{value:+.1f}".replace("-", "\N{MINUS SIGN}"), anchor="end")
    return drawing


def magnitude() -> Drawing:
    """Draw what magnitude keeps."""
    weights = mixing_weights()
    drawing = Drawing(
        "Magnitude: the largest weight stays",
        "A bar for the mixing weight of each of five candidates; the longest, skip, is kept.",
        _HEIGHT,
    )
    drawing.text(70, 54, "mixing weight", "soft")
    _rows(drawing, weights, weights.index(max(weights)), 70)
    return drawing


def perturbation() -> Drawing:
    """Draw what perturbation keeps."""
    drawing = Drawing(
        "Perturbation: the most missed stays",
        "A bar for the accuracy that is lost without each of five candidates; the longest, 3x3, is kept.",
        _HEIGHT,
    )
    drawing.text(70, 54, "accuracy lost without it", "soft")
    _rows(drawing, _MISSED, _MISSED.index(max(_MISSED)), 70)
    return drawing


def probe() -> Drawing:
    """Draw a probe."""
    drawing = Drawing(
        "One probe",
        "Images of the validation half go through the supernet without one operation of one edge: what"
        " accuracy is left.",
        _HEIGHT,
    )
    for i in range(3):
        drawing.box(22 + 7 * i, 78 + 7 * i, 44, 44, "node")
    drawing.text(52, 158, "validation", "soft", "middle")
    drawing.text(52, 176, "images", "soft", "middle")
    drawing.arrow(92, 108, 26)
    start, end = (140, 108), (228, 108)
    drawing.strands(start, end, [kind for _, kind, _ in _CANDIDATES], removed=2)
    drawing.node(*start, "0")
    drawing.node(*end, "1")
    drawing.text(184, 68, "3x3 removed", "conv", "middle")
    drawing.text(184, 158, "supernet", "soft", "middle")
    drawing.arrow(248, 108, 22)
    drawing.text(313, 104, "accuracy", anchor="middle")
    drawing.text(313, 122, "without it", anchor="middle")
    return drawing


def _states(drawing: Drawing, y: float, decided: Sequence[int], between: Sequence[str]) -> None:
    """Draw cells with this many edges decided, and what is done between them."""
    size, left = 44, 28 if len(decided) > 2 else 70
    step = (WIDTH - 2 * left - size) / (len(decided) - 1)
    for i, number in enumerate(decided):
        drawing.cell(left + step * i, y, size, size, range(number))
    for i, text in enumerate(between):
        middle = left + step * (i + 0.5) + size / 2
        drawing.arrow(middle - 12, y + 26, 22)
        for line, part in enumerate(text.split("\n")):
            drawing.text(middle, y + 84 + 18 * line, part, "soft", "middle")


def event() -> Drawing:
    """Draw events with fine-tuning between them."""
    drawing = Drawing(
        "Events, with fine-tuning between them",
        "Four states of a cell. At each of three events, probes decide one more edge. After the first two the"
        " supernet is fine-tuned.",
        _HEIGHT,
    )
    _states(drawing, 74, (0, 1, 2, 3), ("event 1,\nfine-tune", "event 2,\nfine-tune", "event 3"))
    return drawing


def one_shot() -> Drawing:
    """Draw a one-shot selection."""
    drawing = Drawing(
        "One-shot: all at once",
        "Two states of a cell: one set of probes decides all three edges, without fine-tuning.",
        _HEIGHT,
    )
    _states(drawing, 74, (0, 3), ("one set of probes,\nno fine-tuning",))
    return drawing


def idea_rules() -> Drawing:
    """Draw the two rules on one edge."""
    drawing = Drawing(
        "Which operation stays?",
        "Five candidate operations on one edge. Magnitude keeps that with the largest alpha, here skip."
        " Perturbation removes each and measures again; here 3x3 is the most missed.",
        _TALL,
    )
    drawing.path("M76 128 C112 40 246 40 282 128")
    drawing.path("M76 128 C120 82 238 82 282 128", "skip", 7)
    drawing.path("M76 128 H282", "conv", 4, dashed=True)
    drawing.path("M76 128 C120 174 238 174 282 128")
    drawing.path("M76 128 C112 216 246 216 282 128")
    drawing.node(67, 128, "0", 20)
    drawing.node(291, 128, "1", 20)
    for y, name, kind in ((54, "pool", "soft"), (86, "skip", "skip"), (120, "3x3, removed", "conv")):
        drawing.text(179, y, name, kind, "middle")
    drawing.text(179, 155, "1x1", "soft", "middle")
    drawing.text(179, 189, "none", "soft", "middle")
    drawing.text(16, 224, "magnitude: the widest", "skip")
    drawing.text(16, 246, "perturbation: the most missed", "conv")
    return drawing


def measured() -> dict[str, list[float]]:
    """Return what each selection reaches on CIFAR-10 by EPOCHS: means over the seeds of results/, percent."""
    with (ROOT / "results" / "search_epochs" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        selection: [
            statistics.fmean(
                float(row["c10_test_accuracy"])
                for row in rows
                if (row["search"], row["selection"]) == (f"after_{epochs}", selection)
            )
            for epochs in EPOCHS
        ]
        for selection in ("perturbation", "magnitude")
    }


def random_cell() -> float:
    """Return the mean true accuracy of all cells of NAS-Bench-201 on CIFAR-10, percent."""
    from tf_darts.nas_bench.nas_bench_201 import NasBench201, accuracy_column

    table = NasBench201.of_package()
    references = {r.name: r.accuracy for r in table.references(accuracy_column("CIFAR-10", "test"))}
    return next(value for name, value in references.items() if name.startswith(_RANDOM))


def idea_accuracy() -> Drawing:
    """Draw what the two rules reach after shorter and longer searches."""
    found, random = measured(), random_cell()
    said = "; ".join(f"{name} {', '.join(f'{v:.1f}' for v in values)}" for name, values in found.items())
    drawing = Drawing(
        "True accuracy of what stays, %",
        f"On CIFAR-10, after a search of {', '.join(map(str, EPOCHS))} epochs: {said}."
        f" A random cell: {random:.1f}.",
        _TALL,
    )
    top, bottom = 56, 202

    def place(epochs: float, accuracy: float) -> tuple[float, float]:
        return 70 + 5.2 * epochs, bottom - (bottom - top) * (accuracy - _LOW) / (_HIGH - _LOW)

    left = place(2, _LOW)[0]
    drawing.path(f"M{left:g} {top - 8} V{bottom + 8} H290", width=1)
    for accuracy in range(_LOW, _HIGH + 1, 10):
        drawing.text(left - 8, place(0, accuracy)[1] + 5, str(accuracy), "soft", "end")
    for epochs in EPOCHS:
        drawing.text(place(epochs, 0)[0], bottom + 26, str(epochs), "soft", "middle")
    drawing.text(182, bottom + 46, "epochs of the search", "soft", "middle")
    level = place(0, random)[1]
    drawing.path(f"M{left:g} {level:.1f} H290", width=1, dashed=True)
    drawing.text(286, level + 17, _RANDOM, "soft", "end")
    for (name, values), kind, label in zip(
        found.items(), ("conv", "skip"), ((134, 48), (96, 178)), strict=True
    ):
        places = [place(e, v) for e, v in zip(EPOCHS, values, strict=True)]
        drawing.path("M" + " L".join(f"{x:g} {y:.1f}" for x, y in places), kind, 3.5)
        for x, y in places:
            drawing.dot(x, y, 4.5, f"{kind} dot")
        drawing.text(*label, name, kind)
        drawing.text(places[-1][0] + 12, places[-1][1] + 5, f"{values[-1]:.1f}", kind)
    return drawing


# The files in docs/, and what each shows.
DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "idea_rules.svg": idea_rules,
    "idea_accuracy.svg": idea_accuracy,
    "concept_cell.svg": cell,
    "concept_supernet.svg": supernet,
    "concept_alpha.svg": alpha,
    "concept_magnitude.svg": magnitude,
    "concept_perturbation.svg": perturbation,
    "concept_probe.svg": probe,
    "concept_event.svg": event,
    "concept_one_shot.svg": one_shot,
}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (ROOT / "docs" / name).write_text(draw().svg(), encoding="utf-8")
