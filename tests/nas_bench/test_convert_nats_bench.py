"""From NATS-Bench to the table: every figure from its place, and what is refused."""

import csv
import gzip
import sys
import types

import numpy as np
import pytest

from tests.nas_bench.made import TEXTS, NatsBench
from tf_darts import trust
from tf_darts.cli import convert_nats_bench as cli
from tf_darts.errors import UserError
from tf_darts.nas_bench.convert_nats_bench import COLUMNS, convert
from tf_darts.nas_bench.nas_bench_201 import NasBench201

# Column, training data, epochs and key, as the README of the published table describes its columns.
PLACES = [
    ("c10_val200", "cifar10-valid", "200", "valid-accuracy"),
    ("c10_test200", "cifar10", "200", "test-accuracy"),
    ("c10_test200_train25k", "cifar10-valid", "200", "test-accuracy"),
    ("c100_val200", "cifar100", "200", "valid-accuracy"),
    ("c100_test200", "cifar100", "200", "test-accuracy"),
    ("c100_valtest200", "cifar100", "200", "valtest-accuracy"),
    ("in16_val200", "ImageNet16-120", "200", "valid-accuracy"),
    ("in16_test200", "ImageNet16-120", "200", "test-accuracy"),
    ("in16_valtest200", "ImageNet16-120", "200", "valtest-accuracy"),
    ("c10_val12", "cifar10-valid", "12", "valid-accuracy"),
    ("c10_test12", "cifar10", "12", "test-accuracy"),
    ("c100_val12", "cifar100", "12", "valid-accuracy"),
    ("c100_test12", "cifar100", "12", "test-accuracy"),
    ("in16_val12", "ImageNet16-120", "12", "valid-accuracy"),
    ("in16_test12", "ImageNet16-120", "12", "test-accuracy"),
    ("c10_train_time200_s", "cifar10-valid", "200", "train-all-time"),
    ("c100_train_time200_s", "cifar100", "200", "train-all-time"),
    ("in16_train_time200_s", "ImageNet16-120", "200", "train-all-time"),
]


@pytest.fixture(scope="module")
def converted():
    api = NatsBench()
    return api, NasBench201.parse(convert("no-folder.pickle.pbz2", api.call))


@pytest.mark.parametrize(("column", "data", "epochs", "key"), PLACES)
def test_every_figure_comes_from_its_place(converted, column, data, epochs, key):
    api, table = converted
    expected = [api.figure(i, data, epochs, key) for i in range(len(TEXTS))]
    assert np.array_equal(table.column(column), expected)


def test_runs_and_costs(converted):
    api, table = converted
    assert table.texts == tuple(TEXTS)
    assert table.column("n_runs200").tolist() == [2, 3] * 7812 + [2]
    for run, seed in ((1, 777), (2, 888), (3, 999)):
        expected = [
            api.figure(i, "cifar10-valid", "200", "valid-accuracy", seed) if seed in api.seeds(i) else np.nan
            for i in range(len(TEXTS))
        ]
        assert np.array_equal(table.column(f"c10_val200_run{run}"), expected, equal_nan=True)
    for prefix, data in (("c10", 1), ("c100", 2), ("in16", 3)):
        assert np.allclose(table.column(f"{prefix}_params_M"), 0.1 + data + np.arange(len(TEXTS)) / 1e5)
        assert np.allclose(table.column(f"{prefix}_flops_M"), 10 + data + np.arange(len(TEXTS)) / 1e5)


def test_no_column_is_left_out(converted, shared):
    tested = {column for column, *_ in PLACES} | {f"c10_val200_run{run}" for run in (1, 2, 3)}
    tested |= {f"{p}_{cost}" for p in ("c10", "c100", "in16") for cost in ("params_M", "flops_M")}
    assert tested | {"index", "arch", "n_runs200"} == set(COLUMNS)
    assert set(converted[1].columns) == set(COLUMNS) - {"arch"}
    with gzip.open(shared / "data" / "nas_bench_201" / "nb201.csv.gz", "rt") as file:
        published = next(csv.reader(file))
    assert [column for column in published if column != "params_record_mismatch"] == list(COLUMNS)


