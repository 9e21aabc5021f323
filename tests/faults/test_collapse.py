"""Signs of a collapse are warned of, each once, with what people do about it."""

import json

import numpy as np
import pytest

from tests.search import tiny
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.search import collapse
from tf_darts.workdir.warnings import Warnings


@pytest.fixture
def architecture():
    return tiny.method("darts").architecture()


def test_a_new_alpha_is_no_sign(architecture):
    assert collapse.of_alpha(architecture, 0.5) == {}


def test_skip_connections_everywhere(architecture):
    found = collapse.of_alpha(architecture, 1.0)
    assert list(found) == ["skip_connections"]
    assert "What helps: selection by perturbation" in found["skip_connections"]


@pytest.mark.parametrize(("alpha", "sign"), [(3.0, False), (8.0, True)])
def test_alpha_that_has_all_but_decided(architecture, alpha, sign):
    architecture.alpha["normal"].assign([[alpha, 0.0]] * 3)
    found = collapse.of_alpha(architecture, 0.0)
    assert list(found) == (["entropy/normal"] if sign else [])


def test_what_is_decided_has_no_entropy_and_is_no_sign(architecture):
    for edge in range(3):
        architecture.decide_operation("normal", edge, 1)
    assert collapse.of_alpha(architecture, 0.0) == {}


def test_a_genotype_of_skip_connections():
    edges = [Choice(3, source, "skip_connect") for source in range(2)]
    assert (
        "every edge" in collapse.of_genotype(Genotype("tiny", {"normal": tuple(edges)}))["skip_connections"]
    )
    edges[0] = Choice(3, 0, "nor_conv_1x1")
    assert collapse.of_genotype(Genotype("tiny", {"normal": tuple(edges)})) == {}


@pytest.mark.parametrize(
    ("accuracy", "images", "sign"),
    [(0.1, 10_000, True), (0.108, 10_000, True), (0.11, 10_000, False), (0.3, 16, True), (0.4, 16, False)],
)
def test_an_accuracy_that_guessing_reaches(accuracy, images, sign):
    assert bool(collapse.of_accuracy({"a": accuracy}, "a", images, 10)) == sign
    assert collapse.of_accuracy({}, "a", images, 10) == {}


def test_a_warning_is_printed_once_and_kept_at_the_end(tmp_path, capsys):
    warnings = Warnings("search")
    for _ in range(3):
        warnings.say({"chance": "at chance"})
    warnings.keep(tmp_path, {"chance": "at chance", "more": "other"})
    assert capsys.readouterr().err == "search: warning: at chance\nsearch: warning: other\n"
    kept = json.loads((tmp_path / "warnings.json").read_text())
    assert kept == {"schema_version": 1, "warnings": {"chance": "at chance", "more": "other"}}
    warnings.keep(tmp_path / "none", {})
    assert not (tmp_path / "none").exists()


def test_a_search_that_cannot_learn_says_so(tmp_path, capsys):
    from tf_darts.search import loop

    fields = {"search__epochs": 1, "search__alpha_learning_rate": 0.0, "search__learning_rate": 0.0}
    made = tiny.setup(tiny.config(search__learning_rate_min=0.0, **fields))
    made.bilevel.architecture.alpha["normal"].assign(np.float32([[9, 0]] * 3))
    loop.run(made, tmp_path)
    kept = json.loads((tmp_path / "warnings.json").read_text())["warnings"]
    assert {"skip_connections", "entropy/normal"} <= set(kept)
    err = capsys.readouterr().err
    assert all(err.count(f"search: warning: {text}\n") == 1 for text in kept.values())
