"""README.md can be scanned: its length, its sentences, and terms that are explained before they are used."""

import ast
import re

import pytest

from tests.docs import pages, prose
from tests.docs.pages import ROOT
from tf_darts.config.fields import FIELDS

README = ROOT / "README.md"


def test_the_readme_is_short_and_so_are_its_sentences():
    found = prose.measure(README)
    assert found.lines <= 130 and found.size <= 9_000
    assert len(found.words) > 20 and found.mean <= 15
    assert max(found.words) <= 35, found.longest


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_no_sentence_of_a_page_has_to_be_read_twice(page):
    found = prose.measure(page)
    assert max(found.words, default=0) <= 35, found.longest
    assert found.mean <= 16


def test_the_changelog_can_be_read_too():
    found = prose.measure(ROOT / "CHANGELOG.md")
    assert len(found.words) > 50 and found.mean <= 17
    assert max(found.words) <= 35, found.longest


def test_so_can_the_help_of_programs_and_of_fields():
    texts = [field.doc for fields in FIELDS.values() for field in fields.values()]
    for path in (ROOT / "tf_darts" / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("DEFINE"):
                texts += [
                    a.value for a in node.args[2:] if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
    found = [sentence for text in texts for sentence in prose.sentences(text)]
    assert len(found) > 200
    for sentence in found:
        assert prose.words(sentence) <= 35, sentence


def test_the_page_of_configs_has_the_costs_of_their_docstrings():
    page = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
    costs = {}
    for path in (ROOT / "configs").glob("study_*.py"):
        if found := re.search(
            r"^Cost: ([\d.]+) hours of one CPU core", path.read_text(encoding="utf-8"), re.M
        ):
            costs[path.name] = found[1]
    rows = re.findall(r"^\| `configs/(study_\w+\.py)` \|.*\| ([\d.]+) core hours", page, re.M)
    assert len(costs) > 5 and dict(rows) == costs


def test_the_readme_explains_every_term_before_it_uses_it():
    assert prose.used_before_explained(README.read_text(encoding="utf-8")) == []


def test_the_two_commands_are_on_the_first_screen():
    lines = README.read_text(encoding="utf-8").splitlines()
    begins = [
        next(k for k, line in enumerate(lines) if line.startswith(c)) for c in ("bin/quickstart", "bin/test")
    ]
    assert max(begins) < 25


def test_sentences_are_found_and_what_is_none_is_left_out():
    text = (
        "# A heading\n\nOne `bin/run --x` sentence, e.g. This. Two [links here](a.md#b), of\na line. Is it?"
        " Yes: a colon is none.\n\n| a | table. And |\n|---|---|\n\n```bash\na block. Here\n```\n\n"
        "- An item\n- Another\n  one.\n"
    )
    assert prose.sentences(text) == [
        "One `bin/run --x` sentence, e.g. This.",
        "Two links here, of a line.",
        "Is it?",
        "Yes: a colon is none.",
        "An item",
        "Another one.",
    ]
    assert list(map(prose.words, prose.sentences(text))) == [5, 6, 2, 5, 2, 2]


@pytest.mark.parametrize(
    ("text", "early"),
    [
        ("A *cell* is a graph. Two cells.", []),
        ("Two cells. A *cell* is a graph.", ["cell"]),
        ("A **cell** is strong, not explained.", ["cell"]),
        ("| a cell |\n|---|\n\nA *cell* is a graph.", ["cell"]),
        ("`cell` is code, and so is\n\n```\ncell\n```\n\nA *cell* is a graph; excellent.", []),
    ],
)
def test_a_term_is_explained_in_italics(text, early):
    assert prose.used_before_explained(text, ("cell", "edge")) == early


def test_every_page_has_a_row():
    rows = prose.table().splitlines()
    assert [row.split()[0] for row in rows[2:]] == [path.name for path in pages.PAGES]
