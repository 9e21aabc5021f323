"""In float64: files of the release and of the peer agree to 1e-9, and a wrong formula is found."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.tools.verify.made import arrays_of, beyond, network_reference, save
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.layers import batch_norm, primitives
from tf_darts.optim.optimizers import SGD
from tf_darts.runtime import process
from tf_darts.tools import verify
from tf_darts.tools.reference_file import report

ROOT = pathlib.Path(__file__).resolve().parents[3]
EVERYTHING = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 0), ('dil_conv_5x5', 2),
            ('max_pool_3x3', 1), ('avg_pool_3x3', 3), ('skip_connect', 0), ('sep_conv_3x3', 4)],
    normal_concat=range(2, 6),
    reduce=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 0), ('dil_conv_5x5', 1),
            ('max_pool_3x3', 1), ('avg_pool_3x3', 0), ('skip_connect', 0), ('max_pool_3x3', 1)],
    reduce_concat=range(2, 6))"""
OF_NB = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"


@pytest.fixture
def in_float64():
    with process.floats("float64"):
        yield


def release(shared, name: str) -> tuple[str, spaces.Space]:
    """Return a file of the release in float64, and its space."""
    space = "nas_bench_201" if "nas_bench" in name else "darts"
    return str(shared / f"reference/{name}_float64.npz"), spaces.get(space)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arrays"), [("supernet_nas_bench_201", 221), ("network_darts", 274), ("supernet_darts", 1859)]
)
def test_the_release_agrees_with_nothing_excused(shared, in_float64, name, arrays):
    comparisons = verify.verify(*release(shared, name))
    assert len(comparisons) == arrays and all(c.within and c.moved == 0 for c in comparisons)
    assert {c.tolerance for c in comparisons} <= {0.0, 1e-9, 1e-7}
    assert max(c.error for c in comparisons) < 1e-11  # far from the tolerances
    assert "(*)" not in report(comparisons)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("s1", 4, 5, 12),
        ("s2", 2, 2, 3),
        ("s3", 4, 8, 12),
        ("darts_with_none", 2, 3, 7),
        ("nas_bench_201", 4, 2, 12),
        ("nas_bench_201", 4, 2, 12, OF_NB),
        ("darts", 4, 8, 12, EVERYTHING),
        ("darts", 4, 2, 12, EVERYTHING),
    ],
    ids=lambda arguments: "-".join(map(str, arguments[:4])),
)
def test_what_pytorch_computes_agrees(tmp_path, in_float64, arguments):
    path = tmp_path / "file.npz"
    command = [sys.executable, "-m", "tests.tools.verify.by_torch", path, *arguments]
    if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode:
        pytest.skip("PyTorch is not installed: the extra peer")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, check=True)
    comparisons = verify.verify(str(path), spaces.get(arguments[0]))
    assert beyond(comparisons) == [] and len(comparisons) > 50


def test_a_difference_far_below_that_of_float32_is_found(shared, tmp_path, in_float64):
    path, space = release(shared, "supernet_nas_bench_201")
    arrays = arrays_of(path)
    key = max((k for k in arrays if k.startswith("weight_grad/")), key=lambda k: np.abs(arrays[k]).max())
    arrays[key].flat[0] += 1e-8 * np.abs(arrays[key]).max()
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == [key] and {c.moved for c in comparisons} == {0.0}
    assert max(c.error for c in comparisons if c.key != key) < 1e-11
    row = next(line for line in report(comparisons).splitlines() if line.startswith("weight gradients"))
    assert "BEYOND" in row and row.endswith(key)


def test_values_of_float32_are_refused(shared, in_float64):
    path, space = release(shared, "supernet_nas_bench_201")
    with pytest.raises(UserError, match="logits_valid of .* is float32; allowed with --precision=float64: "):
        verify.verify(path.replace("_float64", ""), space)


@pytest.mark.parametrize("key", ["loss_train", "grad_norm/step1", "after_step3/state/lastact.0.weight"])
def test_one_array_of_float32_is_refused(small, tmp_path, in_float64, never_computed, key):
    arrays = small | {k: v.astype(np.float64) for k, v in small.items() if v.dtype == np.float32}
    arrays[key] = arrays[key].astype(np.float32)
    with pytest.raises(UserError, match=f"{key} of .* is float32; allowed with --precision=float64: "):
        verify.verify(save(tmp_path, arrays), spaces.get("nas_bench_201"))


# In float32, beside a file in float64.


@pytest.fixture(scope="module")
def network():
    """A tiny network's file in float32, and the same in float64."""
    space = spaces.get("nas_bench_201")
    genotype = genotype_lib.from_text(OF_NB, space)
    ours = network_reference(space, genotype, 2, 1, 4)
    with process.floats("float64"):
        exact = network_reference(space, genotype, 2, 1, 4)
    given = {k: v for k, v in ours.items() if k.startswith("state/") or k in ("x", "y", "genotype")}
    return space, ours, exact | given


