"""Figures as SVG inside a page: text stays text, and colours follow the page, light or dark."""

import dataclasses
import html
import io
import re

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tf_darts.plots.colours import DARK

_SETTINGS = {
    "svg.fonttype": "none",  # the page's own font; Verdana is as wide as the one that places are found with
    "font.family": ["DejaVu Sans", "Verdana", "sans-serif"],
}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure for a page.

    Attributes:
      markup: an SVG element that scales to the width it is given.
      width: its own, in the page's pixels.
    """

    markup: str
    width: int


def inline(figure: Figure, name: str, label: str) -> Drawing:
    """Return the figure as part of a page.

    Args:
      figure: the figure; its background is left out.
      name: of it, once in a page: identifiers inside begin with it.
      label: what it shows, for those who cannot see it.
    """
    file = io.StringIO()
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    opening = f'<svg role="img" aria-label="{html.escape(label)}" class="figure" '
    svg = re.sub(r'^<svg (.*?)width="[^"]*"', rf"{opening}\1", svg, count=1, flags=re.S)
    svg = re.sub(r'^(<svg [^>]*?)height="[^"]*pt"', r"\1", svg, count=1, flags=re.S)
    return Drawing(themed(svg), round(96 * figure.get_figwidth()))


def themed(svg: str) -> str:
    """Replace colours that a dark page has others for by variables of the page."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: _variable(m[0]) if m[0] in DARK else m[0], svg)


def styles() -> str:
    """Return a style sheet with the variables: light, and dark where the reader's system is."""
    light = "".join(f"{_name(colour)}:{colour};" for colour in DARK)
    dark = "".join(f"{_name(colour)}:{other};" for colour, other in DARK.items())
    return (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        "svg.figure text:not([style*='fill']){fill:var(--c-222222)}"
    )


def _name(colour: str) -> str:
    return f"--c-{colour[1:]}"


def _variable(colour: str) -> str:
    return f"var({_name(colour)})"
