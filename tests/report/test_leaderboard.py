"""The leaderboard: page and table say what the results say; the directories are not needed."""

import csv
import html
import re

import numpy as np
import pytest

from tests.report.test_pages import check_page
from tests.study.small import small
from tf_darts.paper import nas_bench_201_figures
from tf_darts.report import leaderboard
from tf_darts.study import settings
from tf_darts.study.collect import TRAINED, TRUE_TEST, write
from tf_darts.study.correlations import Agreement
from tf_darts.study.output import Output
from tf_darts.study.summary import Statistics, summarise

# CIFAR-10, by search and selection: an accuracy for each seed.
FOUND = {
    ("darts", "magnitude"): (54.0, 70.0),
    ("darts", "perturbation"): (91.0, 93.0),
    ("darts", "zero_cost_pt"): (92.0, 90.0),
    ("beta_darts", "magnitude"): (94.0, 94.2),
    ("beta_darts", "perturbation"): (93.5, 93.5),
}


class NoTables:
    """No table is read."""

    def all(self):
        return []


@pytest.fixture(scope="module")
def study():
    config = small()
    config.searches = {"darts": {}, "beta_darts": {"search": {"method": "beta_darts"}}}
    config.selections = {
        name: {"method": name} for name in ("magnitude", "perturbation", "zero_cost_pt", "random")
    }
    config.only_for = {"zero_cost_pt": ("darts",)}
    return settings.validate(config)


@pytest.fixture(scope="module")
def rows():
    others = dict.fromkeys((*TRUE_TEST[1:], TRAINED))
    return [
        {"search": search, "selection": selection, "seed": seed, TRUE_TEST[0]: value, **others}
        | {"search_seconds": 600.0 + 60 * seed, "selection_seconds": 30.0}
        | {"search_cpu_seconds": 900.0, "selection_cpu_seconds": 40.0}
        for (search, selection), values in FOUND.items()
        for seed, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def left(study, rows, tmp_path_factory):
    output = Output(tmp_path_factory.mktemp("study"))
    output.record(study)
    write(output, rows, {})
    leaderboard.leave(study, output, NoTables())
    return output


def test_the_table_has_every_combination_with_its_cost(left):
    with (left / "leaderboard.csv").open(newline="") as file:
        found = {(row["search"], row["selection"]): row for row in csv.DictReader(file)}
    assert found.keys() == FOUND.keys()
    for key, values in FOUND.items():
        row = found[key]
        assert float(row["mean"]) == pytest.approx(np.mean(values)) and row["seeds"] == "2"
        assert float(row["std"]) == pytest.approx(np.std(values, ddof=1))
        assert (float(row["worst"]), float(row["best"])) == (min(values), max(values))
        searched = 0.0 if key[1] == "zero_cost_pt" else 630.0  # which needs no search
        assert (float(row["search_seconds"]), float(row["cost_seconds"])) == (searched, searched + 30)
        cores = 0.0 if key[1] == "zero_cost_pt" else 900.0
        assert (float(row["search_cpu_seconds"]), float(row["cost_cpu_seconds"])) == (cores, cores + 40)
    beta = found["beta_darts", "magnitude"]
    assert (beta["published"], beta["published_by"]) == ("94.36", "Ye et al., CVPR 2022")
    assert found["darts", "perturbation"]["published"] == "88.11"  # an error of 11.89 %
    assert found["darts", "zero_cost_pt"]["published"] == ""


def test_the_matrix_is_coloured_from_the_worst_to_the_best(study, rows):
    summary = summarise(study, rows, [])
    matrix = leaderboard.matrix(study, summary, TRUE_TEST[0], leaderboard.costs_of(study, rows))
    assert matrix.selections == ["magnitude", "perturbation", "zero_cost_pt"]  # nothing random is finished
    cells, others = (dict(matrix.rows)[search] for search in ("darts", "beta_darts"))
    assert [search for search, _ in matrix.rows] == list(study.searches) and others[2] is None
    assert (cells[0].level, others[0].level) == (0.0, 1.0)
    # The scale is logarithmic in the error: 38 %, 8 % and 5.9 %.
    assert cells[1].level == pytest.approx(np.log(38 / 8) / np.log(38 / 5.9), abs=1e-3)
    assert cells[1].value == "92.00" and cells[1].more == ["± 1.41", "worst 91.00", "11:00"]
    assert "seed 0: 91.00, seed 1: 93.00" in cells[1].about


def test_selections_are_compared_over_all_searches_that_have_both(study, rows, left):
    summary = summarise(study, rows, [])
    (found,) = summary.over_searches(TRUE_TEST[0])  # zero_cost_pt is of one search
    assert (found.selection, found.baseline) == ("perturbation", "magnitude")
    assert found.searches == ("darts", "beta_darts")
    # By seed: (37 - 0.5) / 2 and (23 - 0.7) / 2.
    assert found.difference.number == 2 and found.difference.mean == pytest.approx((18.25 + 11.15) / 2)
    assert found.difference.std == pytest.approx(np.std([18.25, 11.15], ddof=1))
    page = (left / "leaderboard.html").read_text()
    assert re.search(r"all 2</td>\s*<td[^>]*>perturbation</td>\s*<td[^>]*>2</td>\s*<td[^>]*>\+14.70<", page)
    third = {**rows[0], "search": "oles", "seed": 0}
    begun = [*rows, third, {**third, "selection": "perturbation", TRUE_TEST[0]: 99.0}]  # of one seed so far
    assert summarise(study, begun, []).over_searches(TRUE_TEST[0]) == [found]
    one_search = [row for row in rows if row["search"] == "darts"]
    assert summarise(study, one_search, []).over_searches(TRUE_TEST[0]) == []


def test_the_page_is_whole_and_has_the_published_figures_with_what_differs(left):
    page = (left / "leaderboard.html").read_text()
    texts = [text.strip() for text in check_page(page)]
    for value in ("62.00", "92.00", "94.10", "94.36", "73.51", "0.85"):
        assert (value in texts) == (value in ("62.00", "92.00", "94.10", "94.36"))
    for figures in nas_bench_201_figures.published():
        assert figures.source in texts and f"{figures.cifar10:.2f}" in texts
    assert "search.channels 2, published 16" in texts
    assert "data.limit_train 32, published 0" in texts and not any("data.path" in t for t in texts)
    assert page.count('<table class="sorts">') == 4  # the script of every page sorts them
    cells = re.findall(r'<td class="n" style="background:rgba\(0,114,178,([\d.]+)\)" title="([^"]*)"', page)
    assert len(cells) == len(FOUND) and {float(depth) for depth, _ in cells} >= {0.0, 0.5}
    assert all(html.unescape(about).startswith(("darts, ", "beta_darts, ")) for _, about in cells)


def test_rank_correlations_stand_beside_it(study, rows):
    of = {"spearman": Statistics.of([0.5, 0.7])}
    compared = [Agreement("darts", "perturbation", "perturbation", "true_strength", {}, of, 0.25)]
    summary = summarise(study, rows, [])
    page = leaderboard.make(study, summary, leaderboard.costs_of(study, rows), compared)
    texts = [text.strip() for text in check_page(page)]
    assert {"Rank correlations", "0.60", "25 %"} <= set(texts)


def test_without_results_there_is_none(study, tmp_path):
    output = Output(tmp_path / "out")
    output.record(study)
    write(output, [], {})
    (output / "leaderboard.csv").write_text("of another study")
    leaderboard.leave(study, output, NoTables())
    assert not list(output.folder.glob("leaderboard*"))
