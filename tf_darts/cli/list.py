"""Prints the rows of the paper's tables with figures and commands, and other configs: bin/list --table=3."""

import ast
import pathlib
import re
from collections.abc import Sequence

from absl import flags

from tf_darts import paper
from tf_darts.cli import entry
from tf_darts.config import files
from tf_darts.errors import UserError
from tf_darts.paper import Figure, PaperRow
from tf_darts.paper.settings import DATA_SETS, METHODS, SPACES
from tf_darts.plots.table import markdown
from tf_darts.runtime import command

_TABLE = flags.DEFINE_enum("table", None, ["1", "2", "3", "4"], "Only rows of this table of the paper.")
_SPACE = flags.DEFINE_enum("space", None, list(SPACES), "Only rows of this search space.")
_DATASET = flags.DEFINE_enum("dataset", None, list(DATA_SETS), "Only rows of this data set.")
_METHOD = flags.DEFINE_enum("method", None, list(METHODS), "Only rows of this method.")
_MARKDOWN = flags.DEFINE_bool("markdown", False, "Print the rows as a Markdown table, without commands.")


def program() -> None:
    """Print what the flags ask for."""
    rows = _chosen()
    if _MARKDOWN.value:
        print(as_markdown(rows))
        return
    print("\n\n".join(map(describe, rows)))
    if len(rows) == len(paper.ROWS):
        print("\nOther configs:")
        for path in sorted(files.FOLDER.glob("*.py")):
            if path.stem != "paper":
                print("\n" + describe_config(path))


def _chosen() -> list[PaperRow]:
    rows = [
        row
        for row in paper.ROWS.values()
        if (_TABLE.value is None or f"table {_TABLE.value}" in row.tables)
        and _SPACE.value in (None, row.space)
        and _DATASET.value in (None, row.data_set)
        and _METHOD.value in (None, row.method)
    ]
    if not rows:
        given = [flag for flag in (_TABLE, _SPACE, _DATASET, _METHOD) if flag.value is not None]
        asked = " ".join(f"--{flag.name}={flag.value}" for flag in given)
        raise UserError(f"{asked}: the paper has no such row; allowed: fewer of these flags")
    return rows


def describe(row: PaperRow) -> str:
    """Format a row, its figures and its commands, in lines."""
    title = f"{row.name}: {row.label}, {DATA_SETS[row.data_set].label}, space {row.space}"
    figures = [f"    {_figure(figure)}" for figure in row.figures] or ["    no published figure"]
    return "\n".join([title, *figures, *(f"    {command}" for command in row.commands())])


def _figure(figure: Figure) -> str:
    parts = [f"{figure.what} {figure}"]
    if figure.parameters is not None:
        parts.append(f"{figure.parameters} M parameters")
    if figure.gpu_days is not None:
        parts.append(f"{figure.gpu_days} GPU days")
    return f"{figure.source}: {', '.join(parts)}"


def as_markdown(rows: Sequence[PaperRow]) -> str:
    """Format rows as a Markdown table: name, method, published figures with their places."""
    cells = [(f"`{row.name}`", row.label, "; ".join(map(_figure, row.figures)) or "-") for row in rows]
    return markdown(("row", "method", "published"), cells, texts=3)


def describe_config(path: pathlib.Path) -> str:
    """Return what the docstring of a config file says: its first line, and how it is run."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = re.sub(r"\bbin/(\w+)", lambda found: command.of(found[1]), text)
    first, *rest = text.splitlines()
    commands = [line for line in rest if line.startswith("    ")]
    return "\n".join([f"configs/{path.name}: {first}", *commands])


def _no_fields(name: str) -> str:
    return f"--config.{name}: bin/list has no config"


def main() -> None:
    """Run the program."""
    entry.run(program, (), _no_fields, example="configs/quickstart.py")


if __name__ == "__main__":
    main()