def test_both_distances_from_float64_are_told(network, tmp_path, capsys):
    space, ours, exact = network
    ours["train_logits"] = ours["train_logits"] + np.float32(1e-3)
    path = save(tmp_path, ours)
    plain = verify.verify(path, space)
    assert all(c.ours_from_exact is None for c in plain) and "float64" not in report(plain)
    np.savez(tmp_path / "reference_float64.npz", **exact)
    by_key = {c.key: c for c in verify.verify(path, space)}
    assert {k for k, c in by_key.items() if c.ours_from_exact is None} == {"parameters"}
    assert 0 < max(c.ours_from_exact for k, c in by_key.items() if k != "parameters") < 1e-4
    logits = by_key["train_logits"]
    scale = np.abs(ours["train_logits"]).max()
    expected = np.abs(ours["train_logits"] - exact["train_logits"]).max() / scale
    assert logits.file_from_exact == pytest.approx(expected) and logits.ours_from_exact < 1e-6 < expected
    lines = report(list(by_key.values())).splitlines()
    assert "ours-float64  file-float64" in lines[0]
    row = next(line for line in lines if line.startswith("training logits")).split()
    assert row[5:7] == [f"{logits.ours_from_exact:.2e}", f"{logits.file_from_exact:.2e}"]
    assert next(line for line in lines if line.startswith("parameters")).split()[1:5] == [
        "1",
        "0.00e+00",
        "0e+00",
        "ok",
    ]

    np.savez(tmp_path / "reference_float64.npz", **(exact | {"x": exact["x"] + 1}))
    capsys.readouterr()
    assert all(c.ours_from_exact is None for c in verify.verify(path, space))
    assert "reference_float64.npz is left out: its x is not that of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "reference_float64.npz' cannot be read as .npz"),
        ({"train_loss": np.array("a")}, "train_loss has .* in .*reference_float64.npz'; allowed: numbers"),
    ],
)
def test_a_damaged_file_in_float64_is_refused_at_once(network, tmp_path, never_computed, change, message):
    space, ours, exact = network
    path = save(tmp_path, ours)
    beside = tmp_path / "reference_float64.npz"
    if change is None:
        beside.write_bytes(b"PK\x03\x04 and no more")
    else:
        np.savez(beside, **(exact | change))
    with pytest.raises(UserError, match=message):
        verify.verify(path, space)


# What a wrong formula does.


def same_padding(x, kernel, stride=1):
    """Pad as TensorFlow does by default, at stride 2 on one side only."""
    return tf.nn.conv2d(x, tf.cast(kernel, x.dtype), stride, "SAME")


def padding_in_the_divisor(x, stride=1):
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.nn.avg_pool2d(padded, 3, stride, "VALID")


def biased(x, shared):
    mean = tf.reduce_mean(x, [0, 1, 2])
    return mean, tf.reduce_mean(tf.square(x - mean), [0, 1, 2]), tf.constant(1e18, x.dtype)


APPLY = SGD.apply


def decay_before_clipping(optimizer, gradients, learning_rate):
    decay, optimizer._weight_decay = optimizer._weight_decay, 0.0
    decayed = [g + decay * v for g, v in zip(gradients, optimizer._variables, strict=True)]
    return APPLY(optimizer, decayed, learning_rate)


# What is changed, and the file that has it.
MUTANTS = {
    "padding": (primitives, "conv", same_padding, "supernet_nas_bench_201"),
    "divisor": (primitives, "avg_pool_3x3", padding_in_the_divisor, "supernet_nas_bench_201"),
    "momentum": (batch_norm, "BATCH_NORM_MOMENTUM", 0.99, "supernet_nas_bench_201"),
    "epsilon": (batch_norm, "BATCH_NORM_EPSILON", 1e-3, "supernet_nas_bench_201"),
    "epsilon, 2 % off": (batch_norm, "BATCH_NORM_EPSILON", 1.02e-5, "network_darts"),
    "biased variance": (batch_norm, "_moments", biased, "supernet_nas_bench_201"),
    "decay before clipping": (SGD, "apply", decay_before_clipping, "supernet_nas_bench_201"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_formula_is_found(shared, in_float64, monkeypatch, mutant):
    owner, name, changed, file = MUTANTS[mutant]
    monkeypatch.setattr(owner, name, changed)
    assert beyond(verify.verify(*release(shared, file)))


@pytest.mark.slow
def test_float32_excuses_one_of_them(shared, monkeypatch):
    """It finds values beyond the tolerance too, and passes all by what a millionth moves."""
    monkeypatch.setattr(verify, "NUDGES", 6)
    owner, name, changed, file = MUTANTS["epsilon, 2 % off"]
    monkeypatch.setattr(owner, name, changed)
    path, space = release(shared, file)
    comparisons = verify.verify(path.replace("_float64", ""), space)
    assert beyond(comparisons) == []
    excused = [c for c in comparisons if not c.within]
    assert excused and all(c.ours_from_exact > c.file_from_exact for c in excused)
    assert "ok (*)" in report(comparisons)
