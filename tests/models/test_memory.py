"""The estimate of memory: what it grows with, and the refusal of what cannot fit."""

import json

import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import memory
from tf_darts.runtime import host
from tf_darts.search import loop, setup

SHAPE = (32, 32, 3)


def tensors(space="darts", channels=16, cells=8, batch=64, shape=SHAPE):
    return memory.estimate(spaces.get(space), channels, cells, batch, shape) - memory.PROGRAM


def test_it_is_linear_in_batch_channels_and_pixels():
    whole = tensors()
    assert tensors(batch=32) == pytest.approx(whole / 2)
    assert tensors(channels=8) == pytest.approx(whole / 2)
    assert tensors(shape=(16, 64, 3)) == pytest.approx(whole)
    assert tensors(shape=(16, 16, 3)) == pytest.approx(whole / 4)
    assert tensors(shape=(29, 31, 3)) == whole  # enlarged in the supernet


def test_it_counts_what_is_kept():
    # NAS-Bench-201, one cell a stage, in units of 16 channels of 32x32 pixels: the stem; in each cell the
    # input and its ReLU, three nodes and theirs, two convolutions on each of six edges, a pooling of each of
    # three sources; stages of 1, 1/2 and 1/4; residual blocks of four tensors and their input before it is
    # halved.
    stage = 2 + 6 + 12 + 3
    units = 1 + stage * (1 + 1 / 2 + 1 / 4) + (4 / 2 + 2) + (4 / 4 + 1)
    kept = tensors("nas_bench_201", cells=1) / (memory.WORKSPACE * memory.BYTES * 64)
    assert kept == pytest.approx(units * 16 * 32 * 32)


def test_a_pooled_stem_leaves_a_quarter_and_keeps_its_own_activations():
    space = spaces.get("nas_bench_201")
    pooled = memory.estimate(spaces.with_stem(space, "pooled"), 16, 1, 64, SHAPE) - memory.PROGRAM
    # Before the pooling: what the stem's batch norm and its pooling take. Between stages a convolution before
    # a pooling, and not two after a reduction: in units of 16 channels of 16x16 pixels.
    own = 8 + (3 * 2 + 1 / 2 + 3 + 1 / 4) - ((4 / 2 + 2) + (4 / 4 + 1))
    unit = memory.WORKSPACE * memory.BYTES * 64 * 16 * 16 * 16
    assert pooled == pytest.approx(tensors("nas_bench_201", cells=1) / 4 + own * unit)


def test_spaces_of_fewer_operations_need_less():
    assert tensors("s2") < tensors("darts") == pytest.approx(tensors("darts_with_none"))


def test_a_search_that_cannot_fit_is_refused_before_it_is_built(monkeypatch):
    config = tiny.config()
    setup.check(config, tiny.SPACE, tiny.data(config), 1)
    monkeypatch.setattr(host, "available_memory", lambda: int(1e9))
    with pytest.raises(UserError, match=r"search.batch_size is 8 .* about 1.2 GB of memory; .* 1.0 GB"):
        setup.check(config, tiny.SPACE, tiny.data(config), 1)


def test_a_search_records_what_it_needed(tmp_path):
    loop.run(tiny.setup(tiny.config()), tmp_path)
    content = json.loads((tmp_path / "memory.json").read_text())
    assert content["peak_bytes"] > 2e8 and content["estimated_bytes"] > memory.PROGRAM
