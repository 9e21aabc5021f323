"""Races: who leaves and when, against chances worked out by hand."""

import numpy as np
import pytest

from tf_darts.selection.race import Race

# The probe that hurts most is sought, or the one that hurts least.
SOUGHT = pytest.mark.parametrize("most_important", [True, False], ids=["most", "least"])


def hits(won, lost, most_important):
    """Hits of a leader, of its equal, and of a probe that the leader beats `won` to `lost`."""
    leader = np.float32([0] * won + [1] * lost + [1, 0] * 10)
    other = np.float32([1] * won + [0] * lost + [1, 0] * 10)
    if not most_important:
        leader, other = 1 - leader, 1 - other
    return {0: leader, 1: leader, 2: other}


def losses(lead, spread, most_important):
    """The same for losses of two images: the leader's lead is lead - spread, and lead + spread."""
    leader, other = np.float32([2 + lead - spread, 2 + lead + spread]), np.float32([2, 2])
    if not most_important:
        leader, other = 4 - leader, 4 - other
    return {0: leader, 1: leader, 2: other}


@SOUGHT
@pytest.mark.parametrize(
    ("won", "lost", "stays"),
    [
        (4, 0, True),  # 1/16
        (5, 0, False),  # 1/32
        (6, 1, True),  # (1 + 7)/128 = 1/16
        (7, 1, False),  # (1 + 8)/256 = 0.035
        (8, 2, True),  # (1 + 10 + 45)/1024 = 0.055
        (9, 2, False),  # (1 + 11 + 55)/2048 = 0.033
    ],
)
def test_hits_are_compared_exactly(won, lost, stays, most_important):
    race = Race("accuracy", most_important, 0.95, 2)
    assert race.left_in(hits(won, lost, most_important), looks=1) == ([0, 1, 2] if stays else [0, 1])


def test_a_chance_that_is_the_error_is_enough():
    assert Race("accuracy", True, 1 - 1 / 16, 2).left_in(hits(4, 0, True), looks=1) == [0, 1]


@SOUGHT
@pytest.mark.parametrize(("lead", "stays"), [(6.2, True), (6.4, False), (-0.2, True)])
def test_losses_are_compared_by_a_paired_t_test(lead, stays, most_important):
    # Of two images t is lead/spread, and its chance 1/2 - atan(t)/pi: 1/20 at t = tan(0.45 pi) = 6.314.
    race = Race("loss", most_important, 0.95, 2)
    assert race.left_in(losses(lead / 4, 1 / 4, most_important), looks=1) == ([0, 1, 2] if stays else [0, 1])


@pytest.mark.parametrize(
    ("looks", "entrants", "needed"),
    [(1, 2, 5), (2, 2, 6), (1, 3, 6), (2, 3, 7), (4, 5, 9), (15, 7, 11)],  # 2^-needed against 1/20
)
def test_looks_and_entrants_share_the_error(looks, entrants, needed):
    assert 2.0**-needed <= 0.05 / (looks * (entrants - 1)) < 2.0 ** (1 - needed)
    race = Race("accuracy", True, 0.95, entrants)
    assert race.left_in(hits(needed - 1, 0, True), looks) == [0, 1, 2]
    assert race.left_in(hits(needed, 0, True), looks) == [0, 1]


def test_more_confidence_asks_for_more():
    low, high = (Race("accuracy", True, confidence, 2) for confidence in (0.9, 0.99))
    assert low.left_in(hits(5, 0, True), 1) == [0, 1]
    assert high.left_in(hits(5, 0, True), 1) == [0, 1, 2]
    assert high.left_in(hits(7, 0, True), 1) == [0, 1]


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
@pytest.mark.parametrize("seed", range(5))
def test_seeking_the_least_is_seeking_the_most_of_the_opposite(criterion, seed):
    draw = np.random.default_rng(seed)
    values = {i: draw.normal(0.15 * i, 1, 200).astype(np.float32) for i in range(6)}
    if criterion == "accuracy":
        values = {i: np.float32(v > 0) for i, v in values.items()}
    opposite = {i: 1 - v for i, v in values.items()}
    most, least = (Race(criterion, m, 0.9, 6) for m in (True, False))
    assert most.left_in(values, 2) == least.left_in(opposite, 2)
    assert len(most.left_in(values, 2)) < 6


