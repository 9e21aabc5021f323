"""What a call of the API sets in a process is put back, and what the process had changes nothing."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime import process


def state():
    return (
        keras.config.floatx(),
        keras.config.image_data_format(),
        keras.config.dtype_policy().name,
        tf.config.functions_run_eagerly(),
        tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False),
    )


@pytest.fixture
def odd(request):
    """A process that has other settings than a run needs; they are put back after the test."""
    before = state()
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    tf.config.run_functions_eagerly(True)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    floatx, channels, policy, eagerly, graph = before
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(channels)
    keras.config.set_dtype_policy(policy)
    tf.config.run_functions_eagerly(eagerly)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": graph})


def test_a_run_has_what_it_needs_and_the_process_gets_its_own_back(odd):
    before = state()
    with process.borrowed():
        assert state()[:4] == ("float32", "channels_last", "float32", False)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        with process.borrowed():  # one call inside another
            pass
        assert state()[:4] == ("float32", "channels_last", "float32", False)
    assert state() == before


def test_it_is_put_back_after_an_exception_and_an_interruption(odd):
    before = state()

    @process.guest
    def fails(error):
        raise error

    for error in (ValueError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fails(error)
        assert state() == before


def test_numbers_are_checked_again_after_the_call():
    """TensorFlow's deterministic cross-entropy does not bear the check: it has NaN inside."""
    tf.debugging.enable_check_numerics(stack_height_limit=7)
    try:
        with process.borrowed():
            assert np.isinf((tf.constant(1.0) / 0.0).numpy())
        with pytest.raises(tf.errors.InvalidArgumentError, match="Detected Infinity or NaN"):
            tf.constant(1.0) / 0.0
    finally:
        tf.debugging.disable_check_numerics()
    with process.borrowed():
        pass
    assert np.isinf((tf.constant(1.0) / 0.0).numpy())  # where it was off, it stays off


def test_determinism_ends_with_the_call():
    config = pytest.importorskip("tensorflow.python.framework.config")
    was = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    try:
        with process.borrowed():
            tf.config.experimental.enable_op_determinism()
        tf.random.uniform([2])  # with determinism left on: "Random ops require a seed to be set"
        tf.config.experimental.enable_op_determinism()
        with process.borrowed():
            pass
        assert config.is_op_determinism_enabled()  # it was the process's own wish
    finally:
        (tf.config.experimental.enable_op_determinism if was else config.disable_op_determinism)()


def test_two_calls_at_once_take_turns():
    inside, most = [], []

    @process.guest
    def call():
        inside.append(1)
        most.append(len(inside))
        np.linalg.norm(np.ones((300, 300)))
        inside.pop()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


@pytest.mark.parametrize(
    ("environment", "content", "place"),
    [
        ({"KERAS_BACKEND": "jax"}, None, "KERAS_BACKEND: the backend of Keras is 'jax'"),
        ({}, '{"backend": "torch"}', "keras.json: the backend of Keras is 'torch'"),
        ({"KERAS_BACKEND": "tensorflow"}, '{"backend": "torch"}', None),
        ({}, '{"backend": "tensorflow"}', None),
        ({}, "no json", None),
        ({}, None, None),
    ],
)
def test_another_backend_is_refused_by_name(environment, content, place, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    if place is None:
        process.check_backend()
    else:
        with pytest.raises(UserError, match=place):
            process.check_backend()
