"""Steps compile under XLA, which is what a TPU runs; on CPU it takes most of a minute a step.

Each check is a process of its own: the other tests run with op determinism, under which XLA has no gradient
of max pooling.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data import sources
from tf_darts.search import setup as search_setup
from tf_darts.search.now import Now

ROOT = Path(__file__).resolve().parents[1]
BATCH = 16


@pytest.mark.slow
@pytest.mark.parametrize("space", ["nas_bench_201", "s1"])
def test_a_bilevel_step_compiles_and_agrees(space):
    command = [sys.executable, "-m", "tests.test_xla", space]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "agrees\n"


def check(space: str) -> None:
    config = config_lib.default()
    config.space = space
    config.data.source = "digits"
    config.search.channels = 4
    config.search.cells = 1 if space == "nas_bench_201" else 2
    config.search.batch_size = BATCH
    config = config_lib.validate(config)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    setup = search_setup.set_up(config, spaces.get(space), sources.load(config.data, 0), strategy)

    def batches(step):
        return setup.train.fresh_batch("train", step, BATCH), setup.valid.fresh_batch("valid", step, BATCH)

    def gradients(step):
        train, valid = batches(step)
        alpha, weights = (
            setup.bilevel.alpha_gradients(valid, BATCH),
            setup.bilevel.weight_gradients(train, BATCH),
        )
        return alpha.gradients + weights.gradients

    step = tf.constant(3)
    plain, compiled = tf.function(gradients)(step), tf.function(gradients, jit_compile=True)(step)
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    @tf.function(jit_compile=True)
    def whole_step(step):
        now = Now(step, tf.constant(0.5), tf.constant(0.02), BATCH, BATCH, True, seed=0)
        return setup.method.step(setup.bilevel, *batches(step), now)

    before = [w.numpy() for w in setup.bilevel.weights]
    assert whole_step(step)["train_loss"].numpy() > 0
    assert any((a != w.numpy()).any() for a, w in zip(before, setup.bilevel.weights, strict=True))
    print("agrees")


if __name__ == "__main__":
    check(sys.argv[1])