def test_a_file_is_opened_once_and_a_folder_often(tmp_path, converted):
    assert converted[0].created == [("no-folder.pickle.pbz2", False)]
    api, most = NatsBench(), 0

    class Watched(NatsBench):
        def query_by_index(self, arch_index, dataname=None, hp="12"):
            nonlocal most
            most = max(most, len(self.read))
            return super().query_by_index(arch_index, dataname, hp)

    api = Watched()
    table = NasBench201.parse(convert(str(tmp_path), api.call))
    assert set(api.created) == {(str(tmp_path), True)}
    assert most <= 250  # what the package holds at most
    assert np.array_equal(table.column("in16_val200"), converted[1].column("in16_val200"))


def test_a_source_without_the_short_schedule_leaves_gaps():
    table = NasBench201.parse(convert("file", NatsBench(epochs=("200",)).call))
    assert np.isnan(table.column("c10_test12")).all() and not np.isnan(table.column("c10_test200")).any()


def not_there(*arguments, **settings):
    raise ValueError("no-folder is neither a file\nor a dir.")


class Lacking(NatsBench):
    """Without the test accuracy on CIFAR-100 of one architecture."""

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        info = super().get_more_info(index, dataset, iepoch, hp, is_random)
        if index == 3 and dataset == "cifar100":
            del info["test-accuracy"]
        return info


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (not_there, "cannot be read: ValueError: no-folder is neither a file or a dir."),
        (NatsBench(TEXTS[:100]).call, "has 100 architectures; allowed: 15625"),
        (
            NatsBench(broken=7).call,
            "architecture 7 cannot be read: ValueError: Did not find 7 from",
        ),
        (NatsBench(epochs=("12",)).call, "cannot be read: KeyError: '200'"),
        pytest.param(
            NatsBench([*TEXTS[:-1], TEXTS[0]]).call,
            "line 15626, arch is .* also in line 2",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            NatsBench(["64:64:64:64:64", *TEXTS[1:]]).call,
            "line 2, arch is '64:64:64:64:64'; allowed: ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Lacking().call,
            "line 5, c100_test200 is ''; allowed: a number from 0 to 100",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_sources_that_are_no_use(create, message):
    with pytest.raises(UserError, match=f"^NATS-Bench source 'file'.*{message}") as error:
        convert("file", create)
    assert "\n" not in str(error.value)


def test_the_package_itself():
    """The same figures, out of the benchmark's own classes; no file is read."""
    nats_bench = pytest.importorskip("nats_bench", reason="NATS-Bench is not installed: the extra nats-bench")
    made = NatsBench()
    contents = {"meta_archs": TEXTS, "evaluated_indexes": list(range(len(TEXTS))), "arch2infos": {}}
    # In the package's own terms: which sets a model is evaluated on, and what they are to us.
    sets = {
        "cifar10-valid": {"x-valid": "valid-accuracy", "ori-test": "test-accuracy"},
        "cifar10": {"ori-test": "test-accuracy"},
        "cifar100": {"x-valid": "valid-accuracy", "x-test": "test-accuracy", "ori-test": "valtest-accuracy"},
    }
    sets["ImageNet16-120"] = sets["cifar100"]

    def results(index, epochs):
        found = nats_bench.ArchResults(index, TEXTS[index])
        for place, (data, evaluations) in enumerate(sets.items()):
            for seed in made.seeds(index):
                accuracies = {f"{name}@0": made.figure(index, data, epochs, key, seed)
                              for name, key in evaluations.items()}  # fmt: skip
                one = nats_bench.ResultsCount(
                    data, None, {0: 99.0}, {0: 0.1}, 0.1 + place + index / 1e5, 10.0 + place + index / 1e5,
                    {}, seed, 1, None,
                )  # fmt: skip
                one.update_train_info({0: 99.0}, None, {0: 0.1}, {0: 1000.0 + place + index})
                one.update_eval(accuracies, dict.fromkeys(accuracies, 0.1), dict.fromkeys(accuracies, 1.0))
                found.update(data, seed, one)
        return found.state_dict()

    for index in range(len(TEXTS)):
        contents["arch2infos"][index] = {epochs: results(index, epochs) for epochs in ("12", "200")}

    def create(path, space, fast_mode, verbose):
        assert not fast_mode
        return nats_bench.create(contents, space, fast_mode=False, verbose=verbose)

    table = NasBench201.parse(convert("file", create))
    assert table.texts == tuple(TEXTS)
    for column, data, epochs, key in PLACES:
        if key == "train-all-time":
            expected = 1000.0 + list(sets).index(data) + np.arange(len(TEXTS))
        else:
            expected = [np.mean([made.figure(i, data, epochs, key, seed) for seed in made.seeds(i)])
                        for i in range(len(TEXTS))]  # fmt: skip
        assert np.allclose(table.column(column), expected, rtol=0, atol=1e-6)
    runs = [made.figure(4, "cifar10-valid", "200", "valid-accuracy", seed) for seed in (777, 888)]
    assert [table.column(f"c10_val200_run{run}")[4] for run in (1, 2)] == runs
    assert np.isnan(table.column("c10_val200_run3")[4]) and table.column("n_runs200")[4] == 2
    assert np.allclose(table.column("c100_params_M"), 2.1 + np.arange(len(TEXTS)) / 1e5)
    assert np.allclose(table.column("in16_flops_M"), 13 + np.arange(len(TEXTS)) / 1e5)


# The program.


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Runs the program on flags, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(source, output, *named):
        for name, value in (("_SOURCE", source), ("_OUTPUT", output)):
            monkeypatch.setattr(cli, name, types.SimpleNamespace(value=value))
        trust.allow(*named)
        return cli.program()

    return run


@pytest.fixture
def package(monkeypatch):
    """The benchmark's package, as far as it is used."""
    module = types.ModuleType("nats_bench")
    module.__spec__ = types.SimpleNamespace(name="nats_bench")
    module.create = NatsBench().call
    monkeypatch.setitem(sys.modules, "nats_bench", module)


def test_the_program_writes_a_table(program, package, tmp_path, capsys):
    (tmp_path / "archive").mkdir()
    program("archive", "made.csv.gz", "archive")
    table = NasBench201.load(tmp_path / "made.csv.gz")
    output = capsys.readouterr().out
    best = int(np.argmax(table.column("c10_test200")))
    assert "15,625 architectures are in made.csv.gz." in output
    assert TEXTS[best] in output and f"{table.column('c10_test200')[best]:.2f} %" in output
    assert output.splitlines()[-1] == "Next: bin/select --workdir=WORKDIR --table=made.csv.gz"


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        (None, "new.csv.gz", "--source: missing; give a folder or file"),
        ("nowhere", "new.csv.gz", "--source: 'nowhere': no such folder or file"),
        ("archive", None, "--output: missing; give the file for the table"),
        ("archive", "old.csv.gz", "--output: 'old.csv.gz' is there already; allowed: a new file"),
        ("archive", "no/new.csv.gz", "--output: 'no/new.csv.gz'; allowed: a file in a folder that exists"),
    ],
)
def test_what_the_program_refuses(program, package, tmp_path, source, output, message):
    (tmp_path / "archive").mkdir()
    (tmp_path / "old.csv.gz").write_text("old")
    with pytest.raises(UserError, match=message):
        program(source, output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "old.csv.gz"]
    assert (tmp_path / "old.csv.gz").read_text() == "old"


def test_a_pickle_is_opened_only_where_the_user_says_so(program, package, tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "elsewhere").mkdir()
    trust._named.clear()
    for named in ((), ("elsewhere",)):
        with pytest.raises(UserError, match="'archive' is a pickle: .*; allowed: .* --trust=archive$"):
            program("archive", "new.csv.gz", *named)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "elsewhere"]


def test_without_the_package_it_says_how_to_get_it(program, monkeypatch, tmp_path):
    (tmp_path / "archive").mkdir()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"nats_bench is missing; run: pip install -e '\.\[nats-bench\]'"):
        program("archive", "new.csv.gz", "archive")
