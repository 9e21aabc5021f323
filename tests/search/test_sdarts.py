"""SDARTS: perturbed mixing weights in the step of the weights, and only there."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, tiny
from tests.search.drawing import DECIDED, REMOVED, batch
from tf_darts.search.parts import perturbation


def plain_rows(made):
    return {t: p.numpy() for t, p in made.bilevel.architecture.probabilities().items()}


def assert_within(rows, plain, radius):
    """Each row is (p + d) / s with |d| <= radius and s the sum of p + d: what the ball and the simplex allow.

    Where the ball reaches beyond [0, 1], s is bounded by what is cut off too.
    """
    for row, p in zip(rows, plain, strict=True):
        there = p > 0
        low, high = np.maximum(p[there] - radius, 0), np.minimum(p[there] + radius, 1)
        y = row[there]
        # Entries that are not 0 bound the sum: s * y in [low, high].
        positive = y > 0
        least = max((low[positive] / y[positive]).max(), low.sum())
        most = min((high[positive] / y[positive]).min(), high.sum())
        assert least <= most * (1 + 1e-5)
        assert (low[~positive] == 0).all() and not row[~there].any()


@pytest.mark.parametrize("radius", [0.03, 0.3])
def test_random_rows_are_distributions_in_the_ball(radius):
    architecture = drawing.architecture()
    plain, free = architecture.probabilities()["normal"], architecture.free("normal")
    drawn = [perturbation.perturbed(plain, free, radius, tf.constant([7, i])).numpy() for i in range(100)]
    undecided = [0, 2, 4]
    for rows in drawn:
        np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)
        assert (rows >= 0).all() and (rows <= 1).all() and rows[0, 2] == 0  # no third candidate there
        np.testing.assert_array_equal(rows[[DECIDED, REMOVED]], plain.numpy()[[DECIDED, REMOVED]])
        assert_within(rows[undecided], plain.numpy()[undecided], radius)
    moved = np.abs(np.array(drawn) - plain.numpy())[:, undecided]
    assert (
        0.3 * radius < moved.max() < 2.5 * radius
    )  # an entry moves by the radius, its row's sum by thrice that
    assert len({rows.tobytes() for rows in drawn}) == 100


def test_rows_are_cut_to_the_simplex():
    plain = np.float32([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [1, 0, 0], [0, 0, 0]])
    moved = np.float32([[0.75, 0.5, -0.1], [-0.3, -0.1, -0.2], [1.5, 0.5, 0.5], [0.5, 0.5, 0], [0.2, 0, 0]])
    free = np.array([[True] * 3] * 3 + [[False] * 3] * 2)
    rows = perturbation._on_simplex(tf.constant(plain), tf.constant(moved), tf.constant(free)).numpy()
    np.testing.assert_allclose(rows[:3], [[0.6, 0.4, 0], [0, 1, 0], [0.5, 0.25, 0.25]], rtol=1e-6)
    np.testing.assert_array_equal(rows[3:], plain[3:])


@pytest.mark.parametrize(("progress", "radius"), [(0.0, 0.03), (0.5, 0.165), (0.98, 0.2946), (1.0, 0.3)])
def test_the_radius_grows_over_the_search(progress, radius):
    method = tiny.method("sdarts_rs").parts["random_perturbation"]
    assert float(method.radius(tiny.now(progress=progress))) == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize("name", ["sdarts_rs", "sdarts_adv"])
def test_only_the_step_of_the_weights_is_perturbed(name):
    made, darts = (drawing.setup(search__method=method) for method in (name, "darts"))
    used, expected = drawing.mixing_weights_of(made), drawing.mixing_weights_of(darts)
    np.testing.assert_array_equal(used["alpha"]["normal"], expected["alpha"]["normal"])
    alphas = [s.bilevel.architecture.alpha["normal"].numpy() for s in (made, darts)]
    np.testing.assert_array_equal(*alphas)  # it is put back, and got the plain gradient
    rows, plain = used["weights"]["normal"], expected["weights"]["normal"]  # with the new alpha
    assert (rows[[0, 2, 4]] != plain[[0, 2, 4]]).any(1).all()
    assert_within(rows[[0, 2, 4]], plain[[0, 2, 4]], 0.165)
    assert rows[DECIDED].tolist() == [0, 0, 1] and not rows[REMOVED].any()
    weights = [[w.numpy() for w in s.bilevel.weights] for s in (made, darts)]
    assert any((a != b).any() for a, b in zip(*weights, strict=True))


def test_each_step_has_a_perturbation_of_its_own():
    first, again, second = (
        drawing.mixing_weights_of(drawing.setup(search__method="sdarts_rs"), number)["weights"]["normal"]
        for number in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


@pytest.fixture(scope="module")
def attacked():
    """A supernet that fits its batch somewhat, so that the mixing weights matter; running statistics too."""
    made = drawing.setup(search__method="sdarts_adv", search__channels=4)
    for number in range(10):
        tiny.one_device().run(
            lambda number=number: made.bilevel.weight_step(batch(number % 2), 8, tf.constant(0.1))
        )
    return made


def in_replica(function):
    return tiny.one_device().run(function)


def attack_of(made):
    return made.method.parts["adversarial_perturbation"]


def losses(made, train, now, *all_rows):
    method, bilevel = attack_of(made), made.bilevel
    return [float(in_replica(lambda r=rows: method._loss(bilevel, train, now, r))) for rows in all_rows]


def test_an_attack_raises_the_loss_inside_its_ball(attacked):
    method, bilevel, raised, gained = attack_of(attacked), attacked.bilevel, 0, []
    before = tiny.state(attacked)
    plain = bilevel.architecture.probabilities()

    @tf.function(autograph=False)
    def attack(number):
        """The rows that an attack ends with; the loss there, at the plain rows and where it began."""
        train, now = batch(number), tiny.now(number, progress=0.2)

        def on_replica():
            rows = method.attack(bilevel, train, now)
            start = perturbation.randomly_perturbed(bilevel, method.radius(now), now, "sdarts")
            return rows["normal"], [method._loss(bilevel, train, now, r) for r in (rows, plain, start)]

        return in_replica(on_replica)

    for number in range(8):
        rows, at = attack(tf.constant(number))
        at_rows, at_plain, at_start = (float(loss) for loss in at)
        assert at_rows >= at_plain
        raised += at_rows > at_plain + 1e-4
        gained.append(at_rows - at_start)
        assert_within(rows.numpy()[[0, 2, 4]], plain["normal"].numpy()[[0, 2, 4]], 0.084)
        np.testing.assert_array_equal(
            rows.numpy()[[DECIDED, REMOVED]], plain["normal"].numpy()[[DECIDED, REMOVED]]
        )
    # Not every time: steps of a sign overshoot, and the way back to the simplex undoes part of them.
    assert raised > 4 and np.mean(gained) > 0  # the ascent is worth more than its random start
    tiny.assert_equal(tiny.state(attacked), before)  # in evaluation mode


def test_an_attack_that_lowers_the_loss_is_given_up(attacked, monkeypatch):
    method, bilevel, train, now = attack_of(attacked), attacked.bilevel, batch(0), tiny.now(0)
    original = method._gradients

    def downhill(*arguments):
        return {t: -g for t, g in original(*arguments).items()}

    monkeypatch.setattr(method, "_gradients", downhill)
    rows = in_replica(lambda: method.attack(bilevel, train, now))
    np.testing.assert_array_equal(rows["normal"], bilevel.architecture.probabilities()["normal"])


def test_more_steps_find_more(attacked):
    method, bilevel, train, now = attack_of(attacked), attacked.bilevel, batch(1), tiny.now(3)
    found = []
    for steps in (1, 7):
        method.config.sdarts.attack_steps = steps
        rows = in_replica(lambda: method.attack(bilevel, train, now))
        found += losses(attacked, train, now, rows)
    assert found[1] >= found[0]


@pytest.mark.slow
def test_two_replicas_attack_as_one():
    """In evaluation mode losses are means over images, however they are shared out."""
    rows = {}
    for replicas, strategy in {1: tiny.one_device(), 2: tiny.two_replicas()}.items():
        made = drawing.setup(
            search__method="sdarts_adv", sdarts__attack_steps=2, strategy=strategy, search__channels=4
        )
        images, labels = batch(0)

        def on_replica(made=made, images=images, labels=labels, part=8 // replicas):
            first = part * tf.distribute.get_replica_context().replica_id_in_sync_group
            here = tf.slice(images, [first, 0, 0, 0], [part, 8, 8, 1]), tf.slice(labels, [first], [part])
            return attack_of(made).attack(made.bilevel, here, tiny.now(0))["normal"]

        function = tf.function(lambda s=strategy, f=on_replica: s.run(f), autograph=False)
        rows[replicas] = [r.numpy() for r in strategy.experimental_local_results(function())]
    np.testing.assert_array_equal(*rows[2])
    np.testing.assert_allclose(rows[2][0], rows[1][0], rtol=1e-5, atol=1e-6)
    plain = drawing.setup(search__channels=4).bilevel.architecture.probabilities()["normal"].numpy()
    assert (abs(rows[1][0] - plain).max(1) > 0.01).sum() == 3
