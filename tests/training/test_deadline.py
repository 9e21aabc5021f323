"""A training ends after the last epoch for which there is time."""

import types

import pytest

from tf_darts.training.deadline import Deadline


@pytest.mark.parametrize(("end", "epochs"), [(100.0, 10), (99.0, 9), (15.0, 1), (5.0, 1)])
def test_the_next_epoch_has_to_fit(end, epochs):
    now = [0.0]
    deadline = Deadline(end, lambda: now[0])
    model = types.SimpleNamespace(stop_training=False)
    deadline.set_model(model)
    done = 0
    while not model.stop_training:
        deadline.on_epoch_begin(done)
        now[0] += 10.0
        done += 1
        deadline.on_epoch_end(done)
    assert done == epochs
