"""Early stopping: eigenvalues of alpha's Hessian, when they stop a search, and which supernet is taken."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.models import decision_state
from tf_darts.runtime.progress import Progress
from tf_darts.search import early_stopping, loop
from tf_darts.search.early_stopping import ByEigenvalue
from tf_darts.workdir.checkpoints import Checkpoints, load_from
from tf_darts.workdir.decisions import of_row
from tf_darts.workdir.records import read_json

# Eigenvalues after each epoch, a window of 1: 1/1, then 1/1.5 = 0.67 at the fourth.
RISING = [1.0, 1.0, 1.0, 2.0, 9.0, 9.0]
STOPPED, TAKEN = 3, 2  # epochs
FIELDS = {
    "data__limit_train": 40,  # halves of 24 and 16 images: full batches only
    "data__train_fraction": 0.6,
    "data__crop_padding": 0,
    "search__method": "sgas",
    "search__epochs": 6,
    "search__evaluate_every": 0,
    "early_stopping__window": 1,
    "sgas__warmup_epochs": TAKEN,  # a decision there and one at the epoch after
    "sgas__interval": 1,
    "sgas__batch_increase": 0,
}


# when to stop


def by_hand(values, window, ratio):
    """RobustDARTS, section 4.2: the mean over window + 1 epochs, and the same `window` epochs before."""
    if len(values) < 2 * window + 1:
        return False
    now, before = values[-window - 1 :], values[-2 * window - 1 : -window]
    return sum(before) / sum(now) < ratio


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_rise_over_the_window_stops(window):
    draw = np.random.default_rng(window)
    found = [
        early_stopping.stops(values, window, 0.75) == by_hand(values, window, 0.75)
        for values in (draw.uniform(0.1, 1, n).tolist() for n in range(1, 40) for _ in range(20))
    ]
    assert all(found)
    rising = [2.0**n for n in range(2 * window + 1)]
    assert early_stopping.stops(rising, window, 0.75)
    assert not early_stopping.stops(rising[1:], window, 0.75)  # too few epochs
    assert not early_stopping.stops(rising[::-1], window, 0.75)
    assert not early_stopping.stops([1.0] * 20, window, 0.75)
    assert not early_stopping.stops(rising, window, 0.5**window)  # they rise by 2 each epoch


def test_without_curvature_nothing_stops():
    assert not early_stopping.stops([0.0] * 9, 2, 0.75)  # every edge is decided
    assert not early_stopping.stops([3.0, 3.0, 0.0, 0.0, 0.0], 1, 0.75)


# eigenvalues


@pytest.mark.parametrize("size", [1, 2, 3, 30])
@pytest.mark.parametrize("shift", [0.0, -100.0])
def test_the_largest_eigenvalue_of_known_matrices(size, shift):
    draw = np.random.default_rng(size)
    matrix = draw.normal(size=(size, size))
    matrix = matrix + matrix.T + shift * np.eye(size)
    found = early_stopping.largest_eigenvalue(lambda v: matrix @ v, size, seed=1)
    assert found == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=2e-3)


@pytest.mark.parametrize("size", [2, 3, 30])
def test_both_ends_of_known_matrices(size):
    draw = np.random.default_rng(size)
    matrix = draw.normal(size=(size, size))
    matrix = matrix + matrix.T
    found = early_stopping.eigenvalues(lambda v: matrix @ v, size, 1, "BE", 2)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(matrix)[[0, -1]], rtol=2e-3)


def test_a_matrix_of_zeros_and_one_that_is_not_finite():
    assert early_stopping.largest_eigenvalue(np.zeros_like, 5, seed=1) == 0.0
    assert early_stopping.eigenvalues(np.zeros_like, 5, 1, "BE", 2) == [0.0, 0.0]
    assert math.isnan(early_stopping.largest_eigenvalue(lambda v: v * math.nan, 5, seed=1))


@pytest.fixture(scope="module")
def hessian():
    """A setup, and the rows of its Hessian as products with the unit vectors, on two batches."""
    made = tiny.setup(tiny.config(search__alpha_scale=1.0, search__channels=4))
    product = early_stopping.hessian_times(made)
    return made, [np.stack([product(row, batch) for row in np.eye(6)]) for batch in (0, 1)]


def test_products_are_slopes_of_the_gradient(hessian):
    made, matrices = hessian
    bilevel, alpha = made.bilevel, made.bilevel.architecture.alpha["normal"]
    start, width = alpha.numpy(), 3e-2

    @tf.function
    def gradient(number):
        batch = made.valid.fresh_batch("search/hessian", number, 8)
        with bilevel.untracked():
            return bilevel.alpha_gradients(batch, 8).gradients[0]

    for number, matrix in enumerate(matrices):
        assert abs(matrix).max() > 1e-4
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-4 * abs(matrix).max())
        slopes = []
        for unit in np.eye(6, dtype=np.float32).reshape(6, 3, 2):
            sides = []
            for step in (width, -width):
                alpha.assign(start + step * unit)
                sides.append(gradient(tf.constant(number)).numpy().ravel())
            slopes.append((sides[0] - sides[1]) / (2 * width))
        alpha.assign(start)
        np.testing.assert_allclose(matrix, slopes, atol=0.02 * abs(matrix).max())
    assert (matrices[0] != matrices[1]).any()


def test_a_softmax_does_not_see_what_is_added_to_a_row(hessian):
    for matrix in hessian[1]:
        for edge in range(3):
            row = np.zeros(6)
            row[2 * edge : 2 * edge + 2] = 1
            np.testing.assert_allclose(matrix @ row, 0, atol=1e-4 * abs(matrix).max())


def test_decided_edges_have_no_curvature(hessian):
    made = tiny.setup(tiny.config())
    for edge in range(3):
        made.bilevel.architecture.decide_operation("normal", edge, 1)
    product = early_stopping.hessian_times(made)
    assert early_stopping.largest_eigenvalue(product, early_stopping.alpha_entries(made), 0) == 0.0


def test_two_replicas_have_the_sum_of_their_shares():
    fields = {"search__alpha_scale": 1.0, "search__channels": 4}
    made = tiny.setup(tiny.config(**fields), strategy=tiny.two_replicas())
    product = early_stopping.hessian_times(made)
    matrix = np.stack([product(row) for row in np.eye(6)])
    alone = tiny.setup(tiny.config(**fields))
    alpha = alone.bilevel.architecture.alpha["normal"]
    images, labels = alone.valid.fresh_batch("search/hessian", tf.constant(0), 8)
    expected = np.zeros([6, 6])
    for half in (slice(0, 4), slice(4, 8)):  # each with the statistics of its own images
        with alone.bilevel.untracked(), tf.GradientTape(persistent=True) as tape:
            gradient = alone.bilevel.gradients((images[half], labels[half]), 8, [alpha]).gradients[0]
        rows = tape.jacobian(gradient, alpha, experimental_use_pfor=False)
        expected += rows.numpy().reshape(6, 6)
    np.testing.assert_allclose(matrix, expected, atol=1e-3 * abs(expected).max())


# whole searches


def search(folder, monkeypatch):
    """A search that measures `RISING`; also everything as it was after each epoch, by the steps done."""
    made, saved = tiny.setup(tiny.config(**FIELDS)), {}
    folder.mkdir(exist_ok=True)
    save = ByEigenvalue.save

    def measure(self):
        done = tiny.rows(folder / "metrics.jsonl")
        return {early_stopping.METRIC: RISING[sum("finished_epoch" in row for row in done)]}

    def recording(self, step):
        saved[step] = tiny.state(made)
        save(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(ByEigenvalue, "measure", measure)
        patch.setattr(ByEigenvalue, "save", recording)
        loop.run(made, folder)
    return made, saved


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """SGAS, stopped by its eigenvalues and nothing else; its folder, and what it saved after each epoch."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        made, saved = search(folder, patch)
    return made, folder, saved


