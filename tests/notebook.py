"""Run the cells of examples/quickstart.ipynb, one after the other, and store what they show.

    python tests/notebook.py           runs them here and writes the notebook anew
    python tests/notebook.py OUTPUT    writes it to another file

It stores what a notebook's kernel would: what is printed, the value of a last expression with its HTML, and
figures as PNG files. No Jupyter is needed.
"""

import ast
import base64
import contextlib
import io
import json
import pathlib
import sys
import traceback
from typing import Any

import matplotlib

NOTEBOOK = pathlib.Path(__file__).resolve().parents[1] / "examples" / "quickstart.ipynb"
DPI = 80


def lines(text: str) -> list[str]:
    """Split a text as notebooks do, which keep the ends of lines."""
    return text.splitlines(keepends=True)


def shown(value: object) -> dict[str, Any]:
    """Return a value as a kernel shows it, by kind of content."""
    found = {"text/plain": lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        found["text/html"] = lines(value._repr_html_())
    return found


def figures() -> list[dict[str, Any]]:
    """Return what pyplot has open, as outputs of a cell, and close it."""
    from matplotlib import pyplot

    outputs = []
    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, dpi=DPI, metadata={"Software": None})
        png = base64.b64encode(file.getvalue()).decode()
        outputs.append({"output_type": "display_data", "data": {"image/png": png}, "metadata": {}})
    pyplot.close("all")
    return outputs


def run_cell(source: str, count: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one cell; return its outputs.

    Raises:
      Exception: the cell's own.
    """
    *body, last = ast.parse(source).body
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
            body, last = [*body, last], None
        exec(compile(ast.Module(body, []), f"cell {count}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    outputs = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        result = {"output_type": "execute_result", "data": shown(value), "metadata": {}}
        outputs.append(result | {"execution_count": count})
    return outputs + figures()


def run(notebook: dict[str, Any]) -> None:
    """Run all cells of a notebook; their outputs are then those of this run."""
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["outputs"] = run_cell("".join(cell["source"]), count, names)
            cell["execution_count"] = count


def write(path: pathlib.Path, notebook: dict[str, Any]) -> None:
    """Write a notebook as ruff and Jupyter do."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run the notebook."""
    matplotlib.use("Agg")
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    try:
        run(found)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    write(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK, found)


if __name__ == "__main__":
    main()
