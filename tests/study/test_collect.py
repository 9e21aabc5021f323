"""What is collected from work directories, against direct computation; the directories are made, not run."""

import csv
import itertools
import json

import numpy as np
import pytest
from scipy import stats

from tests.study.small import small
from tf_darts import spaces
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.models import decision_state
from tf_darts.models.architecture import Architecture
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import RESNET, NasBench201, accuracy_column
from tf_darts.registry import METHODS
from tf_darts.search.alpha_summary import describe
from tf_darts.selection import magnitude
from tf_darts.study import collect, epochs, pictures, settings, summary
from tf_darts.study.collect import Tables
from tf_darts.study.conclude import conclude
from tf_darts.study.output import Output
from tf_darts.study.report import report
from tf_darts.workdir import genotype_file, stage_folders
from tf_darts.workdir.decisions import (
    DecisionsFile,
    MagnitudeDecision,
    Measured,
    OperationDecision,
    Probe,
    RandomDecision,
    Round,
    ShapleyDecision,
    TopologyDecision,
)

SPACE = spaces.get("nas_bench_201")
EPOCHS = 3


def probe(correct, **about):
    return Probe(correct=correct, images=8, accuracy=correct / 8, loss=0.5, **about)


# What each selection left, of each kind one.
DECISIONS = {
    "magnitude": [
        MagnitudeDecision(
            cell_type="normal",
            edge=1,
            edge_name="2<-0",
            mixing_weights={"none": 0.25, "skip_connect": 0.75},
            chosen="skip_connect",
        )
    ],
    "by_loss": [
        OperationDecision(
            number=0,
            epoch=0,
            cell_type="normal",
            edge=0,
            edge_name="1<-0",
            operation=1,
            chosen="skip_connect",
            probes=(
                probe(6, operation="none", lost=0, gained=2),
                probe(2, operation="skip_connect", lost=4, gained=1),
            ),
            whole=probe(5),
            mixing_weights={"none": 0.5, "skip_connect": 0.5},
        ),
        OperationDecision(
            number=1,
            epoch=2,
            cell_type="normal",
            edge=1,
            edge_name="2<-0",
            operation=0,
            chosen="none",
            measured=Measured(importance={"none": 0.0, "skip_connect": -0.5}, images=8, passes=24),
        ),
        TopologyDecision(
            number=2,
            epoch=4,
            cell_type="normal",
            node=2,
            rounds=(
                Round(
                    probes=(probe(3, edge=1, edge_name="2<-0"), probe(5, edge=2, edge_name="2<-1")),
                    removed=(2,),
                ),
            ),
            removed=(2,),
            kept=(1,),
            kept_names=("2<-0",),
        ),
        ShapleyDecision(
            cell_type="normal",
            edge=3,
            edge_name="3<-0",
            importance={"none": 0.0, "skip_connect": 0.125},
            values={"none": 0.0, "skip_connect": 0.25},
            mixing_weights={"none": 0.5, "skip_connect": 0.5},
            chosen="skip_connect",
        ),
    ],
    "random": [RandomDecision(genotype="drawn")],
}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": 1, **content}))


def architecture_of(seed, method="darts", space=SPACE, config=None):
    """Return an architecture whose alpha is drawn, with the method's way to weigh."""
    made = METHODS.load(method)(config or settings.validate(small()).jobs[0].config, space)
    return Architecture(space, 1.0, seed, made.normalise, made.weighs_edges, made.partial_channels > 1)


@pytest.fixture(scope="module")
def study(table_path):
    config = small()
    config.base.report.table = str(table_path)
    config.selections["by_loss"].supernets = 2
    config.trains = ("random",)
    config.analyses = ("hessian", "perturbation")
    config.seeds = (0, 1, 2)
    return settings.validate(config)


