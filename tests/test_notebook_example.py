"""examples/quickstart.ipynb: what it stores is whole and small, and its cells run and show the same kinds."""

import base64
import io
import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests import notebook
from tests.notebook import NOTEBOOK
from tests.report.test_pages import check_page

STORED = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
LARGEST = 300_000  # bytes: GitHub shows no notebook that is very large


def code(found):
    return [cell for cell in found["cells"] if cell["cell_type"] == "code"]


def outputs(found):
    return [output for cell in code(found) for output in cell["outputs"]]


def texts(found):
    return "".join("".join(output.get("text", ())) for output in outputs(found))


def kinds(cell):
    """The kinds of content that a cell shows, but for lines of progress."""
    return [sorted(output["data"]) for output in cell["outputs"] if "data" in output]


def test_it_is_stored_as_it_was_run():
    assert STORED["nbformat"] == 4 and NOTEBOOK.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in code(STORED)] == list(range(1, len(code(STORED)) + 1))
    assert len({cell["id"] for cell in STORED["cells"]}) == len(STORED["cells"])
    notes = json.dumps([cell["outputs"] for cell in code(STORED)])
    assert "/home/" not in notes and "/tmp/" not in notes and "Traceback" not in notes


def test_every_result_shows_itself():
    pieces = ["".join(o["data"]["text/html"]) for o in outputs(STORED) if "text/html" in o.get("data", {})]
    titles = [re.search("<h4>(.*)</h4>", piece)[1] for piece in pieces]
    assert titles == [
        *("Searched supernet", "Selected: magnitude", "Selected: perturbation", "Trained: perturbation")
    ]
    for piece in pieces:
        check_page(piece)
    for png in (o["data"]["image/png"] for o in outputs(STORED) if "image/png" in o.get("data", {})):
        assert min(Image.open(io.BytesIO(base64.b64decode(png))).size) > 50


def test_a_cell_shows_what_a_kernel_would():
    names = {}
    assert notebook.run_cell("a = 1\nprint('said')\na + 1", 3, names) == [
        {"output_type": "stream", "name": "stdout", "text": ["said\n"]},
        {
            "output_type": "execute_result",
            "data": {"text/plain": ["2"]},
            "metadata": {},
            "execution_count": 3,
        },
    ]
    assert notebook.run_cell("a;", 4, names) == notebook.run_cell("None", 5, names) == []
    (figure,) = notebook.run_cell("import matplotlib.pyplot as p\np.figure()\np.plot([1]);", 6, names)
    assert figure["output_type"] == "display_data" and list(figure["data"]) == ["image/png"]
    with pytest.raises(ZeroDivisionError):
        notebook.run_cell("1 / 0", 7, names)


@pytest.mark.slow
def test_it_runs(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(NOTEBOOK.parents[1])}
    command = [sys.executable, str(notebook.__file__), str(tmp_path / "out.ipynb")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=1200)
    found = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    assert [cell["source"] for cell in found["cells"]] == [cell["source"] for cell in STORED["cells"]]
    assert list(map(kinds, code(found))) == list(map(kinds, code(STORED)))
    # Another machine may select other cells: how well these read digits is much the same.
    shares, stored_shares = (
        [float(share) for share in re.findall(r"(?:digits |; )([\d.]+)%", texts(one))]
        for one in (found, STORED)
    )
    assert len(shares) == 3
    for share, stored in zip(shares, stored_shares, strict=True):
        assert float(share) > 85 and abs(float(share) - float(stored)) < 10
