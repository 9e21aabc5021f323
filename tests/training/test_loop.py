"""Training a network as a whole, and when it is stopped."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models.network import count_parameters
from tf_darts.plots import plain_figure
from tf_darts.runtime.progress import Progress
from tf_darts.training import loop, setup, step
from tf_darts.workdir.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("no_pictures")


def make(**fields):
    settings = tiny.config(**fields)
    return setup.make(settings, tiny.SPACE, tiny.GENOTYPE, tiny.data(settings), tiny.one_device())


def train(folder, **fields):
    """34 images in batches of 8: four and one of 2."""
    made = make(training__evaluate_every=2, **fields)
    folder.mkdir(exist_ok=True)
    return made, loop.run(made, folder, "test")


def state(made):
    return tiny.values(made.network, made.optimizer)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return *train(folder), folder


def test_each_step_has_a_row_and_the_last_batch_is_kept(trained):
    steps = [row for row in tiny.rows(trained[2] / "metrics.jsonl") if "epoch" in row]
    assert [row["step"] for row in steps] == list(range(1, 16))
    assert [row["epoch"] for row in steps] == [0] * 5 + [1] * 5 + [2] * 5
    assert {row["train_accuracy"] for row in steps[4::5]} <= {0, 0.5, 1}  # 2 images
    rates = [0.025 * (1 + np.cos(np.pi * epoch / 3)) / 2 for epoch in range(3)]  # ends at 0
    np.testing.assert_allclose([row["learning_rate"] for row in steps], np.repeat(rates, 5), rtol=1e-5)


def test_result_says_what_was_reached(trained):
    made, result, folder = trained
    epochs = [row for row in tiny.rows(folder / "metrics.jsonl") if "finished_epoch" in row]
    assert [row["finished_epoch"] for row in epochs] == [1, 2]  # every second, and the last
    assert result == json.loads((folder / "result.json").read_text()) | {"schema_version": 1}
    best = max(row["test_accuracy"] for row in epochs)
    assert {name: result[name] for name in result if name not in ("test_loss", "schema_version")} == {
        "genotype": "|nor_conv_1x1~0|skip_connect~1|",
        "space": "tiny",
        "parameters": 3 * 3 * 4 + 2 * 4 + 4 * 4 + 2 * 4 + 4 * 10 + 10,  # stem, convolution, classifier
        "test_accuracy": epochs[-1]["test_accuracy"],
        "test_images": 16,
        "best_test_accuracy": best,
        "best_epoch": next(row["finished_epoch"] for row in epochs if row["test_accuracy"] == best),
        "epochs": 3,
        "seed": 0,
    }
    assert result["test_loss"] == epochs[-1]["test_loss"] > 0
    assert result["parameters"] == count_parameters(made.network)


def test_the_network_learns(tmp_path):
    settings = {
        "data__limit_train": 200,
        "training__batch_size": 40,
        "training__epochs": 8,
        "training__channels": 16,
        "training__learning_rate": 0.1,
        "runtime__steps_per_call": 5,
    }
    train(tmp_path, **settings)
    losses = [row["train_loss"] for row in tiny.rows(tmp_path / "metrics.jsonl") if "epoch" in row]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.15


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes"),
    [
        pytest.param(Progress, "update", 5, 0.0, marks=pytest.mark.slow),  # inside epoch 1, after checkpoints
        (Checkpoints, "save", 2, 10.0),  # rows of epoch 1 are written, its checkpoint is not
    ],
)
def test_a_stopped_training_continues_as_if_it_had_not_been(
    trained, tmp_path, monkeypatch, owner, method, call, minutes
):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            train(tmp_path, runtime__checkpoint_minutes=minutes)
    assert not (tmp_path / "result.json").exists()
    made, result = train(tmp_path, runtime__checkpoint_minutes=minutes)
    assert result == trained[1]
    tiny.assert_equal(state(made), state(trained[0]))
    assert (tmp_path / "metrics.jsonl").read_text() == (trained[2] / "metrics.jsonl").read_text()


def test_drop_path_grows_from_zero_in_step_with_the_epochs(monkeypatch):
    made = make(training__drop_path=0.3)
    probability, factors = tf.Variable(-1.0), step.drop_path_factors

    def watched(seed, p, *arguments):
        probability.assign(p)
        return factors(seed, p, *arguments)

    monkeypatch.setattr(step, "drop_path_factors", watched)
    steps, seen = loop.training_steps(made), []
    for number in (0, 4, 5, 9, 10, 14):  # first and last step of each epoch
        steps(number)
        seen.append(float(probability.numpy()))
    np.testing.assert_allclose(seen, [0, 0, 0.1, 0.1, 0.2, 0.2], atol=1e-6)


def test_without_drop_path_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(step, "drop_path_factors", None)
    loop.training_steps(make(training__drop_path=0.0))(0)


def test_the_auxiliary_head_is_trained_and_not_counted():
    plain, made = make(), make(training__auxiliary_weight=0.4, training__drop_path=0.0)
    head = made.network.auxiliary_head
    before = tiny.values(head)
    loop.training_steps(made)(0)
    assert all((a != b).any() for a, b in zip(tiny.values(head), before, strict=True))
    assert count_parameters(made.network) == count_parameters(plain.network)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"training__batch_size": 35}, "config: training.batch_size is 35; allowed: at most 34"),
        ({"training__auxiliary_weight": 0.4, "space": "nas_bench_201"}, "auxiliary head takes features"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(fields, message):
    settings = tiny.config(**fields)
    space = spaces.get(settings.space) if "space" in fields else tiny.SPACE
    with pytest.raises(UserError, match=message):
        setup.check(settings, space, tiny.data(settings), 1)


def test_a_result_stays_where_its_pictures_fail(tmp_path, monkeypatch, capsys):
    def fails(*_):
        raise ValueError("cannot be drawn")

    monkeypatch.setattr("tf_darts.training.mistakes.png_of", plain_figure.png_of)
    monkeypatch.setattr("tf_darts.training.mistakes._confusion", fails)
    folder = tmp_path / "a"
    result = train(folder)[1]
    assert result == loop.read_json(folder / "result.json")
    assert (
        "warning: the picture confusion.png is left out: ValueError: cannot be drawn"
        in capsys.readouterr().err
    )
    assert not (folder / "confusion.png").exists() and (folder / "errors.json").exists()


def test_a_result_stays_where_the_process_ends_among_the_pictures(tmp_path, monkeypatch):
    tiny.stop_at_call(monkeypatch, loop.mistakes, "leave", 1)
    folder = tmp_path / "a"
    folder.mkdir()
    tiny.data(tiny.config()).record.write(folder)  # as the stage does
    with pytest.raises(tiny.StoppedError):
        train(folder)
    result = loop.read_json(folder / "result.json")
    assert result["epochs"] == 3 and not loop.finished(folder, tiny.config())
    assert train(folder)[1] == result  # the pictures alone are made up for
    assert loop.finished(folder, tiny.config())
    assert (folder / "confusion.png").exists() and len(tiny.rows(folder / "metrics.jsonl")) == 17


def test_of_very_many_classes_no_matrix_is_made(tmp_path):
    labels = np.arange(10_000)
    predictions = loop.mistakes.Predictions(labels, (labels + 1) % 10_000, np.ones(10_000))
    names = [f"class {k}" for k in labels]
    images = np.zeros((10_000, 2, 2, 1), np.uint8)
    shown = []
    loop.mistakes.leave(tmp_path, predictions, images, names, shown.append)
    assert [set(pictures) for pictures in shown] == [{"mistakes"}]
    content = loop.read_json(tmp_path / "errors.json")
    assert "confusion" not in content and content["mistakes"] == 10_000
    assert (tmp_path / "errors.json").stat().st_size < 1_000_000
