"""What bin/run and a work directory's page say of the two selections: every way that it can come out."""

import json

import pytest

from tests.report import made
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.plots.table import NetworkRow
from tf_darts.report import comparison_page, outcome, workdir_contents, workdir_page
from tf_darts.study.collect import TRAINED


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


def with_rivals(folder, correct, epochs=(2, 10)):
    """Make a work directory; the arguments say how many of 200 test images each network gets right."""
    names = ("magnitude", "perturbation", "random_cell", "residual_network")
    made.workdir(
        folder, {n: c / made.IMAGES for n, c in zip(names[:2], correct[:2], strict=True)}, mistakes=False
    )
    for name, right, trained, due in zip(names[2:], correct[2:], epochs, (2, 10), strict=True):
        if right is None:
            continue
        path = folder / "training" / name
        made.training(path, made.genotype_of(folder, "magnitude"), right / made.IMAGES, None, False)
        rival = {"of": "perturbation", "due_epochs": due}
        rival |= {"network": {"widths": [2, 2, 2], "stem": "plain", "blocks": 2}} if due == 10 else {}
        made.write(path / "config.json", {"config": {"rival": rival}})
        content = json.loads((path / "result.json").read_text())
        made.write(path / "result.json", content | {"epochs": trained})
    record = workdir_contents.read(folder)
    return record, outcome.rows(record, None)


@pytest.mark.parametrize(
    ("correct", "epochs", "beside", "last"),
    [
        (
            (180, 180, 100, 150),
            (2, 10),
            (
                "40.00 points ahead of random_cell's, which is more",
                "15.00 points ahead of residual_network's, which is more",
            ),
            "So take perturbation: it is better than random_cell and residual_network.",
        ),
        (
            (180, 180, 100, 150),
            (2, 3),
            ("40.00 points ahead of random_cell's", "15.00 points ahead of residual_network's"),
            "So take perturbation: it is better than random_cell and residual_network, but residual_network"
            " had too little time for this to be certain.",
        ),
        (
            (180, 180, 100, 182),
            (2, 10),
            (
                "40.00 points ahead of random_cell's, which is more",
                "1.00 points behind residual_network's, which is within",
            ),
            "So chance decides between perturbation and residual_network: 200 test images",
        ),
        (
            (180, 180, 180, 178),
            (2, 10),
            ("as good as random_cell's", "1.00 points ahead of residual_network's, which is within chance"),
            "So chance decides between perturbation and random_cell and residual_network: 200 test images",
        ),
        (
            (180, 140, 142, 180),
            (2, 10),
            (
                "1.00 points behind random_cell's, which is within",
                "20.00 points behind residual_network's, which is more",
            ),
            "So take residual_network, which is better than what was found. It is trained already, and"
            " bin/export --name=residual_network writes its files. To find a better network, give",
        ),
        (
            (180, 140, 190, 180),
            (2, 10),
            (
                "25.00 points behind random_cell's, which is more",
                "20.00 points behind residual_network's, which is more",
            ),
            "So take random_cell, which is better than what was found",
        ),
    ],
)
def test_the_last_line_says_which_network_to_take(tmp_path, correct, epochs, beside, last):
    record, rows = with_rivals(tmp_path, correct, epochs)
    assert [row.method for row in rows] == ["magnitude", "perturbation", "random_cell", "residual_network"]
    assert [row.rival for row in rows] == [False, False, True, True]
    said = outcome.verdict(record, rows)
    for sentence in beside:
        assert any(f"perturbation's network is {sentence}" in line for line in said), said
    assert said[-1].startswith(last)
    assert any("cut short: it had 3 of the 10" in line for line in said) == (epochs[1] == 3)


def test_a_residual_network_is_in_the_comparison_of_work_directories(tmp_path):
    record, _ = with_rivals(tmp_path / "one", (180, 180, 100, 150))
    first, *_, last = comparison_page.rows_of(record, "darts")
    assert first["selection"] == "magnitude"  # the baseline
    assert (last["selection"], last[TRAINED], last["genotype"]) == ("residual_network", 75.0, None)
    page = comparison_page.make([record], None, tmp_path / "page.html")
    assert "darts/residual_network" in page


def test_rivals_are_compared_only_where_they_are_trained_and_asked_for(tmp_path):
    record, rows = with_rivals(tmp_path, (180, 180, 100, None))
    page = workdir_page.make(record)
    assert all(line.replace("'", "&#39;") in page for line in outcome.verdict(record, rows))
    assert "<td>random_cell</td>" in page and "<td>residual_network</td>" not in page
    assert [row.method for row in rows] == ["magnitude", "perturbation", "random_cell"]
    assert outcome.verdict(record, rows)[-1] == "So take perturbation: it is better than random_cell."
    (tmp_path / "training" / "random_cell" / "result.json").unlink()
    record = workdir_contents.read(tmp_path)
    last = outcome.verdict(record, outcome.rows(record, None))[-1]
    assert last == "random_cell is not trained yet, so it is not compared."
    assert [row.method for row in outcome.rows(record, None, ["magnitude"])] == ["magnitude"]


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
