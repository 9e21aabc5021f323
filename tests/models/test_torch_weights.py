"""PyTorch names and layouts: of both stackings, supernets and networks, there and back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models import torch_weights
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet

MIXED_201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"


def nas_bench_201_network(seed=0):
    space = spaces.get("nas_bench_201")
    return Network(space, genotype_lib.from_text(MIXED_201, space), 4, 2, 10, seed=seed)


def darts_network(name, seed=0, auxiliary=False):
    genotype = PUBLISHED[name]
    return Network(spaces.get(genotype.space), genotype, 4, 3, 10, auxiliary=auxiliary, seed=seed)


MODELS = {
    **{
        f"supernet {name}": lambda seed, name=name: Supernet(spaces.get(name), 4, 3, 10, seed=seed)
        for name in ("darts", "s1", "s2", "s3", "s4")
    },
    "supernet nas_bench_201": lambda seed: Supernet(spaces.get("nas_bench_201"), 4, 2, 10, seed=seed),
    **{
        f"network {name}": lambda seed, name=name: darts_network(name, seed)
        for name in ("darts_pt_s5_0", "darts_pt_s1_1", "darts_pt_s3_1", "darts_pt_s4_1")
    },
    "network with auxiliary head": lambda seed: darts_network("darts_pt_s2_1", seed, auxiliary=True),
    "network nas_bench_201": nas_bench_201_network,
}
LARGE = ("supernet darts", "supernet s2", "supernet s3")
CASES = [
    pytest.param(make, id=name, marks=[pytest.mark.slow] if name in LARGE else [])
    for name, make in MODELS.items()
]


def changed(state, seed=0):
    """Arrays of the same names and shapes with other values."""
    random = np.random.default_rng(seed)
    return {name: random.normal(size=value.shape).astype(np.float32) for name, value in state.items()}


@pytest.mark.parametrize("make", CASES)
def test_export_after_load_gives_the_same(make):
    model = make(0)
    initial = torch_weights.export(model)
    state = changed(initial)
    torch_weights.load(model, state)
    exported = torch_weights.export(model)
    assert exported.keys() == initial.keys()
    for name, value in exported.items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)
    other = make(1)
    assert not np.array_equal(torch_weights.export(other)["stem.0.weight"], initial["stem.0.weight"])
    torch_weights.load(other, initial)
    for name, value in torch_weights.export(other).items():
        np.testing.assert_array_equal(value, initial[name], err_msg=name)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_every_variable_has_one_name_of_its_own(make):
    model = make(0)
    entries = list(torch_weights.names(model))
    assert len({name for _, name, _ in entries}) == len(entries)
    # All but the noise operations' counters of draws, which PyTorch has not.
    variables = model.variables
    if isinstance(model, Supernet):
        variables = [v for _, members in model.packed.members for v in members]
    wanted = {id(v) for v in variables if v.name != "draws"}
    assert {id(variable) for variable, _, _ in entries} == wanted
    assert len(entries) == len(wanted)


@pytest.mark.parametrize(
    ("file", "name"), [("supernet_darts", "darts"), ("supernet_nas_bench_201", "nas_bench_201")]
)
def test_names_and_shapes_of_the_released_supernets(shared, file, name):
    with np.load(shared / f"reference/{file}.npz") as arrays:
        released = {k.removeprefix("state/"): arrays[k].shape for k in arrays.files if k.startswith("state/")}
    model = Supernet(spaces.get(name), 4, 3 if name == "darts" else 1, 10)
    assert {name: value.shape for name, value in torch_weights.export(model).items()} == released


def test_names_and_shapes_of_the_released_network(shared):
    with np.load(shared / "reference/network_darts.npz") as arrays:
        released = {k.removeprefix("state/"): arrays[k].shape for k in arrays.files if k.startswith("state/")}
        genotype = genotype_lib.from_text(str(arrays["genotype"]), spaces.get("darts"))
    model = Network(spaces.get("darts"), genotype, 6, 5, 10, auxiliary=True)
    assert {name: value.shape for name, value in torch_weights.export(model).items()} == released


def test_names_of_a_nas_bench_201_network():
    shapes = {name: value.shape for name, value in torch_weights.export(nas_bench_201_network()).items()}
    # Edges of a cell: 0 nor_conv_3x3; 1 none, 2 skip_connect; 3 avg_pool_3x3, 4 nor_conv_1x1, 5 nor_conv_3x3.
    cells = {name.split(".")[1] for name in shapes if ".layers." in name}
    assert cells == {"0", "1", "3", "4", "6", "7"}  # 2 and 5 are residual blocks
    assert {name.split(".")[3] for name in shapes if ".layers." in name} == {"0", "4", "5"}
    assert shapes["cells.0.layers.0.op.1.weight"] == (4, 4, 3, 3)
    assert shapes["cells.7.layers.4.op.1.weight"] == (16, 16, 1, 1)
    assert shapes["cells.7.layers.5.op.2.bias"] == (16,)
    assert shapes["cells.2.conv_a.op.1.weight"] == (8, 4, 3, 3)
    assert shapes["cells.5.conv_b.op.2.running_var"] == (16,)
    assert shapes["cells.5.downsample.1.weight"] == (16, 8, 1, 1)
    assert shapes["lastact.0.weight"] == (16,) and shapes["classifier.weight"] == (10, 16)


def test_names_of_an_s1_supernet():
    shapes = {
        name: value.shape for name, value in torch_weights.export(Supernet(spaces.get("s1"), 4, 3, 7)).items()
    }
    assert shapes["cells.0._ops.0._ops.1.op.1.weight"] == (4, 1, 3, 3)  # dil_conv_3x3
    assert shapes["cells.0._ops.5._ops.0.1.running_mean"] == (4,)  # batch norm after max_pool_3x3
    assert shapes["cells.1._ops.1._ops.1.op.2.weight"] == (8, 8, 1, 1)
    assert shapes["cells.2.preprocess0.conv_1.weight"] == (8, 16, 1, 1)
    assert "cells.0._ops.5._ops.1.1.running_mean" not in shapes  # skip_connect has none
    assert shapes["classifier.weight"] == (7, 64)


# The parameters and buffers of an operation's module in the authors' release, by the name in its list, with
# their shapes for C channels: (channels, kernel) -> shape; a search cell's batch norms have no scale.
def _depthwise(c, k):
    return (c, 1, k, k)


def _batch_norm(place):
    return {f"{place}.running_mean": lambda c, k: (c,), f"{place}.running_var": lambda c, k: (c,)}


def _pointwise(c, k):
    return (c, c, 1, 1)


def _half(c, k):
    return (c // 2, c, 1, 1)


SEPARABLE = {
    "op.1.weight": _depthwise,
    "op.2.weight": _pointwise,
    **_batch_norm("op.3"),
    "op.5.weight": _depthwise,
    "op.6.weight": _pointwise,
    **_batch_norm("op.7"),
}
DILATED = {"op.1.weight": _depthwise, "op.2.weight": _pointwise, **_batch_norm("op.3")}
FACTORIZED = {"conv_1.weight": _half, "conv_2.weight": _half, **_batch_norm("bn")}
RELEASED = {
    "none": {},
    "noise": {},
    "skip_connect": FACTORIZED,  # at stride 2; the identity has nothing
    "max_pool_3x3": _batch_norm("1"),
    "avg_pool_3x3": _batch_norm("1"),
    "sep_conv_3x3": SEPARABLE,
    "sep_conv_5x5": SEPARABLE,
    "dil_conv_3x3": DILATED,
    "dil_conv_5x5": DILATED,
}


@pytest.mark.parametrize("name", ["darts", "s1", "s2", "s3", "s4"])
def test_names_and_shapes_of_the_releases_mixed_operations(name):
    """cells.CELL._ops.EDGE._ops.OPERATION: of the same layout in S1 to S4 as in the DARTS space."""
    space, channels = spaces.get(name), 4
    expected, width = {}, channels
    for cell, cell_type in enumerate(("normal", "reduce", "reduce")):
        width *= 2 if cell_type == "reduce" else 1
        for edge, candidates in enumerate(space.candidates[cell_type]):
            halves = cell_type == "reduce" and space.edges[edge].source < 2
            for place, operation in enumerate(candidates):
                identity = operation == "skip_connect" and not halves
                parts = {} if identity else RELEASED[operation]
                for part, shape in parts.items():
                    key = f"cells.{cell}._ops.{edge}._ops.{place}.{part}"
                    expected[key] = shape(width, int(operation[-1]) if operation[-1].isdigit() else 0)
    state = torch_weights.export(Supernet(space, channels, 3, 10))
    found = {key: value.shape for key, value in state.items() if "._ops." in key}
    assert found == expected
    rest = {key for key in state if "._ops." not in key}
    assert {key.split(".")[0] for key in rest} == {"stem", "cells", "classifier"}
    assert {key.split(".")[2] for key in rest if key.startswith("cells.")} == {"preprocess0", "preprocess1"}


def test_layouts():
    kernel = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)  # OIHW
    ours = torch_weights.KERNEL.from_torch(kernel)
    assert ours.shape == (5, 7, 3, 2) and ours[4, 6, 1, 0] == kernel[0, 1, 4, 6]
    np.testing.assert_array_equal(torch_weights.KERNEL.to_torch(ours), kernel)
    depthwise = np.arange(6 * 9).reshape(6, 1, 3, 3)
    ours = torch_weights.DEPTHWISE.from_torch(depthwise)
    assert ours.shape == (3, 3, 6, 1) and ours[2, 0, 5, 0] == depthwise[5, 0, 2, 0]
    np.testing.assert_array_equal(torch_weights.DEPTHWISE.to_torch(ours), depthwise)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return Supernet(spaces.get("s2"), 2, 3, 4)


def assert_refused_unchanged(model, state, message):
    before = torch_weights.export(model)
    with pytest.raises(UserError, match=message):
        torch_weights.load(model, state)
    for name, value in torch_weights.export(model).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    "name", ["stem.0.weight", "classifier.bias", "cells.2._ops.13._ops.1.op.7.running_var"]
)
def test_a_missing_array(model, name):
    state = changed(torch_weights.export(model))
    del state[name]
    assert_refused_unchanged(model, state, f"weights: {name} is missing")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stem.0.weight", np.zeros((6, 3, 3)), r"shape \(6, 3, 3\) .* shape \(6, 3, 3, 3\)"),
        ("stem.0.weight", np.zeros((3, 3, 3, 6)), r"shape \(3, 3, 3, 6\) .* shape \(6, 3, 3, 3\)"),
        ("classifier.weight", np.zeros((32, 4)), r"shape \(32, 4\) .* shape \(4, 32\)"),
        ("classifier.bias", np.zeros(()), r"shape \(\) .* shape \(4,\)"),
        ("classifier.bias", np.array(["a"] * 4), "allowed: numbers"),
        ("cells.0._ops.0._ops.1.op.1.weight", np.zeros((1, 2, 3, 3)), r"shape \(1, 2, 3, 3\)"),
    ],
)
def test_an_array_of_another_shape_or_type(model, name, value, message):
    state = {**changed(torch_weights.export(model)), name: value}
    assert_refused_unchanged(model, state, f"weights: {name} has .*{message}")


def test_arrays_that_are_left_over(model):
    state = changed(torch_weights.export(model))
    state |= {"cells.3.preprocess0.op.1.weight": np.zeros(1), "auxiliary_head.classifier.bias": np.zeros(1)}
    assert_refused_unchanged(
        model, state, "2 arrays have no place .* first is auxiliary_head.classifier.bias"
    )


def test_counters_and_architecture_parameters_are_passed_over(model):
    state = changed(torch_weights.export(model), seed=1)
    extra = {
        "stem.1.num_batches_tracked": np.array(7),
        "cells.0._ops.0._ops.1.op.3.num_batches_tracked": np.array(7),
        "alphas_normal": np.zeros((14, 2)),
        "alphas_reduce": np.zeros((14, 2)),
    }
    torch_weights.load(model, {**state, **extra})
    np.testing.assert_array_equal(torch_weights.export(model)["stem.0.weight"], state["stem.0.weight"])


def test_loaded_weights_make_the_function(model):
    other = Supernet(spaces.get("s2"), 2, 3, 4, seed=9)
    torch_weights.load(other, torch_weights.export(model))
    images = tf.random.stateless_normal([2, 8, 8, 3], [0, 1])
    weights = {t: tf.fill([14, 2], 0.5) for t in ("normal", "reduce")}
    np.testing.assert_array_equal(other(images, weights), model(images, weights))