def test_the_supernet_of_before_the_rise_is_taken(undisturbed):
    made, folder, saved = undisturbed
    epochs = [row for row in tiny.rows(folder / "metrics.jsonl") if "finished_epoch" in row]
    assert [row["finished_epoch"] for row in epochs] == list(range(STOPPED + 1))
    assert [row[early_stopping.METRIC] for row in epochs] == RISING[: STOPPED + 1]
    result = read_json(folder / "result.json")
    assert result["taken_from_epoch"] == TAKEN and result["steps"] == epochs[-1]["step"]
    tiny.assert_equal(tiny.state(made), saved[epochs[TAKEN]["step"]])
    assert result["alpha"]["normal"] == made.bilevel.architecture.alpha["normal"].numpy().tolist()
    # It is what a selection reads.
    other = tiny.setup(tiny.config(**FIELDS, seed=5))
    load_from(folder, **other.state())
    tiny.assert_equal(tiny.state(other), saved[epochs[TAKEN]["step"]])


def test_a_search_measures_the_eigenvalue_and_goes_to_its_end(tmp_path):
    fields = {"search__epochs": 2, "search__evaluate_every": 0, "early_stopping__window": 1}
    made = tiny.setup(tiny.config(**fields))
    loop.run(made, tmp_path)
    assert "taken_from_epoch" not in read_json(tmp_path / "result.json")
    epochs = [row for row in tiny.rows(tmp_path / "metrics.jsonl") if "finished_epoch" in row]
    product = early_stopping.hessian_times(made)
    matrix = np.stack([product(row) for row in np.eye(6)])
    largest = np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
    assert epochs[-1][early_stopping.METRIC] == pytest.approx(largest, rel=1e-2)
    assert epochs[0][early_stopping.METRIC] != epochs[1][early_stopping.METRIC]


