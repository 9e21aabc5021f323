"""Figures whose text is drawn as it is, as PNG files, and pictures that may be left out."""

import io
import sys
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

_LONGEST = 24  # characters of a name in a picture


class PlainFigure(Figure):
    """A figure that takes no text for a formula: names of classes and files may hold dollar signs.

    Attributes:
      hovers: what a page says of a part of it when the mouse is there, by the part's identifier.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.hovers: dict[str, str] = {}

    def hover(self, part: Artist, text: str) -> None:
        """Have a page say this of a part when the mouse is there."""
        name = f"hover{len(self.hovers)}"
        part.set_gid(name)
        self.hovers[name] = text

    def draw(self, renderer: Any) -> None:
        """Draw the figure; Matplotlib calls it."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        # Labels of ticks are made while it is drawn.
        with matplotlib.rc_context({"text.parse_math": False}):
            super().draw(renderer)


def shown(name: str) -> str:
    """Return a name of the user's as a picture shows it: on one line, and cut short."""
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def figure_to_png_bytes(figure: Figure, dpi: int = 110) -> bytes:
    """Return the figure as a PNG file; the same figure always has the same bytes."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def png_of(what: str, draw: Callable[[], Figure], dpi: int = 110) -> bytes | None:
    """Draw a picture that a run can do without.

    Args:
      what: it shows, for the warning.
      draw: returns the figure.
      dpi: dots per inch.

    Returns:
      The PNG file; None where it could not be drawn, which a line on standard error says.
    """
    try:
        return figure_to_png_bytes(draw(), dpi)
    except Exception as error:  # Matplotlib fails in many ways, and no result is worth a picture
        reason = (str(error).strip().splitlines() or [""])[0]
        print(f"warning: the picture {what} is left out: {type(error).__name__}: {reason}", file=sys.stderr)
        return None
