"""Files that cannot be compared are refused in one line."""

import numpy as np
import pytest

from tests.tools.verify.made import beyond, save
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import torch_weights
from tf_darts.models.supernet import Supernet
from tf_darts.tools import verify


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"not a zip", "cannot be read"),
        (b"PK\x03\x04 and no more", "cannot be read"),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    path = tmp_path / "reference.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        verify.verify(str(path), spaces.get("darts"))


def test_other_unreadable_files(tmp_path):
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    with pytest.raises(UserError, match="single array"):
        verify.verify(str(single), spaces.get("darts"))
    with pytest.raises(UserError, match="cannot be read"):
        verify.verify(str(tmp_path), spaces.get("darts"))
    with pytest.raises(UserError, match="neither alpha/... .* nor genotype"):
        verify.verify(save(tmp_path, {"x": np.zeros(3)}), spaces.get("darts"))


def test_a_truncated_file(tmp_path, small):
    path = tmp_path / "reference.npz"
    np.savez_compressed(path, **small)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        verify.verify(str(path), spaces.get("nas_bench_201"))
    path.write_bytes(whole[:100] + bytes(200) + whole[300:])
    with pytest.raises(UserError, match="cannot be read"):
        verify.verify(str(path), spaces.get("nas_bench_201"))


@pytest.mark.parametrize("name", ["darts", "s3"])
def test_a_file_of_another_space(tmp_path, small, name):
    with pytest.raises(UserError, match=f"not those of a network of space {name!r}"):
        verify.verify(save(tmp_path, small), spaces.get(name))


@pytest.mark.parametrize("name", ["s2", pytest.param("darts_with_none", marks=pytest.mark.slow)])
def test_a_file_of_another_space_of_the_same_stacking(shared, name):
    with pytest.raises(UserError, match="weights: "):
        verify.verify(str(shared / "reference/supernet_darts.npz"), spaces.get(name))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("x_train", "'x_train' is missing"),
        ("y_valid", "'y_valid' is missing"),
        ("state/stem.0.weight", "state/stem.0.weight is missing"),
        ("state/classifier.weight", "state/classifier.weight is missing"),
        ("state/classifier.bias", "classifier.bias is missing"),
        ("state/cells.0.edges.3<-1.3.op.1.weight", "cells.0.edges.3<-1.3.op.1.weight is missing"),
    ],
)
def test_missing_arrays(tmp_path, small, key, message):
    with pytest.raises(UserError, match=message):
        verify.verify(
            save(tmp_path, {k: v for k, v in small.items() if k != key}), spaces.get("nas_bench_201")
        )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("alpha/alpha", np.zeros((6, 4)), r"alpha/alpha has shape \(6, 4\); .* \(6, 5\)"),
        ("alpha/second", np.zeros((6, 5)), "alpha/... has 2 arrays"),
        ("x_valid", np.zeros((6, 8, 8, 3)), r"x_valid has shape \(6, 8, 8, 3\); allowed: \[batch, 3"),
        ("x_valid", np.zeros((6, 3, 9, 9)), "sides divisible by 4"),
        ("x_train", np.zeros((6, 3, 8)), "x_train has shape"),
        ("y_train", np.full(6, 4), "y_train .* integers from 0 to 3"),
        ("y_train", np.zeros(5, int), "6 labels"),
        ("logits_valid", np.zeros((1, 4)), r"logits_valid has shape \(1, 4\); ours: \(6, 4\)"),
        ("probe/edge6/op0/logits", np.zeros((6, 4)), "no such edge or operation"),
        ("probe/edge0/op5/logits", np.zeros((6, 4)), "no such edge or operation"),
        ("probe/reduce/edge0/op0/logits", np.zeros((6, 4)), "names no probe"),
        ("state/stem.0.weight", np.zeros(2), "4 dimensions"),
        ("state/lastact.0.weight", np.zeros((8, 1)), "lastact.0.weight has shape"),
        ("state/lastact.0.weight", np.array(["a"] * 8), "lastact.0.weight has .* allowed: numbers"),
        ("state/other", np.zeros(2), "no place in the model, the first is other"),
        ("genotype", np.array("|skip_connect~0|"), "has to list 3 nodes"),
        ("genotype", np.zeros(2), "genotype has shape .* allowed: one text"),
    ],
)
def test_wrong_arrays(tmp_path, small, key, value, message):
    with pytest.raises(UserError, match=message):
        verify.verify(save(tmp_path, {**small, key: value}), spaces.get("nas_bench_201"))


def test_a_file_may_hold_less(tmp_path, small):
    left_out = ("genotype", "logits_train", "weight_grad/", "grad_norm/")
    arrays = {key: value for key, value in small.items() if not key.startswith(left_out)}
    comparisons = verify.verify(save(tmp_path, arrays), spaces.get("nas_bench_201"))
    assert beyond(comparisons) == []
    assert "logits_valid" in {c.key for c in comparisons}


def test_a_genotype_may_be_written_otherwise(tmp_path, small):
    spaced = np.array(str(small["genotype"]).replace("|+|", "| + |").encode())
    comparisons = verify.verify(save(tmp_path, {**small, "genotype": spaced}), spaces.get("nas_bench_201"))
    assert beyond(comparisons) == []


def test_noise_cannot_be_compared(tmp_path):
    space = spaces.get("s4")
    state = torch_weights.export(Supernet(space, 2, 3, 4))
    arrays = {f"state/{name}": value for name, value in state.items()}
    arrays |= {f"alpha/alphas_{t}": np.zeros((14, 2)) for t in space.cell_types}
    with pytest.raises(UserError, match="noise"):
        verify.verify(save(tmp_path, arrays), space)
