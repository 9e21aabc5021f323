"""Files that cannot be compared are refused in one line."""

import numpy as np
import pytest

from tests.tools.verify.made import arrays_of, beyond, save
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
        ("logits_train", np.zeros((6, 5)), r"logits_train has shape \(6, 5\); ours: \(6, 4\)"),
        ("loss_valid", np.zeros(1), r"loss_valid has shape \(1,\); ours: \(\)"),
        ("alpha_grad/alpha", np.zeros((5, 5)), r"alpha_grad/alpha has shape \(5, 5\); ours: \(6, 5\)"),
        ("grad_norm/step2", np.zeros(3), r"grad_norm/step2 has shape \(3,\); ours: \(\)"),
        ("after_step2/alpha/alpha", np.zeros(5), r"after_step2/alpha/alpha has shape \(5,\); ours: \(6, 5"),
        ("weight_grad/classifier.bias", np.zeros(5), r"classifier.bias has shape \(5,\); ours: \(4,\)"),
        ("after_step3/state/lastact.0.running_var", np.zeros(4), r"running_var has shape \(4,\); ours: \(8,"),
        ("after_step3/logits_valid", np.zeros((6, 1)), r"logits_valid has shape \(6, 1\); ours: \(6, 4\)"),
        ("probe/edge0/op3/logits", np.zeros((6, 1)), r"op3/logits has shape \(6, 1\); ours: \(6, 4\)"),
        ("probe/edge6/op0/logits", np.zeros((6, 4)), "no such edge .*; allowed: edge 0 to 5, op 0 to 4"),
        ("probe/edge0/op5/logits", np.zeros((6, 4)), "no such edge .*; allowed: edge 0 to 5, op 0 to 4"),
        ("probe/edge" + "9" * 5000 + "/op0/logits", np.zeros((6, 4)), "names no probe"),
        ("probe/reduce/edge0/op0/logits", np.zeros((6, 4)), "names no probe; expected .*CELL is normal"),
        ("state/stem.0.weight", np.zeros(2), "4 dimensions"),
        ("state/lastact.0.weight", np.zeros((8, 1)), "lastact.0.weight has shape"),
        ("state/lastact.0.weight", np.array(["a"] * 8), "lastact.0.weight has .* allowed: numbers"),
        ("state/other", np.zeros(2), "no place in the model, the first is other"),
        ("genotype", np.array("|skip_connect~0|"), "has to list 3 nodes"),
        ("genotype", np.zeros(2), "genotype has shape .* allowed: one text"),
        (
            "alpha/alpha",
            np.full((6, 5), "a"),
            r"alpha/alpha has shape \(6, 5\) and type <U1 .*; allowed: numbers",
        ),
        ("x_train", np.full((6, 3, 8, 8), "a"), "x_train has .* type <U1 .* allowed: numbers, at least one"),
        ("logits_valid", np.full((6, 4), b"a"), "logits_valid has .* type .S1 .* allowed: numbers"),
        ("x_train", np.zeros((0, 3, 8, 8)), r"x_train has shape \(0, 3, 8, 8\) .* at least one"),
        ("x_valid", np.zeros((6, 3, 0, 0)), r"x_valid has shape \(6, 3, 0, 0\) .* at least one"),
        ("state/stem.0.weight", np.zeros((0, 3, 3, 3)), "state/stem.0.weight has .* at least one"),
        ("state/classifier.weight", np.zeros((0, 8)), "state/classifier.weight has .* at least one"),
        ("weight_grad/classifier.bias", np.zeros(0), "weight_grad/classifier.bias has .* at least one"),
        ("state/classifier.bias", np.full(4, np.nan), "state/classifier.bias holds nan .*; allowed: finite"),
        ("alpha/alpha", np.full((6, 5), -np.inf), "alpha/alpha holds -inf .*; allowed: finite numbers"),
        ("x_train", np.full((6, 3, 8, 8), np.inf), "x_train holds inf .*; allowed: finite numbers"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_wrong_arrays(tmp_path, small, never_computed, key, value, message):
    with pytest.raises(UserError, match=message):
        verify.verify(save(tmp_path, {**small, key: value}), spaces.get("nas_bench_201"))


@pytest.mark.parametrize(
    "key",
    [
        *("weight_gradient/stem.0.weight", "weight_grad/lastact.0.running_mean", "grad_norm/step3", "x"),
        *("after_step2/state/classifier.bias", "parameters", "seed"),
    ],
)
def test_what_is_not_known_is_told(tmp_path, small, key):
    value = np.array("text") if key == "seed" else np.zeros(2)
    path = save(tmp_path, {**small, key: value, "after_step3/state/stem.1.num_batches_tracked": np.array(3)})
    assert verify.Verification(path, spaces.get("nas_bench_201")).unknown == [key]


@pytest.mark.parametrize("width", [1, 2])
def test_a_stem_of_no_width(tmp_path, width):
    arrays = {"state/stem.0.weight": np.zeros((width, 3, 3, 3)), "state/classifier.weight": np.zeros((4, 8))}
    arrays |= {"state/cells.0.preprocess0.op.1.weight": np.zeros(1), "alpha/alphas_normal": np.zeros((14, 7))}
    with pytest.raises(UserError, match="state/stem.0.weight has shape .*; allowed: at least 3 output chan"):
        verify.verify(save(tmp_path, arrays), spaces.get("darts"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": np.zeros((8, 3, 16, 16))},
            r"x has shape \(.*16\); allowed: 32x32 images, as it has an auxiliary",
        ),
        ({"parameters": np.zeros(2)}, r"parameters has shape \(2,\); allowed: one value"),
        ({"train_logits": np.zeros(10)}, r"train_logits has shape \(10,\); ours: \(\d+, 10\)"),
        ({"train_aux_logits": np.zeros(10)}, r"train_aux_logits has shape \(10,\); ours: \(\d+, 10\)"),
        ({"after_forward/stem.1.weight": np.zeros(1)}, r"stem.1.weight has shape \(1,\); ours: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_arrays_of_a_network(shared, tmp_path, never_computed, change, message):
    arrays = arrays_of(shared / "reference/network_darts.npz")
    change = {k: v[: len(arrays["y"])] if k == "x" else v for k, v in change.items()}
    with pytest.raises(UserError, match=message):
        verify.verify(save(tmp_path, arrays | change), spaces.get("darts"))


def test_a_file_with_nothing_to_compare(tmp_path, small, never_computed):
    inputs = {k: v for k, v in small.items() if k.startswith(("state/", "alpha/", "x_", "y_"))}
    with pytest.raises(UserError, match="holds nothing to compare; allowed: state/NAME"):
        verify.verify(save(tmp_path, inputs), spaces.get("nas_bench_201"))


def test_what_we_compute_is_not_a_number(tmp_path, small):
    """It is in the table, with all that comes of it: alpha, and the genotype that cannot be read from it."""
    weight = "state/classifier.weight"
    large = small | {weight: np.full_like(small[weight], 3e38) * np.array([1, -1] * 4, np.float32)}
    different = beyond(verify.verify(save(tmp_path, large), spaces.get("nas_bench_201")))
    assert {"logits_valid", "after_step1/alpha/alpha", "genotype"} <= set(different)


def test_an_infinite_value_hides_no_other(tmp_path, small):
    first, second = "weight_grad/classifier.bias", "weight_grad/lastact.0.bias"
    changed = small | {first: small[first].copy(), second: 1.01 * small[second]}
    changed[first][0] = np.inf
    assert set(beyond(verify.verify(save(tmp_path, changed), spaces.get("nas_bench_201")))) == {first, second}


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
