"""What the programs say and leave of NAS-Bench-201: the package's figures, or those of a table that is given.

The work directory is one whose stages have ended, so that nothing is computed.
"""

import json
from pathlib import Path

import pytest

from tests.nas_bench.made import table_text
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.workdir import events, genotype_file

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = f"--config={ROOT / 'configs' / 'quickstart.py'}"
GENOTYPES = {
    "magnitude": "|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
    "perturbation": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}


@pytest.fixture(scope="module")
def text():
    return table_text()


@pytest.fixture(scope="module")
def table(text):
    return NasBench201.parse(text)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": 1, **content}))


@pytest.fixture
def folder(tmp_path, text):
    """A folder with a table, and a work directory `run` that was made without one."""
    (tmp_path / "tables").mkdir()
    table_file.write(tmp_path / "tables" / "made.csv.gz", text)
    config = config_lib.default().to_dict() | {"space": "nas_bench_201"}
    config["data"] |= {"source": "digits"}
    del config["report"]  # as an earlier version recorded it
    write(tmp_path / "run" / "config.json", {"config": config})
    write(tmp_path / "run" / "search" / "result.json", {})
    for method, genotype in GENOTYPES.items():
        (tmp_path / "run" / "selection" / method).mkdir(parents=True)
        found = genotype_lib.from_text(genotype, spaces.get("nas_bench_201"))
        genotype_file.save(tmp_path / "run" / "selection" / method / "genotype.json", found)
        result = {"genotype": genotype, "parameters": 12_345, "test_accuracy": 0.5, "best_test_accuracy": 0.5}
        write(tmp_path / "run" / "training" / method / "result.json", result)
    return tmp_path


def entry_of(table, method):
    return table.lookup(genotype_lib.from_text(GENOTYPES[method], spaces.get("nas_bench_201")))


def test_select_says_the_true_accuracies_and_leaves_them(call, folder, table):
    ended = call("select", "--workdir=run", "--method=magnitude", "--table=tables/made.csv.gz", cwd=folder)
    assert ended.status == 0, ended.err
    entry = entry_of(table, "magnitude")
    lines = ended.out.splitlines()
    assert any(f"it is architecture {entry.index}, of 15,625" in line for line in lines)
    for data_set in ("CIFAR-10", "CIFAR-100", "ImageNet16-120"):
        for split in ("validation", "test"):
            score = entry.scores[data_set][split]
            row = [data_set, split, f"{score.accuracy:.2f}", f"{score.rank:,}", f"{score.regret:.2f}"]
            assert row in [line.split() for line in lines]
    assert lines[-1].startswith("Next: bin/train ")
    left = json.loads((folder / "run" / "selection" / "magnitude" / "table.json").read_text())
    assert (left["index"], left["text"]) == (entry.index, GENOTYPES["magnitude"])
    assert left["table"] == str(folder / "tables" / "made.csv.gz") and left["architectures"] == 15_625
    score = entry.scores["CIFAR-100"]["test"]
    assert left["scores"]["CIFAR-100"]["test"] == {
        "accuracy": score.accuracy, "rank": score.rank, "regret": score.regret
    }  # fmt: skip
    assert left["parameters"] == entry.parameters and left["multiply_adds"] == entry.multiply_adds


def test_run_compares_the_methods(call, folder, table):
    arguments = [QUICKSTART, "--workdir=run", "--config.report.table=tables/made.csv.gz"]
    ended = call("run", *arguments, cwd=folder)
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    found = [line.split() for line in lines]
    scores = {method: entry_of(table, method).scores["CIFAR-10"]["test"] for method in GENOTYPES}
    for method, s in scores.items():
        assert [method, "12,345", "50.00", "%", f"{s.accuracy:.2f}", "%", f"{s.rank:,}"] in found
        assert (folder / "run" / "selection" / method / "table.json").exists()
    values = table.column("c10_test200")
    assert ["random", "cell,", "mean", "-", "-", f"{values.mean():.2f}", "%", "-"] in found
    assert ["best", "of", "the", "space", "-", "-", f"{values.max():.2f}", "%", "1"] in found
    better = max(scores, key=lambda method: scores[method].accuracy)
    assert any(line.startswith(f"In truth, on CIFAR-10, {better}'s cell is better: ") for line in lines)


