"""Files of the authors' release agree, and what is wrong in a file is found."""

import numpy as np
import pytest

from tests.tools.verify.made import QUANTITIES_OF_A_SUPERNET, arrays_of, beyond, save
from tf_darts import spaces
from tf_darts.tools import reference_file, verify
from tf_darts.tools.reference_file import Comparison, report


def test_the_nas_bench_201_supernet_of_the_release(shared):
    comparisons = verify.verify(
        str(shared / "reference/supernet_nas_bench_201.npz"), spaces.get("nas_bench_201")
    )
    assert beyond(comparisons) == []
    assert {c.quantity for c in comparisons} == QUANTITIES_OF_A_SUPERNET
    assert len(comparisons) == 221


def test_the_darts_network_of_the_release(shared):
    comparisons = verify.verify(str(shared / "reference/network_darts.npz"), spaces.get("darts"))
    assert beyond(comparisons) == []
    assert {c.quantity for c in comparisons} == {
        "training logits",
        "auxiliary logits",
        "loss",
        "weight gradients",
        "running statistics",
        "evaluation logits",
        "parameters",
    }
    assert len(comparisons) == 274


@pytest.mark.slow
def test_the_darts_supernet_of_the_release(shared):
    comparisons = verify.verify(str(shared / "reference/supernet_darts.npz"), spaces.get("darts"))
    assert beyond(comparisons) == []
    assert {c.quantity for c in comparisons} == QUANTITIES_OF_A_SUPERNET
    assert len(comparisons) == 1859


# What is wrong in a file is found, and where.


@pytest.mark.slow
def test_one_changed_logit_is_reported_with_its_key(shared, tmp_path):
    arrays = arrays_of(shared / "reference/supernet_nas_bench_201.npz")
    arrays["probe/edge0/op3/logits"][2, 5] += 1e-3
    comparisons = verify.verify(save(tmp_path, arrays), spaces.get("nas_bench_201"))
    assert beyond(comparisons) == ["probe/edge0/op3/logits"]
    row = next(line for line in report(comparisons).splitlines() if line.startswith("probe logits"))
    assert "BEYOND" in row and row.endswith("probe/edge0/op3/logits")


def test_one_changed_weight_is_reported(shared, tmp_path):
    arrays = arrays_of(shared / "reference/network_darts.npz")
    arrays["state/cells.1.preprocess1.op.1.weight"][0, 0, 0, 0] += 1.0
    keys = beyond(verify.verify(save(tmp_path, arrays), spaces.get("darts")))
    assert {"train_logits", "train_loss", "weight_grad/stem.0.weight"} <= set(keys)


def test_a_value_that_is_not_a_number_does_not_pass(shared, tmp_path):
    arrays = arrays_of(shared / "reference/network_darts.npz")
    arrays["train_logits"][0, 0] = np.nan
    assert beyond(verify.verify(save(tmp_path, arrays), spaces.get("darts"))) == ["train_logits"]


@pytest.mark.parametrize(("nudge", "passes"), [(1e-9, False), (1e-4, True)])
def test_a_difference_counts_if_rounding_cannot_make_it(shared, tmp_path, monkeypatch, nudge, passes):
    monkeypatch.setattr(reference_file, "NUDGE", nudge)
    arrays = arrays_of(shared / "reference/network_darts.npz")
    key = "weight_grad/cells.1.preprocess1.op.1.weight"
    arrays[key].flat[0] += 2e-4 * np.abs(arrays[key]).max()
    comparisons = verify.verify(save(tmp_path, arrays), spaces.get("darts"))
    changed = next(c for c in comparisons if c.key == key)
    assert not changed.within and changed.passed == passes
    row = next(x for x in report(comparisons).splitlines() if x.startswith("weight gradients"))
    assert ("ok (*)" if passes else "BEYOND") in row and row.endswith(key)
    assert ("(*) 1 arrays" in report(comparisons)) == passes


@pytest.mark.parametrize(
    ("error", "moved", "passed"),
    [
        (0.9e-5, 0.0, True),
        (1.1e-5, 0.0, False),
        (1e-3, 6e-4, True),
        (1e-3, 4e-4, False),
        (np.nan, 1.0, False),
        (np.inf, 1.0, False),
        (1.0, np.inf, False),
        (1.0, np.nan, False),
    ],
)
def test_when_a_comparison_passes(error, moved, passed):
    assert Comparison("logits", "key", error, 1e-5, moved).passed == passed
