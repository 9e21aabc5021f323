"""The drawings in docs/ are those of tests/docs/pictures.py, fit a phone, and show what was measured."""

import csv
import re
import xml.etree.ElementTree as ET

import pytest

from tests.docs import pictures
from tests.docs.pages import PAGES, ROOT

SVG = "{http://www.w3.org/2000/svg}"
PHONE = 390 - 2 * 14  # pixels that a picture has


@pytest.fixture(params=pictures.DRAWINGS)
def drawing(request):
    return request.param, (ROOT / "docs" / request.param).read_text(encoding="utf-8")


def test_a_drawing_is_what_the_script_draws(drawing):
    name, text = drawing
    assert pictures.DRAWINGS[name]().svg() == text, "run python -m tests.docs.pictures"


def test_a_phone_shows_its_text_at_full_size_and_inside(drawing):
    root = ET.fromstring(drawing[1])
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}" and width <= PHONE
    assert float(root.get("font-size")) >= 12
    shares = {"start": (0, 1), None: (0, 1), "middle": (0.5, 0.5), "end": (1, 0)}
    for element in root.iter(SVG + "text"):
        left, right = shares[element.get("text-anchor")]
        size = 8.0 * len(element.text)  # pixels: a letter of the widest usual face, on average
        assert float(element.get("x")) - left * size >= 0, element.text
        assert float(element.get("x")) + right * size <= width, element.text
        assert element.get("font-size") is None


def test_a_drawing_has_a_dark_side_and_words_for_those_who_do_not_see_it(drawing):
    root = ET.fromstring(drawing[1])
    assert len(root.find(SVG + "desc").text) > 40 and root.find(SVG + "title").text
    light, dark = root.find(SVG + "style").text.split("@media (prefers-color-scheme: dark)")
    classes = {word for element in root.iter() for word in element.get("class", "").split()}
    for name in classes - {"dot"}:  # always together with another
        for sheet in (light, dark):
            assert re.search(rf"\.{name}\b", sheet), (name, sheet)


def test_each_drawing_is_on_a_page():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert {name for text in texts for name in re.findall(r"(\w+\.svg)\)", text)} == set(pictures.DRAWINGS)


def test_the_mixing_weights_are_a_softmax():
    weights = pictures.mixing_weights()
    assert sum(weights) == pytest.approx(1.0)
    assert weights[1] / weights[2] == pytest.approx(2.718281828**0.5)  # alphas of 1.0 and 0.5


def test_the_curves_show_what_was_measured():
    text = (ROOT / "docs" / "idea_accuracy.svg").read_text(encoding="utf-8")
    lines = dict(re.findall(r'<path class="(conv|skip)" [^>]*d="M([\d. L]+)"', text))
    with (ROOT / "results" / "search_epochs" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for kind, selection in (("conv", "perturbation"), ("skip", "magnitude")):
        heights = [float(point.split()[1]) for point in lines[kind].split("L")]
        for height, epochs in zip(heights, (10, 20, 40), strict=True):
            of_seeds = [
                float(row["c10_test_accuracy"])
                for row in rows
                if (row["search"], row["selection"]) == (f"after_{epochs}", selection)
            ]
            mean = sum(of_seeds) / 5
            # From 65 % at 202 to 95 at 56; a tenth of a pixel is 0.02 points.
            assert 65 + (202 - height) * 30 / 146 == pytest.approx(mean, abs=0.03)
            assert f"{mean:.1f}" in text
