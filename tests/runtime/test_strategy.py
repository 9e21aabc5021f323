"""The strategy that a config asks for."""

import pytest
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.runtime import strategy


def runtime(**fields):
    config = config_lib.default().runtime
    config.update(fields)
    return config


@pytest.fixture
def one_cpu(monkeypatch):
    devices = {"GPU": [], "CPU": [tf.config.LogicalDevice("/device:CPU:0", "CPU")]}
    monkeypatch.setattr(tf.config, "list_logical_devices", devices.get)


def test_one_device():
    made = strategy.start(runtime())
    assert isinstance(made, tf.distribute.OneDeviceStrategy) and made.num_replicas_in_sync == 1


def test_mirrored_over_all_devices():
    made = strategy.start(runtime(strategy="mirrored", logical_devices=4))
    assert isinstance(made, tf.distribute.MirroredStrategy) and made.num_replicas_in_sync == 4


def test_mirrored_needs_a_second_device(one_cpu):
    with pytest.raises(UserError, match="runtime.strategy is 'mirrored' and there is one device; allowed: "):
        strategy.start(runtime(strategy="mirrored"))


def test_devices_cannot_be_split_again():
    tf.constant(0)  # TensorFlow has started
    with pytest.raises(UserError, match="runtime.logical_devices is 3, but TensorFlow has started with 4"):
        strategy.start(runtime(strategy="mirrored", logical_devices=3))


def test_a_batch_has_to_divide_among_replicas():
    strategy.check_batch("search.batch_size", 8, 8, 2)
    message = "config: search.batch_size is 9; allowed: a multiple of 2 replicas"
    with pytest.raises(UserError, match=message):
        strategy.check_batch("search.batch_size", 9, 20, 2)


def test_a_batch_is_at_most_the_images_there_are():
    with pytest.raises(UserError, match="config: search.batch_size is 9; allowed: at most 8"):
        strategy.check_batch("search.batch_size", 9, 8, 1)


def test_a_gpus_memory_is_taken_as_it_is_needed(monkeypatch):
    gpus, grown = ["first", "second"], []
    monkeypatch.setattr(tf.config, "list_physical_devices", {"GPU": gpus}.get)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on)))
    strategy.prepare()
    assert grown == [("first", True), ("second", True)]
