"""Fine-tuning: as published, and what each field of the regularised one changes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, tiny, two_cells
from tests.search.drawing import DECIDED, REMOVED
from tf_darts.optim.losses import loss_and_correct
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import finetune

FIELDS = {
    "selection__weight_decay": 0.5,
    "selection__drop_path": 0.6,
    "selection__cutout_length": 4,
    "selection__label_smoothing": 0.3,
    "selection__noise_radius": 0.3,
}


def finetuned(trains_alpha=True, **fields):
    """A supernet after the steps of the first call, and their columns."""
    made = drawing.setup(selection__learning_rate=0.1, data__crop_padding=0, **fields)
    made.bilevel.weight_optimizer = finetune.optimizer(made)
    steps = finetune.steps(made, trains_alpha)
    columns, _ = steps(0)
    return made, columns


@pytest.fixture(scope="module")
def published():
    return finetuned()


def weights_of(made):
    return [w.numpy() for w in made.bilevel.weights]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_changes_the_weights_that_come_of_it(published, field):
    made, columns = finetuned(**{field: FIELDS[field]})
    ours, theirs = weights_of(made), weights_of(published[0])
    assert max(abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) > 1e-3
    # The validation batch that alpha sees is not regularised: at the first step it is the same.
    assert columns["valid_loss"][0] == pytest.approx(published[1]["valid_loss"][0], rel=1e-5)
    same_loss = field == "selection__weight_decay"  # which is no part of the loss
    assert (columns["train_loss"][0] == pytest.approx(published[1]["train_loss"][0], rel=1e-5)) == same_loss


def test_the_last_short_batch_is_kept_and_alpha_has_a_full_one(monkeypatch):
    made, forward, images = drawing.setup(), Bilevel.forward, []

    def counted(self, batch, training, mixing_weights=None):
        images.append(batch.shape[0])
        return forward(self, batch, training, mixing_weights)

    monkeypatch.setattr(Bilevel, "forward", counted)
    steps = finetune.steps(made)
    columns, count = steps(2)  # the third: of 18 images two are left
    assert (steps.per_pass, count) == (3, 1) and sorted(images) == [2, 8]
    assert columns["train_accuracy"][0] in (0, 0.5, 1) and (8 * columns["valid_accuracy"][0]).is_integer()


def test_the_optimiser_starts_anew_with_the_decay_of_the_selection():
    made = drawing.setup(search__weight_decay=0.4, selection__weight_decay=0.25)
    for velocity in made.bilevel.weight_optimizer.velocity:
        velocity.assign(tf.ones_like(velocity))
    optimizer, before = finetune.optimizer(made), weights_of(made)
    tiny.one_device().run(lambda: optimizer.apply([tf.zeros_like(w) for w in made.bilevel.weights], 0.1))
    for w, start in zip(made.bilevel.weights, before, strict=True):
        np.testing.assert_allclose(w, start - 0.1 * 0.25 * start, rtol=1e-6, atol=1e-8)


def test_without_fields_nothing_is_disturbed():
    made = drawing.setup()
    assert finetune._disturbance(made)(tf.constant(3)) is None
    finetune.steps(made)
    assert made.bilevel.label_smoothing == 0.0


def test_alpha_may_be_left_alone(published):
    made, columns = finetuned(trains_alpha=False)
    start = drawing.setup().bilevel.architecture.alpha["normal"].numpy()
    np.testing.assert_array_equal(made.bilevel.architecture.alpha["normal"].numpy(), start)
    assert "valid_loss" not in columns
    assert (published[0].bilevel.architecture.alpha["normal"].numpy() != start).any()


def test_label_smoothing_is_that_of_the_training_loss():
    made = drawing.setup(selection__label_smoothing=0.3)
    finetune.steps(made)
    images, labels = drawing.batch(1)
    evaluated = tiny.one_device().run(lambda: made.bilevel.weight_gradients((images, labels), 8))
    losses = [
        tf.nn.softmax_cross_entropy_with_logits(0.7 * tf.one_hot(labels, 10) + 0.03, evaluated.logits),
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, evaluated.logits),
    ]
    smoothed, plain = (float(tf.reduce_mean(loss)) for loss in losses)
    assert float(evaluated.loss) == pytest.approx(smoothed, rel=1e-5) and abs(smoothed - plain) > 1e-3
    of_alpha = tiny.one_device().run(lambda: made.bilevel.alpha_gradients((images, labels), 8))
    assert float(of_alpha.loss) == pytest.approx(plain, rel=1e-5)
    assert float(loss_and_correct(evaluated.logits, labels, 8)[0]) == pytest.approx(plain, rel=1e-5)


def test_cutout_blackens_a_square_of_the_training_images_alone(monkeypatch):
    made = drawing.setup(selection__cutout_length=4)
    seen = []

    def step(bilevel, train, valid, now):
        black = [tf.reduce_all(images == 0.0, -1) for images, _ in (train, valid)]  # after normalisation
        seen.append(None)
        values = [tf.reduce_mean(tf.reduce_sum(tf.cast(b, tf.float32), [1, 2])) for b in black]
        names = made.method.metrics + made.method.alpha_metrics
        return dict.fromkeys(names, 0.0) | {"train_loss": values[0], "valid_loss": values[1]}

    monkeypatch.setattr(made.method, "step", step)
    columns, _ = finetune.steps(made)(0)
    assert seen
    # A square's middle is anywhere: from 2x2 pixels at a corner to 4x4 of them.
    assert 4 <= columns["train_loss"][0] <= 16 and columns["valid_loss"][0] == 0


# what is done to mixing weights


def disturbed(number, **fields):
    made = drawing.setup(**{f"selection__{name}": value for name, value in fields.items()})
    plain = made.bilevel.architecture.mixing_weights()
    rows = finetune._disturbance(made)(tf.constant(number))(plain)
    return plain["normal"].numpy(), rows["normal"].numpy()


def test_noise_stays_within_its_radius_on_the_simplex():
    moved = []
    for number in range(5):
        plain, rows = disturbed(number, noise_radius=0.05)
        free = [e for e in range(5) if e not in (DECIDED, REMOVED)]
        np.testing.assert_array_equal(rows[[DECIDED, REMOVED]], plain[[DECIDED, REMOVED]])
        np.testing.assert_allclose(rows.sum(1), plain.sum(1), rtol=1e-5)
        assert (rows >= 0).all() and not rows[0, 2]  # the first edge has two candidates
        # Within the radius before the sum is made 1 again; it was off by three radii at most.
        assert 0 < abs(rows - plain)[free].max() <= 0.05 * (1 + 3)
        moved.append(rows)
    assert all((a != b).any() for a, b in itertools.pairwise(moved))
    np.testing.assert_array_equal(disturbed(3, noise_radius=0.05)[1], moved[3])


def test_drop_path_drops_all_but_identities_and_keeps_the_mean():
    mask, draws = [[True, False, True]] * 4, 400
    draw = tf.function(lambda seed: finetune.dropped(mask, 0.4, seed))
    factors = np.stack([draw(tf.constant([5, number])).numpy() for number in range(draws)])
    np.testing.assert_allclose(np.unique(factors), [0, 1, 1 / 0.6], rtol=1e-6)
    assert (factors[:, :, 1] == 1).all()
    dropped = (factors[:, :, [0, 2]] == 0).mean(0)
    assert (abs(dropped - 0.4) < 4 * (0.24 / draws) ** 0.5).all()


def test_identities_are_never_dropped():
    made = drawing.setup()
    mask = finetune.droppable(made.bilevel.supernet, "normal", 3)
    names = drawing.SPACE.candidates["normal"]
    assert [row[: len(n)] for row, n in zip(mask, names, strict=True)] == [
        [name != "skip_connect" for name in n] for n in names
    ]
    assert all(len(row) == 3 for row in mask)
    plain, rows = disturbed(1, drop_path=0.9)
    np.testing.assert_array_equal(rows[:, 0], plain[:, 0])
    factors = rows[plain > 0] / plain[plain > 0]
    assert all(min(abs(f), abs(f - 1), abs(f - 10)) < 1e-5 for f in factors) and (factors == 0).any()


def test_a_skip_connection_that_halves_the_image_is_no_identity():
    made = two_cells.setup()
    mask = finetune.droppable(made.bilevel.supernet, "reduce", 3)
    edges = two_cells.SPACE.edges
    assert [row[0] for row in mask] == [edge.source < two_cells.SPACE.input_nodes for edge in edges]