def comparison(measure, value, same):
    """Return a comparison as an analysis leaves it; value None: not defined."""
    found = {kind: {"value": value and value / n} for n, kind in enumerate(("spearman", "kendall"), 1)}
    return {
        "measure": measure,
        "against": "true_strength",
        "within_edges": found,
        "pooled": {"spearman": {"value": value and value / 4}},
        "edges": 6,
        "same_best": same,
        "lost": 0.5,
    }


@pytest.fixture(scope="module")
def output(tmp_path_factory, study, table):
    """Write work directories of all jobs but for one selection of the last; every genotype is another."""
    output = Output(tmp_path_factory.mktemp("study"))
    output.record(study)
    numbers = itertools.count(100, 7)
    for place, job in enumerate(study.jobs):
        folder = output.search_stage(job).path
        rows = []
        for epoch in range(EPOCHS):
            values = describe(architecture_of(1000 * place + epoch))
            accuracy = {"evaluation/test_accuracy": 0.1 * (epoch + 1)} if epoch != 1 else {}
            for step in range(2):
                seen = {"train_loss": 1.0 + place + step, "train_accuracy": 0.25 * (step + epoch)}
                valid = {"valid_loss": 2.0 - epoch} if job.search == "darts" else {}
                rows += [{"step": 2 * epoch + step, "epoch": epoch, **seen, **valid}]
            skipped = {"train_loss": None, "train_accuracy": None, "skipped": 1.0}
            rows += [{"step": 2 * epoch + 1, "epoch": epoch, **skipped}]
            rows += [{"step": epoch, "finished_epoch": epoch, **values, **accuracy}]
        write(folder / "result.json", {"last_epoch": rows[-1]})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        write(folder / "seconds.json", {"seconds": 10.0 + place, "starts": 1})
        write(output.workdir(job) / "search_2" / "seconds.json", {"seconds": 100.0, "starts": 1})
        for selection, config in job.selections.items():
            if job is study.jobs[-1] and selection == "by_loss":
                continue
            path = output.workdir(job) / "selection" / stage_folders.selection_name(config)
            path.mkdir(parents=True)
            genotype_file.save(path / "genotype.json", table.genotype(next(numbers)), SPACE)
            write(path / "seconds.json", {"seconds": 2.5, "cpu_seconds": 4.5, "starts": 2})
            DecisionsFile(path).append(*DECISIONS[selection])
        result = {"test_accuracy": 0.5 + place / 100, "parameters": 1000 + place}
        write(output.workdir(job) / "training" / "random" / "result.json", result)
        if job.name == "fixed-seed1":  # of this one nothing is analysed yet
            continue
        write(output.analysis_result(job, "hessian"), {"eigenvalues": [1.0]})
        alpha = None if job.search == "fixed" else 0.1 * place
        compared = [
            comparison("mixing_weight", alpha, 1),
            comparison("perturbation", 0.8 - 0.1 * place, place),
        ]
        write(output.analysis_result(job, "perturbation"), {"comparisons": compared})
    return output


@pytest.fixture(scope="module")
def text(study, output):
    """Write all files into the output folder; return the report."""
    tables = Tables()
    for job in study.jobs:
        tables.of(job)
    return conclude(study, output, tables)


def results(output):
    return json.loads((output / "results.json").read_text())["rows"]


def test_a_row_for_every_finished_selection(text, study, output, table):
    rows = results(output)
    assert len(rows) == 14 == 3 * (3 + 2) - 1
    assert [(row["search"], row["selection"], row["seed"]) for row in rows[:4]] == [
        ("darts", "magnitude", 0),
        ("darts", "magnitude", 1),
        ("darts", "magnitude", 2),
        ("darts", "by_loss", 0),
    ]
    for row in rows:
        job = study.job(f"{row['search']}-seed{row['seed']}")
        place = study.jobs.index(job)
        genotype = output.genotype(job, row["selection"], SPACE)
        assert row["genotype"] == genotype.to_text(SPACE)
        entry = table.lookup(genotype)
        for data_set, prefix in table_file.PREFIXES.items():
            for split in ("validation", "test"):
                score = entry.scores[data_set][split]
                found = [row[f"{prefix}_{split}_{figure}"] for figure in ("accuracy", "rank", "regret")]
                assert found == [score.accuracy, score.rank, score.regret]
        others = 100.0 if row["selection"] == "by_loss" else 0.0  # what it looked at besides the search
        assert (row["search_seconds"], row["selection_seconds"]) == (10.0 + place + others, 2.5)
        assert (row["search_cpu_seconds"], row["selection_cpu_seconds"]) == (
            None,
            4.5,
        )  # an older record has none
        assert row["supernet_test_accuracy"] == 30.0
        trained = row["selection"] == "random"
        assert row["test_accuracy"] == (pytest.approx(50.0 + place) if trained else None)
        assert row["parameters"] == (1000 + place if trained else None)


