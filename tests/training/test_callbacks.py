"""Keras callbacks hear of epochs, and may end a training."""

import json

import keras
import numpy as np
import pytest

from tests.search import tiny
from tf_darts.runtime.progress import Progress
from tf_darts.training import loop, setup

pytestmark = pytest.mark.usefixtures("no_pictures")


class Heard(keras.callbacks.Callback):
    """Keeps what it is told; stops the training after an epoch if asked to."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.events, self.logs, self.weights, self.stop_after = [], {}, {}, stop_after

    def on_train_begin(self, logs=None):
        self.events.append("train begins")

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} begins")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} ends")
        self.logs[epoch], self.weights[epoch] = logs, tiny.values(self.model)
        if epoch == self.stop_after:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.events.append("train ends")
        self.logs["end"] = logs


def train(folder, *callbacks, **fields):
    settings = tiny.config(training__evaluate_every=2, data__crop_padding=0, **fields)
    made = setup.make(settings, tiny.SPACE, tiny.GENOTYPE, tiny.data(settings), tiny.one_device())
    folder.mkdir(exist_ok=True)
    return made, loop.run(made, folder, "test", callbacks)


def events(epochs):
    told = [f"epoch {epoch} {what}" for epoch in epochs for what in ("begins", "ends")]
    return ["train begins", *told, "train ends"]


def expected_logs(folder, epoch):
    """Means over the epoch's rows, and what it was evaluated to."""
    rows = [row for row in tiny.rows(folder / "metrics.jsonl") if row.get("epoch") == epoch]
    assert len(rows) == 5
    names = {"loss": "train_loss", "accuracy": "train_accuracy", "learning_rate": "learning_rate"}
    logs = {ours: np.mean([row[theirs] for row in rows]) for ours, theirs in names.items()}
    for row in tiny.rows(folder / "metrics.jsonl"):
        if row.get("finished_epoch") == epoch:
            logs |= {"val_loss": row["test_loss"], "val_accuracy": row["test_accuracy"]}
    return logs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a callback heard of a whole training, what was trained, its result and its folder."""
    heard, folder = Heard(), tmp_path_factory.mktemp("heard")
    return heard, *train(folder, heard), folder


def test_they_hear_of_every_epoch_with_its_means(whole):
    heard, made, result, folder = whole
    assert heard.events == events(range(3)) and heard.model is made.network
    for epoch in range(3):
        assert heard.logs[epoch] == pytest.approx(expected_logs(folder, epoch))
    assert "val_loss" not in heard.logs[0] and heard.logs["end"] == heard.logs[2]
    assert heard.logs[2]["val_accuracy"] == result["test_accuracy"]


def test_they_change_nothing_and_hear_nothing_of_what_has_finished(whole, tmp_path):
    _, made, result, _ = whole
    plain, plain_result = train(tmp_path)
    assert plain_result == result
    tiny.assert_equal(tiny.values(plain.network), tiny.values(made.network))
    again = Heard()
    assert train(tmp_path, again)[1] == result
    assert again.events == events([])


@pytest.mark.parametrize(
    "stop_after", [pytest.param(0, marks=pytest.mark.slow), 1]
)  # not evaluated, evaluated
def test_one_may_end_the_training_which_is_then_finished(whole, tmp_path, stop_after):
    heard = Heard(stop_after)
    made, result = train(tmp_path, heard)
    assert heard.events == events(range(stop_after + 1))
    assert result["epochs"] == stop_after + 1
    finished = [row for row in tiny.rows(tmp_path / "metrics.jsonl") if "finished_epoch" in row]
    assert [row["finished_epoch"] for row in finished] == [stop_after]
    assert finished[0]["test_accuracy"] == result["test_accuracy"]
    assert json.loads((tmp_path / "result.json").read_text())["epochs"] == stop_after + 1
    # The weights are those of that epoch, and no others are.
    kept = whole[0].weights
    tiny.assert_equal(tiny.values(made.network), kept[stop_after])
    assert any((a != b).any() for a, b in zip(kept[stop_after], kept[stop_after + 1], strict=True))


@pytest.mark.slow
def test_a_training_continued_in_an_epoch_reports_the_whole_of_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Progress, "update", 5)  # inside epoch 1, after checkpoints
        with pytest.raises(tiny.StoppedError):
            train(tmp_path, Heard(), runtime__checkpoint_minutes=0.0)
    heard = Heard()
    train(tmp_path, heard, runtime__checkpoint_minutes=0.0)
    assert heard.events == events([1, 2])
    assert heard.logs[1] == pytest.approx(expected_logs(tmp_path, 1))
