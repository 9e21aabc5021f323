"""Figures as SVG inside a page: text stays text, and colours follow the page, light or dark."""

import base64
import dataclasses
import html
import io
import re
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from tf_darts.plots.colours import DARK, PAPER

_SETTINGS = {
    "svg.fonttype": "none",  # the page's own font; Verdana is as wide as the one that places are found with
    "font.family": ["DejaVu Sans", "Verdana", "sans-serif"],
}
_RIM = "rim"  # in the identifiers of texts that have a rim in the paper's colour


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
    for part, text in getattr(figure, "hovers", {}).items():
        svg = svg.replace(f'<g id="{part}">', f'<g id="{part}"><title>{html.escape(text)}</title>', 1)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    opening = f'<svg role="img" aria-label="{html.escape(label)}" class="figure" '
    svg = re.sub(r'^<svg (.*?)width="[^"]*"', rf"{opening}\1", svg, count=1, flags=re.S)
    svg = re.sub(r'^(<svg [^>]*?)height="[^"]*pt"', r"\1", svg, count=1, flags=re.S)
    return Drawing(themed(svg), round(96 * figure.get_figwidth()))


def key(colours: Mapping[str, str]) -> str:
    """Return what colours mean, as a paragraph of a page: a dot and a name for each."""
    entries = (
        f'<span><i style="color:{themed(c)}">\u25cf</i> {html.escape(n)}</span>' for n, c in colours.items()
    )
    return f'<p class="key">{" ".join(entries)}</p>'


def _shortened(path: re.Match[str]) -> str:
    """Return a path of straight lines as steps of tenths of a point: a notebook keeps what it shows."""
    parts, x, y = [], 0, 0
    for command, *place in re.findall(r"([MLz])(?:\s+(\S+)\s+(\S+))?", path[0]):
        if command == "z":
            parts.append("z")
            continue
        to_x, to_y = (round(10 * float(number)) for number in place)
        if command == "M":
            parts.append(f"M{to_x / 10:g} {to_y / 10:g}")
        elif (to_x, to_y) != (x, y):
            parts.append(f"l{(to_x - x) / 10:g} {(to_y - y) / 10:g}")
        x, y = to_x, to_y
    return "".join(parts)


def themed(svg: str) -> str:
    """Replace colours that a dark page has others for by variables of the page."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: _variable(m[0]) if m[0] in DARK else m[0], svg)


def styles(element: str = ":root", dark: Sequence[str] = (), light: Sequence[str] = ()) -> str:
    """Return a style sheet with the variables: light, and dark where the reader's system is.

    Args:
      element: what has them.
      dark: selectors of a page around it that is dark, whatever the system is.
      light: of one that is light.
    """
    colours = "".join(f"{_name(colour)}:{colour};" for colour in DARK) + "color-scheme:light;"
    others = "".join(f"{_name(colour)}:{other};" for colour, other in DARK.items()) + "color-scheme:dark;"
    rules = [
        f"{element}{{{colours}}}",
        f"@media screen and (prefers-color-scheme:dark){{{element}{{{others}}}}}",
    ]
    for around, declarations in ((light, colours), (dark, others)):
        rules += [f":is({','.join(around)}) {element}{{{declarations}}}"] if around else []
    rules.append("svg.figure text:not([style*='fill']){fill:var(--c-222222)}")
    return "\n".join(rules)


def image(figure: Figure, label: str) -> str:
    """Return the figure as an `img` element on a paper of its own, for pages that alter what is in an SVG.

    Its colours are those of the page's colour scheme.

    Args:
      figure: the figure.
      label: as in `inline`.
    """
    # A text with a rim would be drawn as its outlines, most of the file.
    for number, text in enumerate(text for text in figure.findobj(Text) if text.get_path_effects()):
        text.set_path_effects([])
        text.set_gid(f"{_RIM}{number}")
    drawing = inline(figure, "picture", label)
    paper = f'<rect width="100%" height="100%" fill="{_variable(PAPER)}"/>'
    opening, rest = re.fullmatch(r"(<svg [^>]*>)(.*)", drawing.markup, re.S).groups()
    rest = re.sub(r'(?<= d=")[MLz\d.\s-]+(?=")', _shortened, rest)
    rest = re.sub(r"\s*\n\s*", "\n", rest)
    rim = f"[id*={_RIM}] text{{paint-order:stroke;stroke:{_variable(PAPER)};stroke-width:3px}}"
    content = f"{opening}<style>{styles()}{rim}</style>{paper}{rest}"
    address = "data:image/svg+xml;base64," + base64.b64encode(content.encode()).decode()
    return f'<img alt="{html.escape(label)}" width="{drawing.width}" src="{address}">'


def _name(colour: str) -> str:
    return f"--c-{colour[1:]}"


def _variable(colour: str) -> str:
    return f"var({_name(colour)})"
