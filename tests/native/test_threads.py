"""Operations that threads share out: the same bits whatever their number, from one caller or several."""

import threading
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tests.native.test_edge import DARTS, NAS_BENCH_201, computed
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.native import choice, library
from tf_darts.runtime import host, strategy


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()
    yield
    kernels.set_threads(strategy.operation_threads())


def results(names, shape, stride, threads):
    kernels.set_threads(threads)
    made = MixedOp(names, shape[-1], stride, frozenset(), seed=3, kernels=choice.NATIVE)
    return {name: np.asarray(value).tobytes() for name, value in computed(made, shape, stride).items()}


@pytest.mark.parametrize(
    ("names", "shape", "stride"),
    [
        (DARTS, (19, 6, 7, 16), 1),
        (DARTS, (5, 8, 6, 32), 2),
        (NAS_BENCH_201, (11, 5, 6, 32), 1),
        (DARTS, (1, 5, 5, 16), 1),
    ],
)
def test_the_bits_are_those_of_one_thread(names, shape, stride):
    alone = results(names, shape, stride, 1)
    assert len(alone) > 10
    for threads in (2, 3, 8):
        assert results(names, shape, stride, threads) == alone


def test_several_callers_at_once_have_the_same_bits():
    names, shape = ("sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3"), (9, 6, 6, 16)
    made = [MixedOp(names, 16, 1, frozenset(), seed=i, kernels=choice.NATIVE) for i in range(3)]
    found = [[None, None] for _ in made]

    def compute(turn, i):
        y = made[i](tf.fill(shape, 0.5 + i), mixing_weights=[tf.ones([16])] * len(names), training=True)
        found[i][turn] = y.numpy().tobytes()

    kernels.set_threads(1)
    for i in range(len(made)):
        compute(0, i)
    kernels.set_threads(3)
    callers = [threading.Thread(target=compute, args=(1, i)) for i in range(len(made))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert all(alone is not None and alone == together for alone, together in found)


@pytest.mark.parametrize(
    ("cores", "chosen", "threads"), [(2, 0, 1), (4, 0, 1), (5, 0, 5), (16, 0, 16), (16, 6, 6), (2, 8, 2)]
)
def test_threads_are_those_of_tensorflows_operations(monkeypatch, cores, chosen, threads):
    monkeypatch.setattr(host, "cores", lambda: cores)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: chosen)
    assert strategy.operation_threads() == threads
    given = []
    made = types.SimpleNamespace(tf_darts_set_threads=given.append)
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: made)
    assert library._loaded.__wrapped__()[1] is made and given == [threads]
