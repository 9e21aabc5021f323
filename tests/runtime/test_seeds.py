"""Seeds are functions of what they are for, on every machine and in every version."""

import numpy as np
import tensorflow as tf

from tf_darts.runtime.seeds import draw_seed, fold


def test_folding_is_stable():
    seeds = [fold(0, "search"), fold(1, "search"), fold(0, "edge", 3), fold(0)]
    assert seeds == [72452062, 574895992, 1940992893, 872845860]


def test_seeds_of_many_purposes_differ():
    seeds = {fold(seed, name, i) for seed in range(10) for name in ("alpha", "edge") for i in range(100)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**31 for seed in seeds)
    bits = np.array([[seed >> k & 1 for k in range(31)] for seed in seeds])
    assert (abs(bits.mean(0) - 0.5) < 0.06).all()  # deviation 0.011


def test_parts_of_a_purpose_are_kept_apart():
    assert fold(1, "a", "b") != fold(1, "ab") and fold(1, "a", 1) != fold(1, "a1")
    assert fold(12, "a") != fold(1, "2", "a")
    assert fold(1, "a", 2) == fold(1, "a", "2")


def test_draws_of_steps_and_purposes_are_independent_and_repeat():
    def draw(seed, purpose, step):
        return tf.random.stateless_uniform([1000], draw_seed(seed, purpose, step)).numpy()

    draws = [draw(0, "a", 0), draw(0, "a", 1), draw(0, "b", 0), draw(1, "a", 0)]
    correlation = np.corrcoef(draws) - np.eye(4)
    assert abs(correlation).max() < 0.15  # deviation 0.032
    compiled = tf.function(lambda step: draw_seed(0, "a", step))(tf.constant(1, tf.int64))
    assert compiled.dtype == tf.int32
    np.testing.assert_array_equal(compiled, draw_seed(0, "a", 1))
