"""What bin/run and a work directory's page say of the two selections: every way that it can come out."""

import pytest

from tests.report import made
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.plots.table import NetworkRow
from tf_darts.report import outcome, workdir_contents, workdir_page


def result(correct, images):
    return {"test_accuracy": correct / images, "test_images": images}


def test_the_interval_of_a_difference_is_newcombes():
    """The first example of his paper, as its table 2 has it (method 10)."""
    value, low, high = outcome.difference(result(56, 70), result(48, 80))
    assert (round(value, 4), round(low, 4), round(high, 4)) == (0.2, 0.0524, 0.3339)
    assert outcome.difference(result(48, 80), result(56, 70)) == pytest.approx((-value, -high, -low))


@pytest.mark.parametrize(
    ("correct", "true", "says"),
    [
        (
            (180, 182),
            (92.0, 93.0),
            ("1.00 points ahead of magnitude's, which is within chance", "perturbation"),
        ),
        ((180, 100), (92.0, 93.0), ("40.00 points behind magnitude's, which is more than", "perturbation")),
        ((100, 180), (93.0, 92.0), ("40.00 points ahead of magnitude's, which is more than", "magnitude")),
        ((180, 180), (93.0, 93.0), ("as good as magnitude's (95 % interval of the difference -6", None)),
    ],
)
def test_the_verdict_is_that_of_the_figures(tmp_path, correct, true, says):
    names = ("magnitude", "perturbation")
    made.workdir(tmp_path, {n: c / made.IMAGES for n, c in zip(names, correct, strict=True)}, mistakes=False)
    rows = [NetworkRow(n, n, 10, None, t, int(100 - t)) for n, t in zip(names, true, strict=True)]
    record = workdir_contents.read(tmp_path)
    networks, cells, seeds = outcome.verdict(record, rows)
    assert f"On the 200 test images here, perturbation's network is {says[0]}" in networks
    if says[1] is None:
        assert cells == "In truth, on CIFAR-10, the two cells are equally good."
    else:
        (other,) = set(names) - {says[1]}
        better = f"In truth, on CIFAR-10, {says[1]}'s cell is better: 93.00 % and rank 7, "
        assert cells == f"{better}{other}'s has 92.00 % and rank 8."
    assert seeds.startswith("One seed says little")
    same = [NetworkRow(n, "|a~0|", 10, None, 93.0, 7) for n in names]
    assert outcome.verdict(record, same) == ["Magnitude and perturbation selected the same cell."]
    assert outcome.verdict(record, rows[1:]) == []


def test_the_page_has_the_same_rows_and_sentences(found, page):
    rows = outcome.rows(found, NasBench201.of_package())
    assert [row.method for row in rows][-3:] == ["random cell, mean", "ResNet's cell", "best of the space"]
    for row in rows:
        name, cells = row.method.replace("'", "&#39;"), row.figures()
        assert f"<td>{name}</td>" in page and f'>{cells[2]}</td><td class="n">{cells[3]}</td>' in page
    for sentence in outcome.verdict(found, rows):
        assert sentence.replace("'", "&#39;") in page


def test_before_anything_is_selected_there_is_no_table(tmp_path):
    made.workdir(tmp_path)
    for stage in ("selection", "training"):
        (tmp_path / stage).rename(tmp_path / f"no_{stage}")
    text = workdir_page.make(workdir_contents.read(tmp_path))
    assert "best of the space" not in text and outcome.rows(workdir_contents.read(tmp_path), None) == []
