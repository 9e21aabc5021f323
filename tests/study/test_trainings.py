"""Several trainings of what a study selects: made, resumed, summed up; and what NAS-Bench-301 predicts."""

import copy
import csv
import json
import types

import numpy as np
import pytest

from tests.nas_bench.test_nas_bench_301 import Boosted, Encoder
from tests.study.small import small
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.nas_bench import nas_bench_301
from tf_darts.nas_bench.convert_nas_bench_301 import encoding_of, trees_of
from tf_darts.nas_bench.nas_bench_301 import NasBench301
from tf_darts.report import leaderboard
from tf_darts.study import collect, conclude, settings
from tf_darts.study import job as job_lib
from tf_darts.study.output import Output
from tf_darts.training import setup as training_setup
from tf_darts.workdir import genotype_file, stage_folders

GENOTYPE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
RATES, DECAYS = (0.025, 0.1, 0.01), (1e-4, 3e-4, 1e-3)
NINE = {
    f"r{i}d{j}": {"learning_rate": rate, "weight_decay": decay}
    for i, rate in enumerate(RATES)
    for j, decay in enumerate(DECAYS)
}


def nine(**fields):
    """Return a study of one job, whose magnitude's genotype is trained nine times on the other half."""
    config = small()
    config.base.data.training_only = 0.5
    config.base.search.cells = config.base.training.cells = 1
    config.searches, config.seeds = {"darts": {}}, (0,)
    config.selections = {"magnitude": {"method": "magnitude"}, "random": {"method": "random"}}
    config.trains, config.trainings = ("magnitude",), NINE
    config.update(fields)
    return settings.validate(config)


class MadeUp:
    """Stands for the stages: a training's accuracy is made of its learning rate and weight decay."""

    def __init__(self, output, job):
        self.output, self.job, self.config = output, job, job.config
        self.space, self.made = spaces.of(job.config), 0

    def with_config(self, config):
        found = copy.copy(self)
        found.config, found.parent = config, self
        return found

    def search(self, session, workdir, supernets):
        folder = self.output.search_stage(self.job).open()
        (folder / "result.json").write_text(json.dumps({"schema_version": 1, "last_epoch": {}}))

    def select(self, session, workdir):
        folder = stage_folders.selection_stage(workdir, session.config).open()
        genotype = genotype_lib.from_text(GENOTYPE, self.space)
        genotype_file.save(folder / "genotype.json", genotype, self.space)
        return folder, genotype

    def train(self, session, workdir, name, genotype):
        stage = stage_folders.training_stage(workdir, session.config, name, genotype.to_text(self.space))
        if not (stage.path / "result.json").exists():
            self.made += 1
            training = session.config.training
            accuracy = round(0.5 + training.learning_rate - 100 * training.weight_decay, 6)
            result = {"schema_version": 1, "test_accuracy": accuracy, "parameters": 7}
            (stage.open() / "result.json").write_text(json.dumps(result))
            (stage.path / "seconds.json").write_text(json.dumps({"schema_version": 1, "seconds": 2.0}))
        return stage.path, json.loads((stage.path / "result.json").read_text())


def made_up(monkeypatch, output, job):
    """Put it in the place of the stages; return it."""
    made = MadeUp(output, job)
    monkeypatch.setattr(job_lib, "start", lambda config: (made, None))
    for name in ("search", "select", "train"):
        monkeypatch.setattr(job_lib.stages, name, getattr(made, name))
    return made


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_nine_trainings_are_made_resumed_and_summed_up(tmp_path, monkeypatch, real):
    study, output = nine(), Output(tmp_path / "study")
    output.record(study)
    (job,) = study.jobs
    stand_in = None if real else made_up(monkeypatch, output, job)
    asked, sizes, train, make = [], [], job_lib.stages.train, training_setup.make

    def counted(session, workdir, name, genotype):
        asked.append(name)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return train(session, workdir, name, genotype)

    def measured(*arguments):
        setup = make(*arguments)
        sizes.append(setup.train.size)
        return setup

    monkeypatch.setattr(job_lib.stages, "train", counted)
    monkeypatch.setattr(training_setup, "make", measured)
    with pytest.raises(KeyboardInterrupt):
        job_lib.run(job, output)
    assert not output.finished(job)
    row = collect.results(study, output, collect.Tables())[0]
    assert row["mean_test_accuracy"] is None and row["test_accuracy.r0d0"] is not None
    assert job_lib.run(job, output) == [] and output.finished(job)
    # What was finished is taken as it is: nine in all, each on the half that the search did not see.
    assert (sizes == [16] * 9) if real else (stand_in.made == 9)
    names = [f"magnitude.{name}" for name in NINE]
    assert asked == [*names[:5], *names]
    assert sorted(p.name for p in (output.workdir(job) / "training").iterdir()) == sorted(names)
    for name, fields in NINE.items():
        path = output.workdir(job) / "training" / f"magnitude.{name}" / "config.json"
        recorded = json.loads(path.read_text())["config"]
        assert fields.items() <= recorded["training"].items() and recorded["data"]["training_only"] == 0.5

    text = conclude.conclude(study, output, collect.Tables())
    trained, other = json.loads((output / "results.json").read_text())["rows"]
    accuracies = [trained[f"test_accuracy.{name}"] for name in NINE]
    results = [
        json.loads((folder / "result.json").read_text())["test_accuracy"]
        for folder in output.training_folders(job, "magnitude").values()
    ]
    assert accuracies == pytest.approx([100 * r for r in results])
    assert trained["mean_test_accuracy"] == pytest.approx(np.mean(accuracies))
    assert trained["best_test_accuracy"] == max(accuracies) and trained["test_accuracy"] is None
    assert trained["training_seconds"] > 0 and trained["parameters"] > 0
    assert other["mean_test_accuracy"] is None and other["test_accuracy.r0d0"] is None
    assert "mean over all trainings" in text and "best of all trainings" in text
    leaderboard.leave(study, output, collect.Tables())
    with (output / "leaderboard.csv").open(newline="") as file:
        found = {row["measure"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert found["mean_test_accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["best_test_accuracy"] == max(accuracies)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"trains": (), "trainings": NINE},
            r"trains is \(\) with trainings; allowed: some of by_loss, magnitude",
        ),
        (
            {"trainings": {"a": {"learning": 1.0}}},
            "trainings.a after searches.darts: unknown field 'training.l",
        ),
        ({"trainings": {"a": {"learning_rate": -1.0}}}, "trainings.a .*: training.learning_rate is -1.0"),
        ({"trainings": {"a": 3}}, "trainings.a is 3; allowed: a dictionary"),
        ({"trainings": {"a" * 200: {}}}, "trainings.aaa.*: folder"),
    ],
)
def test_trainings_are_checked_first(fields, message):
    given = small().to_dict() | {"trains": ("magnitude",)} | fields
    with pytest.raises(UserError, match=message):
        settings.validate(given)


