"""Steps compile under XLA, which is what a TPU runs; on CPU it takes most of a minute a step."""

import pytest
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data import sources
from tf_darts.search import setup as search_setup


@pytest.mark.slow
@pytest.mark.parametrize("space", ["nas_bench_201", "s1"])
def test_a_bilevel_step_compiles_and_agrees(space):
    config = config_lib.default()
    config.space = space
    config.data.source = "digits"
    config.search.channels = 4
    config.search.cells = 1 if space == "nas_bench_201" else 2
    config.search.batch_size = 16
    config = config_lib.validate(config)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    setup = search_setup.make(config, spaces.get(space), sources.load(config.data, 0), strategy)

    def gradients(step):
        train, valid = setup.train.fresh_batch("train", step, 16), setup.valid.fresh_batch("valid", step, 16)
        bilevel = setup.bilevel
        return bilevel.alpha_gradients(valid, 16).gradients + bilevel.weight_gradients(train, 16).gradients

    step = tf.constant(3)
    plain, compiled = tf.function(gradients)(step), tf.function(gradients, jit_compile=True)(step)
    for a, b in zip(plain, compiled, strict=True):
        tf.debugging.assert_near(a, b, rtol=1e-4, atol=1e-5)

    @tf.function(jit_compile=True)
    def whole_step(step):
        train, valid = setup.train.fresh_batch("train", step, 16), setup.valid.fresh_batch("valid", step, 16)
        return setup.method.step(setup.bilevel, train, valid, tf.constant(0.02), 16, 16)

    before = [w.numpy() for w in setup.bilevel.weights]
    assert whole_step(step)["train_loss"].numpy() > 0
    assert any((a != w.numpy()).any() for a, w in zip(before, setup.bilevel.weights, strict=True))