TABLE_SAYS = ["CIFAR-10", "test", "86.54"]  # the published table, of the cell that magnitude has here


def test_without_a_table_the_figures_are_those_of_the_package(call, folder):
    left = folder / "run" / "selection" / "magnitude"
    for table in ([], ["--table="]):
        ended = call("select", "--workdir=run", "--method=magnitude", *table, cwd=folder)
        assert ended.status == 0, ended.err
        (row,) = [line.split() for line in ended.out.splitlines() if line.split()[:2] == TABLE_SAYS[:2]]
        kept = json.loads((left / "table.json").read_text())
        score = kept["scores"]["CIFAR-10"]["test"]
        assert row == [*TABLE_SAYS, f"{score['rank']:,}", f"{score['regret']:.2f}"]
        assert kept["table"] == "tf_darts" and score["accuracy"] + score["regret"] == pytest.approx(94.373333)
    ended = call("train", "--workdir=run", "--method=magnitude", cwd=folder)
    assert ended.status == 0 and row in [line.split() for line in ended.out.splitlines()], ended.err


def test_tensorboard_has_the_figures_once(call, folder):
    left = folder / "run" / "selection" / "magnitude"

    def texts():
        values = [value for event in events.read(left) for value in event.summary.value]
        return [v.tensor.string_val[0].decode() for v in values if v.tag == "selection/true_accuracy"]

    for table in ([], [], ["--table=tables/made.csv.gz"], []):
        assert call("select", "--workdir=run", "--method=magnitude", *table, cwd=folder).status == 0
        (text,) = texts()
        assert ("86.54" in text) == (not table)


def test_another_table_is_no_other_config(call, folder, text):
    config = json.loads((folder / "run" / "config.json").read_text())["config"]
    for stage, sections in (
        ("search", ("data", "search")),
        ("selection/magnitude", ("data", "search", "selection")),
    ):
        part = {
            name: value for name, value in config.items() if not isinstance(value, dict) or name in sections
        }
        if "selection" in sections:
            part["selection"] = part["selection"] | {"method": "magnitude"}
        write(folder / "run" / stage / "config.json", {"config": part})
    for name in ("one", "two"):
        table_file.write(folder / f"{name}.csv.gz", text)
        ended = call("select", "--workdir=run", "--method=magnitude", f"--table={name}.csv.gz", cwd=folder)
        assert ended.status == 0, ended.err
        left = json.loads((folder / "run" / "selection" / "magnitude" / "table.json").read_text())
        assert left["table"] == str(folder / f"{name}.csv.gz")


@pytest.mark.parametrize("program", ["search", "select", "run"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table=no.csv.gz"], "report.table: NAS-Bench-201 table '{}/no.csv.gz': no such file"),
        (
            ["--config.report.table=no.csv.gz"],
            "report.table: NAS-Bench-201 table '{}/no.csv.gz': no such file",
        ),
        (["--table=run/config.json"], "report.table: NAS-Bench-201 table '{}/run/config.json' is not gzip"),
        (
            ["--table=tables/made.csv.gz", "--config.space=darts"],
            "report.table is 'tables/made.csv.gz' and space is 'darts'; allowed: a table only with space ",
        ),
    ],
)
def test_a_table_that_is_no_use_is_an_error_before_any_work(call, folder, program, arguments, message):
    before = sorted(folder.rglob("*"))
    ended = call(program, QUICKSTART, "--workdir=run", *arguments, cwd=folder)
    assert ended.status == 2 and ended.out == ""
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert message.format(folder) in ended.err
    assert sorted(folder.rglob("*")) == before