def test_one_training_is_named_as_before():
    config = small()
    config.trains = ("magnitude",)
    job = settings.validate(config).jobs[0]
    assert {s: {n: folder for n, (folder, _) in of.items()} for s, of in job.trained.items()} == {
        "magnitude": {"": "magnitude"},
        "by_loss": {},
        "random": {},
    }
    assert job.trained["magnitude"][""][1].to_dict() == job.selections["magnitude"].to_dict()


# NAS-Bench-301 in a study.


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    """Write a small ensemble on made labels; return its file."""
    encode, draw = Encoder(), np.random.default_rng(0)
    vectors = np.array([encode(nas_bench_301.random_genotype(draw)) for _ in range(60)])
    members = [Boosted(vectors, draw.normal(93.0, 1.0, len(vectors)), seed) for seed in range(3)]
    path = tmp_path_factory.mktemp("surrogate") / "nb301.npz"
    np.savez(path, **NasBench301(encoding_of(encode), trees_of(members)).arrays())
    return path


def darts_study(surrogate, **fields):
    config = small()
    config.base.space, config.base.search.cells, config.base.training.cells = "darts", 3, 3
    config.base.report.surrogate = str(surrogate)
    config.selections = {"magnitude": {"method": "magnitude"}, "random": {"method": "random"}}
    config.update(fields)
    return settings.validate(config)


def test_a_study_in_the_darts_space_has_predicted_accuracies(tmp_path, surrogate):
    study, output = darts_study(surrogate), Output(tmp_path / "study")
    output.record(study)
    space, read, expected = spaces.get("darts"), NasBench301.load(str(surrogate)), {}
    texts = [genotype for genotype in PUBLISHED.values() if genotype.space == "darts"]
    for place, job in enumerate(study.jobs):
        for other, selection in enumerate(job.selections):
            if job.search == "fixed" and selection == "magnitude":
                continue
            genotype = texts[(2 * place + other) % len(texts)]
            path = output.selection_stage(job, selection).path
            path.mkdir(parents=True)
            genotype_file.save(path / "genotype.json", genotype, space)
            expected[job.search, selection, job.seed] = read.predict(genotype)
    tables = collect.Tables()
    text = conclude.conclude(study, output, tables)
    rows = json.loads((output / "results.json").read_text())["rows"]
    found = {(r["search"], r["selection"], r["seed"]): r for r in rows}
    assert found.keys() == expected.keys()
    for key, prediction in expected.items():
        assert found[key]["predicted_accuracy"] == pytest.approx(prediction.accuracy, abs=1e-6)
        assert found[key]["predicted_deviation"] == pytest.approx(prediction.deviation, abs=1e-6)
        assert prediction.deviation > 0 and found[key]["c10_test_accuracy"] is None
    assert "that NAS-Bench-301 predicts" in text and "members differ by" in text
    leaderboard.leave(study, output, tables)
    with (output / "leaderboard.csv").open(newline="") as file:
        table = {(row["search"], row["selection"]): row for row in csv.DictReader(file)}
    ours = [expected["darts", "random", seed] for seed in (0, 1)]
    row = table["darts", "random"]
    assert row["measure"] == "predicted_accuracy"
    assert float(row["mean"]) == pytest.approx(np.mean([p.accuracy for p in ours]))
    assert float(row["deviation"]) == pytest.approx(np.mean([p.deviation for p in ours]))
    page = (output / "leaderboard.html").read_text()
    assert f"members ± {np.mean([p.deviation for p in ours]):.2f}" in page


def test_without_a_surrogate_no_column_is_there(tmp_path):
    study, output = settings.validate(small()), Output(tmp_path / "study")
    assert not any("predicted" in c for row in collect.results(study, output, collect.Tables()) for c in row)
    job = types.SimpleNamespace(config=study.jobs[0].config)
    assert collect.Tables().surrogate(job) is None
    assert collect.predicted(None, genotype_lib.Genotype("darts", {})) == {
        "predicted_accuracy": None,
        "predicted_deviation": None,
    }


def test_a_surrogate_that_is_none_is_refused_before_the_searches(surrogate):
    job = darts_study("no.npz").jobs[0]
    with pytest.raises(UserError, match="^report.surrogate: .*no.npz"):
        collect.Tables().surrogate(job)
    config = small()
    config.base.report.surrogate = str(surrogate)
    with pytest.raises(UserError, match="surrogate is .*; allowed: a surrogate only with space 'darts'"):
        settings.validate(config)