@SOUGHT
@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_the_leader_never_leaves_and_the_order_stays(criterion, most_important):
    draw = np.random.default_rng(1)
    for _ in range(30):
        values = {i: draw.integers(0, 2, 40).astype(np.float32) for i in (7, 2, 5, 0)}
        hurt = {i: -v.mean() if criterion == "accuracy" else v.mean() for i, v in values.items()}
        leader = max(hurt, key=hurt.get) if most_important else min(hurt, key=hurt.get)
        stay = Race(criterion, most_important, 0.3, 4).left_in(values, 1)
        assert stay == [i for i in values if i in stay] and (leader in stay or not stay)


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_a_race_of_one_is_over(criterion):
    race = Race(criterion, True, 0.95, 3)
    assert race.left_in({1: np.ones(20, np.float32)}, 1) == []
    far = np.linspace(0, 1, 200).round() if criterion == "accuracy" else np.linspace(0.9, 1.1, 200)
    near = np.zeros(200) if criterion == "accuracy" else np.full(200, 3.0)
    values = {0: far, 1: near, 2: far}
    assert race.left_in({i: v.astype(np.float32) for i, v in values.items()}, 1) == []


@SOUGHT
def test_what_is_refused_does_not_lead_and_cannot_win(most_important):
    values = hits(20, 0, most_important)  # 0 and 1 beat 2
    values[3] = values[2]

    def race(*refused):
        return Race("accuracy", most_important, 0.95, 4, frozenset(refused))

    assert race().left_in(values, 1) == [0, 1]
    assert race(0, 1).left_in(values, 1) == [0, 1, 2, 3]  # 2 leads; who is better than it does not lose to it
    assert race(0).left_in(values, 1) == race(1).left_in(values, 1) == []  # the other has won
    assert race(2).left_in(values, 1) == [0, 1]


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_nobody_leaves_without_evidence(criterion):
    race = Race(criterion, True, 0.5, 3)
    same = np.float32([0, 1, 1, 0, 1])
    assert race.left_in({i: same for i in range(3)}, 15) == [0, 1, 2]
    assert race.left_in({0: np.float32([0]), 1: np.float32([1])}, 15) == [0, 1]
    draw = np.random.default_rng(0)
    assert race.left_in({i: draw.integers(0, 2, 6).astype(np.float32) for i in range(3)}, 15) == [0, 1, 2]


def run(values, race, per_look):
    """A whole race over values [probes, images]; gives who is in at the end, and images seen by each."""
    probes, images = values.shape
    running, seen = list(range(probes)), np.zeros(probes, int)
    looks = -(-images // per_look) - 1
    for done in range(per_look, images + per_look, per_look):
        seen[running] = min(done, images)
        if done < images:
            running = race.left_in({i: values[i, :done] for i in running}, looks)
        if not running:
            break
    return np.flatnonzero(seen == seen.max()).tolist(), seen


def correlated(draw, accuracies, images, shared=0.8):
    """Hits with these true accuracies; of most images all probes think alike, as one supernet's do."""
    alike = draw.random(images) < shared
    common = draw.random(images)
    own = draw.random((len(accuracies), images))
    return (np.where(alike, common, own) < np.reshape(accuracies, (-1, 1))).astype(np.float32)


@SOUGHT
def test_of_equals_the_best_of_the_full_pass_hardly_ever_leaves(most_important):
    draw, wrong, races = np.random.default_rng(5), 0, 200
    for _ in range(races):
        values = correlated(draw, [0.6] * 7, 640)
        left, _ = run(values, Race("accuracy", most_important, 0.95, 7), per_look=40)
        counts = values.sum(1)
        best = counts.argmin() if most_important else counts.argmax()
        wrong += best not in left
    assert wrong < 0.05 * races


def test_a_clear_race_is_won_early_by_the_right_probe():
    draw, shares = np.random.default_rng(6), []
    for _ in range(20):
        values = correlated(draw, [0.8] * 6 + [0.6], 640)
        left, seen = run(values, Race("accuracy", True, 0.95, 7), per_look=40)
        assert values[left].sum(1).argmin() == left.index(6)
        shares.append(seen.mean() / 640)
    assert np.mean(shares) < 0.5
