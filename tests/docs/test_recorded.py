"""What results/ and docs/results.md say of the studies is what their recorded rows give."""

import re

import pytest

from tests.docs import recorded
from tests.docs.pages import ROOT
from tf_darts import spaces
from tf_darts.genotypes.genotype import from_text
from tf_darts.nas_bench.nas_bench_201 import RESNET, NasBench201

STUDIES = {study.folder: study for study in recorded.STUDIES}


@pytest.mark.parametrize("folder", ["recommended", "search_epochs", "leaderboard"])
def test_a_summary_is_that_of_the_recorded_rows(folder):
    text, drawn = recorded.made(STUDIES[folder])
    assert (ROOT / "results" / folder / "summary.md").read_text(encoding="utf-8") == text
    assert list(drawn) == [name for name in [STUDIES[folder].comparison] if name]


@pytest.mark.parametrize("leaderboard", [recorded.LEADERBOARD, recorded.LARGER])
def test_the_leaderboard_is_that_of_the_recorded_rows(tmp_path, leaderboard):
    recorded.write_leaderboard(tmp_path / "leaderboard.csv", leaderboard)
    written = (ROOT / "results" / leaderboard.folder / "leaderboard.csv").read_text(encoding="utf-8")
    assert (tmp_path / "leaderboard.csv").read_text(encoding="utf-8") == written


def test_every_folder_of_a_study_is_known():
    assert {path.parent.name for path in (ROOT / "results").glob("*/results.csv")} == STUDIES.keys()


@pytest.mark.parametrize("data_set", ["CIFAR-10", "CIFAR-100", "ImageNet16-120"])
def test_every_table_of_true_accuracies_has_what_to_compare_with(data_set):
    table = NasBench201.of_package()
    accuracies = table.columns[recorded.accuracy_column(data_set, "test")]
    resnet = table.lookup(from_text(RESNET, spaces.get("nas_bench_201"))).scores[data_set]["test"]
    expected = [f"{accuracies.mean():.2f}", f"{resnet.accuracy:.2f}", f"{accuracies.max():.2f}"]
    assert [accuracy for accuracy, _ in recorded.references(data_set).values()] == expected
    for path in (ROOT / "results").glob("*/summary.md"):
        text = path.read_text(encoding="utf-8")
        for part in text.split("True test accuracy on ")[1:]:
            if part.startswith(data_set + " "):
                rows = re.findall(r"^\| NAS-Bench-201 .*?(\d+\.\d+) \|", part, re.M)
                assert rows[:3] == expected, path


def test_the_page_of_results_has_them_too():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert recorded.with_references(page) == page, "run python -m tests.docs.recorded"
    for make in (
        recorded.with_leaderboard,
        recorded.with_statistics,
        recorded.with_epochs,
        recorded.with_larger,
    ):
        assert make(page) == page, "run python -m tests.docs.recorded"
        with pytest.raises(ValueError, match="not in the page: | search"):
            make("# Results")
    assert page.count("| ResNet's cell |") == page.count("| best of the space |") == 8
    with pytest.raises(ValueError, match="not in the page: | search"):
        recorded.with_references("# Results")


def test_so_does_the_first_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (?:a random cell|ResNet's cell|the best of all cells) \| ([\d.]+) \|", readme, re.M
    )
    assert rows == [accuracy for accuracy, _ in recorded.references().values()]
