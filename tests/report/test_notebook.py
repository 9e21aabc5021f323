"""What results of the library show in a notebook: well-formed, self-contained, escaped, light and dark."""

import base64
import html.parser
import math
import re
import sys
import types
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.report import made
from tests.report.test_pages import Checker, check_page
from tf_darts.nas_bench import nas_bench_201
from tf_darts.report import notebook, workdir_contents
from tf_darts.workdir.metrics import per_epoch
from tf_darts.workdir.records import read_json

FACTS = {"images": "3 for <b>training</b>"}
WEIGHTS = {"normal": np.full((6, 5), 0.2)}
# Of a page around it, with what Jupyter says of tables: numbers to the right.
HEAD = """<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>
<style>.jp-RenderedHTMLCommon:not(.jp-RenderedMarkdown) td{text-align:right}</style>"""
BACK = "getComputedStyle(document.querySelector('.tf-darts')).backgroundColor"

PLACE = "(b => [b.x, b.y])(document.querySelector('.tf-darts img').getBoundingClientRect())"


class Pictures(html.parser.HTMLParser):
    """The SVG files of a piece, by what they show."""

    def __init__(self, text):
        super().__init__()
        self.found = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            kind, _, content = dict(attrs)["src"].partition(",")
            assert kind == "data:image/svg+xml;base64"
            self.found[dict(attrs)["alt"]] = base64.b64decode(content).decode()


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A work directory; its class b< has markup in its name."""
    folder = tmp_path_factory.mktemp("notebook")
    made.workdir(folder)
    found = workdir_contents.read(folder)
    for stage in found.trainings.values():
        stage.result["epochs"] = 2
    return found


def selection(record, name="perturbation", table=True):
    known = nas_bench_201.of_space(record.space.name) if table else None
    return notebook.of_selection(record.selections[name], record.space, record.genotypes[name], known, FACTS)


def training(record):
    genotype = record.genotypes["perturbation"]
    table = nas_bench_201.of_space(record.space.name)
    return notebook.of_training(record.trainings["perturbation"], record.space, genotype, table, FACTS)


def search(record):
    return notebook.of_search(record.search, record.space, WEIGHTS, FACTS)


@pytest.mark.parametrize("piece", [search, selection, training])
def test_a_piece_is_well_formed_with_a_picture_and_loads_nothing(record, piece):
    text = piece(record)
    check_page(text)
    assert "<script" not in text and "3 for &lt;b&gt;training&lt;/b&gt;" in text
    pictures = Pictures(text).found
    assert list(pictures) == ["The supernet's normal cell" if piece is search else "The normal cell"]
    (content,) = pictures.values()
    check_page(content)
    assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(--c-ffffff)" in content and "prefers-color-scheme:dark" in content
    assert len(text) < 80_000  # a notebook keeps it


def test_a_picture_names_the_operations_as_text(record):
    (content,) = Pictures(selection(record)).found.values()
    written = " ".join(text.strip() for text in ElementTree.fromstring(content).itertext())
    texts = set(re.sub(r"_\s+", "_", written).split())  # a long name has two lines
    assert {c.operation for c in record.genotypes["perturbation"].cells["normal"]} <= texts


def test_a_selection_shows_its_true_accuracies_and_decisions(record):
    texts = Checker(selection(record)).texts
    table = nas_bench_201.NasBench201.of_package()
    scores = table.lookup(record.genotypes["perturbation"]).scores
    for data_set, of_splits in scores.items():
        at = texts.index(data_set)
        row = [text for text in texts[at : at + 8] if text.strip()]
        test = of_splits["test"]
        assert row[:4] == [data_set, f"{test.accuracy:.2f} %", f"{test.rank:,}", f"{test.regret:.2f}"]
    assert {"CIFAR-10: ResNet's cell", "93.91 %", "94.37 %"} <= set(texts)
    places = [text for text in texts if text.startswith("edge ")]
    assert places == [f"edge {edge}" for edge in record.space.edges]
    assert sum("points (narrow)" in text for text in texts) == 1
    assert any(text.endswith("narrow: chance in the images may have decided") for text in texts)
    assert record.genotypes["perturbation"].to_text(record.space) in texts


def test_magnitude_shows_weights_and_another_space_no_true_accuracies(record):
    texts = Checker(selection(record, "magnitude", table=False)).texts
    assert "mixing weight" in texts and "lead" not in texts and "over" not in texts
    assert not any("NAS-Bench-201" in text for text in texts)


def test_a_training_shows_accuracy_and_its_worst_classes_escaped(record):
    text = training(record)
    texts = Checker(text).texts
    result = read_json(record.trainings["perturbation"].folder / "result.json")
    assert f"{100 * result['test_accuracy']:.2f} %" in texts and "12,345" in texts
    assert "b&lt;" in text and "b<" not in text and "b<" in texts
    errors = read_json(record.trainings["perturbation"].folder / "errors.json")
    shares = np.diag(errors["confusion"]) / np.sum(errors["confusion"], 1)
    at = texts.index("most often taken for")
    shown = [text for text in texts[at:] if re.fullmatch(r"\d+\.\d %", text)][:3]
    assert shown == [f"{100 * share:.1f} %" for share in sorted(shares)]


def test_many_classes_are_cut_and_none_are_left_out(record):
    names = [f"class {i}" for i in range(30)]
    ((caption, table),) = notebook._classes({"classes": names, "confusion": np.eye(30, dtype=int).tolist()})
    assert caption.endswith("(10 of 30)") and len(table.rows) == 10 and table.rows[0][3] == ""
    assert notebook._classes({"classes": names}) == []


def test_the_metrics_of_an_epoch(monkeypatch, record):
    monkeypatch.setitem(sys.modules, "pandas", None)  # to import it fails
    found = notebook.history(record.search.folder)
    assert list(found)[:2] == ["epoch", "skip_share"] and found["epoch"] == [1, 2, 3, 4]
    assert found["train_loss"] == [2.0, 1.0, 2.0 / 3, 0.5]
    assert found["evaluation/test_accuracy"] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert sum(name.startswith("alpha/") for name in found) == 30
    assert not {"step", "finished_epoch"} & set(found)


def test_steps_are_averaged_skipped_ones_left_out_and_an_unfinished_epoch_too():
    rows = [
        {"step": 1, "epoch": 0, "train_loss": 1.0, "skipped": 0.0},
        {"step": 2, "epoch": 0, "train_loss": None, "skipped": 1.0},
        {"step": 2, "finished_epoch": 0},
        {"step": 3, "epoch": 1, "train_loss": 4.0, "skipped": 0.0},
        {"step": 4, "epoch": 1, "train_loss": 2.0, "skipped": 0.0},
        {"step": 4, "finished_epoch": 1, "test_accuracy": 0.5},
        {"step": 5, "epoch": 2, "train_loss": 1.0, "skipped": 0.0},
    ]
    found = per_epoch(rows)
    assert list(found) == ["epoch", "skipped", "test_accuracy", "train_loss"]
    assert found["train_loss"] == [1.0, 3.0] and found["skipped"] == [0.5, 0.0]
    assert math.isnan(found["test_accuracy"][0]) and found["test_accuracy"][1] == 0.5
    assert per_epoch([]) == {}


def test_where_pandas_is_it_is_a_frame(monkeypatch, record):
    stand_in = types.SimpleNamespace(DataFrame=lambda columns: ("frame", columns))
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    kind, columns = notebook.history(record.search.folder)
    assert kind == "frame" and columns == per_epoch(record.search.rows)


@pytest.mark.parametrize("attribute", ["data-jp-theme-light='{}'", "class='vscode-{}'"])
def test_it_is_dark_where_the_notebook_is(browser, record, tmp_path, attribute):
    words = ("true", "false") if "jp" in attribute else ("light", "dark")
    levels = []
    for word in words:
        page = f"{HEAD}<body {attribute.format(word)}><div class='jp-RenderedHTMLCommon'>{training(record)}"
        (tmp_path / "page.html").write_text(page)
        of_system = word == words[0]
        browser.open((tmp_path / "page.html").as_uri(), 390, dark=of_system)
        assert browser.console == [] and browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("getComputedStyle(document.querySelector('td')).textAlign") == "left"
        levels.append(sum(map(int, browser.run(BACK).strip("rgb()").split(", ")[:3])))
        browser.picture(tmp_path / "seen.png")
        x, y = browser.run(PLACE)
        with Image.open(tmp_path / "seen.png") as seen:  # the picture's paper is that of the piece
            assert sum(seen.convert("RGB").getpixel((round(x) + 3, round(y) + 3))) == levels[-1]
    assert levels[0] == 3 * 255 and levels[1] < 150
