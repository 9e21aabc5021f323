"""Pages of one file: HTML with its styles, script and pictures inside, which needs no network."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2

from tf_darts import __version__
from tf_darts.plots import svg
from tf_darts.workdir.files import write_atomically

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
NARROW = "narrow"


@dataclasses.dataclass(frozen=True)
class HtmlTable:
    """A table of a page.

    Attributes:
      headings: of its columns.
      rows: of texts.
      right: columns of numbers.
      narrow: the text of cells that are to be marked.
      links: where the first cell of each row leads; empty: nowhere.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    narrow: str = NARROW
    links: Sequence[str] = ()


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )


def render(
    template: str, title: str, subtitle: str, sections: Sequence[tuple[str, str]], **content: Any
) -> str:
    """Render a page.

    Args:
      template: name of a file in templates/.
      title: of the page.
      subtitle: the line below it.
      sections: for the line of links: identifier and name.
      content: what the template shows.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            subtitle=subtitle,
            sections=sections,
            colours=svg.styles(),
            footer=f"Made by tf_darts {__version__}. The page holds all it shows and loads nothing.",
            **content,
        )
    )


def write(path: pathlib.Path, page: str) -> None:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode(errors="replace"))