@pytest.mark.parametrize(
    ("owner", "method", "call"),
    [
        # The last epoch is kept for going back, its own checkpoint is not.
        pytest.param(Checkpoints, "save", 8, marks=pytest.mark.slow),
        pytest.param(Checkpoints, "save", 9, marks=pytest.mark.slow),  # gone back, not saved
        pytest.param(Progress, "update", 5, marks=pytest.mark.slow),  # inside an epoch
        pytest.param(ByEigenvalue, "go_back", 1, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_search_takes_the_same_supernet(undisturbed, tmp_path, monkeypatch, owner, method, call):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            search(tmp_path, monkeypatch)
    made, _ = search(tmp_path, monkeypatch)
    tiny.assert_equal(tiny.state(made), tiny.state(undisturbed[0]))
    for name in ("metrics.jsonl", "result.json", "decisions.jsonl"):
        assert (tmp_path / name).read_text() == (undisturbed[1] / name).read_text()


def test_decisions_after_the_supernet_that_is_taken_are_undone(undisturbed):
    made, folder, _ = undisturbed
    decisions = tiny.rows(folder / "decisions.jsonl")
    assert [row["epoch"] for row in decisions] == [TAKEN, STOPPED]
    assert [row.get("undone", False) for row in decisions] == [False, True]
    architecture = made.bilevel.architecture
    made_of_rows = [of_row(row) for row in decisions]
    assert decision_state.agree(architecture, made_of_rows[:1])
    assert not decision_state.agree(architecture, made_of_rows)
    # What is computed is what is open again.
    evaluated = np.array(architecture.computed["normal"])
    is_open = (
        architecture.open_operations["normal"].numpy() & architecture.open_edges["normal"].numpy()[:, None]
    )
    np.testing.assert_array_equal(evaluated, is_open)
    assert is_open.sum() == 5