def test_operations_are_counted(text, output):
    for row in results(output):
        names = [entry.split("~")[0] for entry in row["genotype"].replace("+", "").split("|") if entry]
        assert row["skip_connections"] == names.count("skip_connect")
        assert row["none"] == names.count("none")
        assert row["convolutions"] == names.count("nor_conv_1x1") + names.count("nor_conv_3x3")
    assert any(row["none"] for row in results(output))


def test_noise_is_counted_too():
    convolution, noise = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)], [("noise", 0), ("sep_conv_3x3", 1)]
    cells = f"normal={convolution * 3 + noise}, normal_concat=range(2, 6), reduce={noise * 4}"
    text = f"Genotype({cells}, reduce_concat=range(2, 6))"
    found = collect.counts(genotype_lib.from_text(text, spaces.get("s4")))
    assert found == {"skip_connections": 0, "none": 0, "noise": 5, "convolutions": 11}


def test_the_csv_file_says_the_same(text, output):
    with (output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, plain in zip(rows, results(output), strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in plain.items()}


def test_the_summary_is_that_of_the_seeds(text, output, table):
    content = json.loads((output / "summary.json").read_text())
    assert (content["finished"], content["planned"], content["confidence"]) == (14, 15, 0.95)
    rows = results(output)
    measures = {group["measure"] for group in content["groups"]}
    assert measures == {"c10_test_accuracy", "c100_test_accuracy", "in16_test_accuracy", "test_accuracy"}
    for group in content["groups"]:
        key, measure = (group["search"], group["selection"]), group["measure"]
        values = [row[measure] for row in rows if (row["search"], row["selection"]) == key]
        assert list(group["values"].values()) == values
        found = group["statistics"]
        assert found["number"] == len(values) == (2 if key == ("fixed", "by_loss") else 3)
        assert found["mean"] == pytest.approx(np.mean(values)) and found["min"] == min(values)
        assert found["std"] == pytest.approx(np.std(values, ddof=1))
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    for prefix in ("c10", "c100", "in16"):
        column = table.column(f"{prefix}_test200")
        reference = content["references"][f"{prefix}_test_accuracy"]
        resnet = column[table.texts.index(RESNET)]
        assert reference == {"random": pytest.approx(column.mean()), "resnet": resnet, "best": column.max()}
        rows = [line.strip("| ").split("|") for line in text.splitlines() if "| NAS-Bench-201 " in line]
        said = {tuple(cell.strip() for cell in row[1:4]) for row in rows}
        assert ("ResNet's cell", "-", f"{resnet:.2f}") in said and len(rows) == 9


def test_differences_are_paired_by_seed(text, output):
    content = json.loads((output / "summary.json").read_text())
    rows = {(row["search"], row["selection"], row["seed"]): row for row in results(output)}
    compared = {(g["search"], g["selection"], g["measure"]): g for g in content["groups"] if g["difference"]}
    kinds = {key[:2] for key in compared}
    assert kinds == {("darts", "by_loss"), ("darts", "random")}  # fixed has no magnitude
    for (search, selection, measure), group in compared.items():
        expected = [
            rows[search, selection, seed][measure] - rows[search, "magnitude", seed][measure]
            for seed in range(3)
        ]
        assert list(group["differences"].values()) == pytest.approx(expected)
        ours, theirs = (
            [rows[search, s, seed][measure] for seed in range(3)] for s in (selection, "magnitude")
        )
        interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
        found = group["difference"]
        assert (found["low"], found["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
        assert group["baseline"] == f"{search}/magnitude"


def test_a_baseline_of_one_search_is_for_all(study, output, table, text):
    other = settings.validate({**study.config, "baseline": "darts/magnitude"})
    found = summary.summarise(other, results(output), [table]).groups
    compared = {(group.search, group.selection) for group in found if group.difference}
    assert compared == {("darts", "by_loss"), ("darts", "random"), ("fixed", "by_loss"), ("fixed", "random")}
    group = next(g for g in found if (g.search, g.selection) == ("fixed", "by_loss"))
    assert set(group.differences) == {0, 1}  # the seeds that both have
    without = settings.validate({**study.config, "baseline": ""})
    assert not any(g.difference for g in summary.summarise(without, results(output), [table]).groups)


def test_statistics_of_one_value_and_of_equal_ones():
    one = summary.Statistics.of([3.0])
    assert (one.mean, one.min, one.std, one.low, one.high) == (3.0, 3.0, None, None, None)
    equal = summary.Statistics.of([3.0, 3.0])
    assert (equal.std, equal.low, equal.high) == (0.0, 3.0, 3.0)


def test_the_report_has_the_figures(text, output, study):
    assert (output / "summary.md").read_text() == text
    assert "14 of 15 selections are finished" in text and f"- {study.skipped[0]}" in text
    content = json.loads((output / "summary.json").read_text())
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    for group in content["groups"]:
        own = group["statistics"]
        interval = f"{max(own['low'], 0.0):.2f} to {min(own['high'], 100.0):.2f}"
        figures = [f"{own['mean']:.2f}", interval, f"{own['std']:.2f}", f"{own['min']:.2f}"]
        cells = [group["search"], group["selection"], str(own["number"]), *figures]
        difference = group["difference"]
        if difference:
            cells += [f"{difference['mean']:+.2f}", f"{difference['low']:+.2f} to {difference['high']:+.2f}"]
        assert any(line[: len(cells)] == cells for line in lines), cells


def test_correlations_of_the_analyses_are_collected_over_the_seeds(text, output, study):
    with (output / "correlations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["search"], r["measure"], r["seed"]) for r in rows] == [
        *(("darts", measure, seed) for measure in ("mixing_weight", "perturbation") for seed in "012"),
        *(("fixed", measure, seed) for measure in ("mixing_weight", "perturbation") for seed in "02"),
    ]
    assert {row["analysis"] for row in rows} == {"perturbation"}
    places = [study.jobs.index(study.job(f"darts-seed{seed}")) for seed in range(3)]
    values = [0.8 - 0.1 * place for place in places]
    found = [float(row["spearman"]) for row in rows[3:6]]
    assert found == pytest.approx(values)
    agreements = json.loads((output / "summary.json").read_text())["agreements"]
    darts = next(a for a in agreements if (a["search"], a["measure"]) == ("darts", "perturbation"))
    for name, part in (("spearman", 1), ("kendall", 2), ("spearman_pooled", 4)):
        of = np.array(values) / part
        interval = stats.t.interval(0.95, 2, of.mean(), stats.sem(of))
        own = darts["statistics"][name]
        assert [own[key] for key in ("mean", "low", "high")] == pytest.approx([of.mean(), *interval])
    assert darts["same_best"] == pytest.approx(sum(places) / 18)
    fixed = next(a for a in agreements if (a["search"], a["measure"]) == ("fixed", "mixing_weight"))
    assert fixed["statistics"] == {} and fixed["values"]["spearman"] == {}  # alpha is constant there
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    own = darts["statistics"]["spearman"]
    cells = ["darts", "perturbation", "perturbation", "true_strength", "3", f"{own['mean']:.2f}"]
    assert any(line[:6] == cells for line in lines)
    cells = ["fixed", "perturbation", "mixing_weight", "true_strength", "0", "-", "-", "-", "-", "17 %"]
    assert cells in lines


def test_a_job_is_finished_when_its_analyses_are(output, study):
    assert output.finished(study.job("fixed-seed0")) and output.finished(study.job("darts-seed2"))
    assert not output.finished(study.job("fixed-seed1"))


def test_epochs_are_what_magnitude_would_select(text, study, output, table):
    with (output / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(study.jobs) * EPOCHS
    for row in rows:
        job = study.job(f"{row['search']}-seed{row['seed']}")
        epoch = int(row["epoch"]) - 1
        assert row["supernet_test_accuracy"] == ("" if epoch == 1 else str(10.0 * (epoch + 1)))
        assert float(row["train_loss"]) == 1.5 + study.jobs.index(job)
        assert float(row["train_accuracy"]) == 25.0 * epoch + 12.5
        assert row["valid_loss"] == ("" if row["search"] == "fixed" else str(2.0 - epoch))
        assert row["valid_accuracy"] == ""
        if row["search"] == "fixed":
            assert row["genotype"] == row["skip_share"] == row["c10_test_accuracy"] == ""
            continue
        architecture = architecture_of(1000 * study.jobs.index(job) + epoch)
        genotype = magnitude.select(architecture).genotype
        assert row["genotype"] == genotype.to_text(SPACE)
        assert float(row["skip_share"]) == pytest.approx(describe(architecture)["skip_share"])
        score = table.lookup(genotype).scores["CIFAR-100"]["test"]
        assert float(row["c100_test_accuracy"]) == score.accuracy
        assert int(row["c100_test_rank"]) == score.rank


def test_alpha_is_there_for_every_epoch_that_trains_it(text, study, output):
    with (output / "alpha.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["search"] for row in rows} == {"darts"}
    found = {
        tuple(row[c] for c in ("seed", "epoch", "edge", "operation")): float(row["alpha"]) for row in rows
    }
    assert len(found) == len(rows) == 3 * EPOCHS * len(SPACE.edges) * SPACE.num_operations
    place = study.jobs.index(study.job("darts-seed2"))
    alpha = architecture_of(1000 * place + 1).alpha["normal"].numpy()
    names = SPACE.candidates["normal"][4]
    assert [found["2", "2", str(SPACE.edges[4]), name] for name in names] == pytest.approx(list(alpha[4]))


def test_decisions_have_a_row_for_every_candidate(text, output):
    with (output / "decisions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    made = [row for row in rows if (row["search"], row["seed"]) == ("darts", "1")]
    assert len(rows) == 3 * (2 + 8) + 2 * 8  # of one selection there is no genotype yet
    about = ("selection", "number", "epoch", "edge", "node", "round", "candidate", "kept")
    assert [tuple(row[name] for name in about) for row in made] == [
        ("magnitude", "0", "", "2<-0", "", "", "none", "False"),
        ("magnitude", "0", "", "2<-0", "", "", "skip_connect", "True"),
        ("by_loss", "0", "0", "1<-0", "", "", "none", "False"),
        ("by_loss", "0", "0", "1<-0", "", "", "skip_connect", "True"),
        ("by_loss", "1", "2", "2<-0", "", "", "none", "True"),
        ("by_loss", "1", "2", "2<-0", "", "", "skip_connect", "False"),
        ("by_loss", "2", "4", "", "2", "0", "2<-0", "True"),
        ("by_loss", "2", "4", "", "2", "0", "2<-1", "False"),
        ("by_loss", "3", "", "3<-0", "", "", "none", "False"),
        ("by_loss", "3", "", "3<-0", "", "", "skip_connect", "True"),
    ]
    probed = {name: made[3][name] for name in ("accuracy", "lost", "gained", "whole_accuracy", "importance")}
    assert probed == {
        "accuracy": "25.0",
        "lost": "4",
        "gained": "1",
        "whole_accuracy": "62.5",
        "importance": "",
    }
    assert (made[5]["importance"], made[5]["accuracy"]) == ("-0.5", "")
    assert [row["accuracy"] for row in made[6:8]] == ["37.5", "62.5"]
    assert [made[1]["mixing_weight"], made[-1]["importance"]] == ["0.75", "0.125"]


@pytest.mark.parametrize("method", ["darts", "drnas", "pc_darts", "sgas"])
def test_an_epoch_is_read_as_magnitude_selection_reads_the_architecture(method):
    space = spaces.get("darts")
    config = small()
    config.base.space = "darts"
    config.base.search.method, config.base.search.epochs = method, 50
    config.selections = {"random": {"method": "random"}}
    search = settings.validate({**config.to_dict(), "baseline": "", "searches": {"one": {}}}).jobs[0].config
    architecture = architecture_of(5, method, space, search)
    decisions = []
    if method == "sgas":
        edge = space.incoming(space.targets[1])[2]
        decisions = [
            OperationDecision(epoch=0, cell_type="normal", edge=edge, operation=4, removed=()),
            OperationDecision(epoch=0, cell_type="normal", edge=0, operation=3, removed=(1,)),
        ]
    for decision in decisions:
        decision_state.apply(architecture, decision)
    # As one reads it from JSON.
    epoch = json.loads(json.dumps(describe(architecture))) | {"finished_epoch": 0}
    found = epochs.by_magnitude(search, space, [epoch], decisions)[0]
    assert found == magnitude.select(architecture).genotype
    plain = Architecture(space, 1.0, 5)
    assert (found == magnitude.select(plain).genotype) == (method == "darts")


def test_pictures_are_png_files_of_what_there_is(text, study, output, table):
    for name in ("comparison.png", "epochs.png", "correlations.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG\r\n")
    rows = results(output)
    bare = [{**row, **{measure: None for measure in summary.MEASURES}} for row in rows]
    assert pictures.comparison(study, summary.summarise(study, bare, [])) is None
    assert "Nothing says how good they are" in report(study, summary.summarise(study, bare, []), [])
    assert pictures.over_epochs(study, [], summary.summarise(study, [], [])) is None
    assert pictures.correlations(study, []) is None


def test_a_narrow_and_a_wide_range_of_accuracies_have_ticks():
    from matplotlib.figure import Figure

    for values in ([94.3, 94.36], [10.0, 94.37], [93.0, 93.0], [99.0, 100.0], [0.0, 3.0]):
        axes = Figure().subplots()
        pictures._scale_by_error(axes, values)
        low, high = axes.get_ylim()
        ticks = axes.get_yticks()
        assert low < min(values) and high >= min(max(values), 99.9) and len(ticks) >= 2
        assert all(low <= tick <= high for tick in ticks)


def test_the_real_table(shared, study, output, tmp_path):
    """The true accuracies of collected rows are those of the published table."""
    path = shared / "data" / "nas_bench_201" / "nb201.csv.gz"
    real = NasBench201.load(path)
    config = {**study.config, "base": {**study.config["base"], "report": {"table": str(path)}}}
    rows = collect.results(settings.validate(config), output, Tables())
    column = real.column(accuracy_column("ImageNet16-120", "test"))
    for row in rows:
        assert row["in16_test_accuracy"] == column[real.texts.index(row["genotype"])]


def test_what_is_not_finished_is_left_out(tmp_path, study):
    empty = Output(tmp_path / "none")
    empty.record(study)
    text = conclude(study, empty, Tables())
    assert "0 of 15 selections are finished" in text
    assert "Nothing says" not in text  # there is nothing yet to tell of
    assert results(empty) == []
    left = {path.name for path in (tmp_path / "none").iterdir()}
    assert left == {"logs", "study.json", "results.json", "summary.json", "summary.md"}  # no CSV without rows
