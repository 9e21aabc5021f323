"""The comparison with reference files: the released ones, and ones in their format made of our own models."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import config, interop, published, reference_file, spaces, verify
from tf_darts import genotype as genotype_lib
from tf_darts.architecture import Architecture
from tf_darts.cli import verify as cli
from tf_darts.errors import UserError
from tf_darts.network import Network, count_parameters
from tf_darts.reference_file import Comparison, report
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.supernet import Supernet
from tf_darts.training.step import network_loss

QUANTITIES_OF_A_SUPERNET = {
    "logits",
    "probe logits",
    "loss",
    "alpha gradients",
    "weight gradients",
    "gradient norm",
    "alpha after steps",
    "weights after 3 steps",
    "running statistics",
    "logits after 3 steps",
    "genotype by magnitude",
}


def save(folder, arrays) -> str:
    path = folder / "reference.npz"
    np.savez(path, **arrays)
    return str(path)


def arrays_of(path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def images_and_labels(classes: int, size: int = 8, batch: int = 6, channels: int = 3, seed: int = 0):
    random = np.random.default_rng(seed)
    images = random.normal(size=(batch, size, size, channels)).astype(np.float32)
    return images, random.integers(0, classes, batch)


def stored_state(model) -> dict[str, np.ndarray]:
    """A model's state with what PyTorch has besides: a counter for each batch norm."""
    state = interop.export(model)
    counters = {
        name.replace("running_mean", "num_batches_tracked"): np.array(0)
        for name in state
        if name.endswith("running_mean")
    }
    return {f"state/{name}": value for name, value in {**state, **counters}.items()}


def torch_gradients(model, gradients) -> dict[str, np.ndarray]:
    by_variable = {id(v): g for v, g in zip(model.trainable_variables, gradients, strict=True)}
    return {
        name: layout.to_torch(by_variable[id(variable)].numpy())
        for variable, name, layout in interop.names(model)
        if id(variable) in by_variable
    }


def supernet_reference(space, channels, cells, classes, channels_in=3, probes=()):
    """What the README of the reference files says of a supernet, computed with ours step by step."""
    model = Supernet(space, channels, cells, classes, channels_in=channels_in, seed=3)
    architecture = Architecture(space, alpha_scale=0.3, seed=5)
    single = len(space.cell_types) == 1
    alpha_names = {t: "alpha" if single else f"alphas_{t}" for t in space.cell_types}
    alpha = {alpha_names[t]: v.numpy() for t, v in architecture.alpha.items()}
    bilevel = Bilevel.create(model, architecture, config.default().search)
    valid = images_and_labels(classes, channels=channels_in, seed=1)
    train = images_and_labels(classes, channels=channels_in, seed=2)
    file = {
        **stored_state(model),
        **{f"alpha/{name}": value for name, value in alpha.items()},
        "x_valid": valid[0].transpose(0, 3, 1, 2),
        "y_valid": valid[1],
        "x_train": train[0].transpose(0, 3, 1, 2),
        "y_train": train[1],
        "logits_valid": bilevel.forward(valid[0], training=True).numpy(),
    }
    for cell_type, edge, operation in probes:
        weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
        weights[cell_type][edge, operation] = 0.0
        prefix = "" if single else f"{cell_type}/"
        logits = model(valid[0], {t: tf.constant(w) for t, w in weights.items()}, training=True)
        file[f"probe/{prefix}edge{edge}/op{operation}/logits"] = logits.numpy()
    for step in range(3):
        evaluated = bilevel.alpha_step(valid, len(valid[1]))
        trained, norm = bilevel.weight_step(train, len(train[1]), 0.025)
        if step == 0:
            file["loss_valid"], file["loss_train"] = evaluated.loss.numpy(), trained.loss.numpy()
            file["logits_train"] = trained.logits.numpy()
            for cell_type, gradient in zip(bilevel.alphas, evaluated.gradients, strict=True):
                file[f"alpha_grad/{alpha_names[cell_type]}"] = gradient.numpy()
            for name, gradient in torch_gradients(model, trained.gradients).items():
                file[f"weight_grad/{name}"] = gradient
        file[f"grad_norm/step{step}"] = norm.numpy()
        for cell_type, name in alpha_names.items():
            file[f"after_step{step + 1}/alpha/{name}"] = architecture.alpha[cell_type].numpy()
    for cell_type in alpha_names.keys() - bilevel.alphas.keys():  # no gradient, no update: as PyTorch's Adam
        assert (architecture.alpha[cell_type].numpy() == alpha[alpha_names[cell_type]]).all()
    file.update({f"after_step3/{name}": value for name, value in stored_state(model).items()})
    file["after_step3/logits_valid"] = bilevel.forward(valid[0], training=True).numpy()
    file["genotype"] = np.array(magnitude.select(architecture).genotype.to_text(space))
    return file


def network_reference(space, genotype, channels, cells, classes, size=8, auxiliary=False):
    """What the README of the reference files says of a network, computed with ours."""
    model = Network(space, genotype, channels, cells, classes, auxiliary=auxiliary, seed=3)
    images, labels = images_and_labels(classes, size)
    file = {
        **stored_state(model),
        "genotype": np.array(genotype.to_text(space)),
        "x": images.transpose(0, 3, 1, 2),
        "y": labels,
        "parameters": np.array(count_parameters(model)),
    }
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        logits, auxiliary_logits = model(images, training=True)
        loss = network_loss(logits, auxiliary_logits, labels, len(labels), 0.4)
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(loss, variables, unconnected_gradients=zero)
    file["train_logits"], file["train_loss"] = logits.numpy(), loss.numpy()
    if auxiliary:
        file["train_aux_logits"] = auxiliary_logits.numpy()
    for name, gradient in torch_gradients(model, gradients).items():
        file[f"weight_grad/{name}"] = gradient
    for name, value in stored_state(model).items():
        if "running" in name:
            file[name.replace("state/", "after_forward/")] = value
    file["eval_logits_after_one_train_forward"] = model(images, training=False)[0].numpy()
    return file


@pytest.fixture(autouse=True)
def few_nudges(monkeypatch):
    """Six are for files whose gradients need them; here they would only take time."""
    monkeypatch.setattr(verify, "NUDGES", 1)


def beyond(comparisons) -> list[str]:
    return [comparison.key for comparison in comparisons if not comparison.passed]


# The files of the authors' release.


def test_the_nas_bench_201_supernet_of_the_release(shared):
    comparisons = verify.verify(
        str(shared / "reference/supernet_nas_bench_201.npz"), spaces.get("nas_bench_201")
    )
    assert beyond(comparisons) == []
    assert {c.quantity for c in comparisons} == QUANTITIES_OF_A_SUPERNET
    assert len(comparisons) == 149


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
    assert len(comparisons) == 1155


# What is wrong in a file is found, and where.


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


# Files of every space, in the release's format.


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes", "channels_in", "probes"),
    [
        ("s1", 4, 5, 7, 3, [("normal", 3, 1), ("reduce", 6, 0)]),
        ("s3", 2, 1, 4, 1, [("reduce", 0, 0), ("reduce", 2, 2)]),
        pytest.param("s3", 2, 3, 10, 3, [], marks=pytest.mark.slow),
        pytest.param("s2", 2, 2, 10, 3, [("reduce", 13, 1)], marks=pytest.mark.slow),
        ("nas_bench_201", 2, 2, 5, 3, [("normal", 5, 0), ("normal", 5, 3)]),
    ],
)
def test_supernets(tmp_path, name, channels, cells, classes, channels_in, probes):
    space = spaces.get(name)
    arrays = supernet_reference(space, channels, cells, classes, channels_in, probes)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    wanted = QUANTITIES_OF_A_SUPERNET - (set() if probes else {"probe logits"})
    assert {c.quantity for c in comparisons} == wanted
    given = {k for k in arrays if not k.startswith(("state/", "alpha/", "x_", "y_"))}
    skipped = given - {c.key for c in comparisons}
    # All that is passed over: counters, and running statistics inside mixed edges.
    assert all("num_batches_tracked" in k or "_ops." in k or "edges." in k for k in skipped)
    assert all("num_batches_tracked" in k or "running" in k for k in skipped)


@pytest.mark.slow
def test_a_supernet_with_none_and_full_depth(tmp_path):
    space = spaces.get("darts_with_none")
    arrays = supernet_reference(space, 2, 8, 10, probes=[("normal", 0, 0), ("reduce", 13, 7)])
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes"),
    [("darts_pt_s5_0", 4, 5, 7), ("darts_pt_s1_1", 2, 3, 10), ("blank_pt_s3_1", 2, 1, 3)],
)
def test_networks_of_the_darts_like_spaces(tmp_path, name, channels, cells, classes):
    genotype = published.PUBLISHED[name]
    space = spaces.get(genotype.space)
    arrays = network_reference(space, genotype, channels, cells, classes)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    compared = {c.key for c in comparisons}
    assert all(key in compared for key in arrays if key.startswith(("weight_grad/", "after_forward/")))


def test_a_network_with_an_auxiliary_head(tmp_path):
    space, genotype = spaces.get("s2"), published.PUBLISHED["darts_pt_s2_1"]
    arrays = network_reference(space, genotype, 2, 3, 10, size=32, auxiliary=True)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    assert "train_aux_logits" in {c.key for c in comparisons}
    arrays["parameters"] += 128 * 8 * 4 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10 + 10
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []  # all counted
    arrays["parameters"] += 1
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == ["parameters"]


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|none~2|",
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|none~2|",
    ],
    ids=["usual", "cells without parameters", "output always zero"],
)
@pytest.mark.parametrize("cells", [1, 3])
def test_networks_of_nas_bench_201(tmp_path, text, cells):
    space = spaces.get("nas_bench_201")
    genotype = genotype_lib.from_text(text, space)
    arrays = network_reference(space, genotype, 3, cells, 10)
    assert any(".layers." in key for key in arrays) == ("nor_conv" in text)
    assert verify.shape_of(
        {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}, space
    ) == {"channels": 3, "cells": cells, "classes": 10, "channels_in": 3}
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []


@pytest.mark.parametrize("cells", range(1, 9))
def test_depth_width_and_classes_are_read_off_a_darts_state(cells):
    model = Network(spaces.get("s1"), published.PUBLISHED["darts_pt_s1_2"], 4, cells, 7, channels_in=1)
    shape = verify.shape_of(interop.export(model), model.space)
    assert shape == {"channels": 4, "cells": cells, "classes": 7, "channels_in": 1}


# Files that cannot be compared.


@pytest.fixture(scope="module")
def small() -> dict[str, np.ndarray]:
    return supernet_reference(spaces.get("nas_bench_201"), 2, 1, 4, probes=[("normal", 0, 3)])


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


def test_a_file_of_another_space_of_the_same_stacking(shared):
    for name in ("s2", "darts_with_none"):
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
    state = interop.export(Supernet(space, 2, 3, 4))
    arrays = {f"state/{name}": value for name, value in state.items()}
    arrays |= {f"alpha/alphas_{t}": np.zeros((14, 2)) for t in space.cell_types}
    with pytest.raises(UserError, match="noise"):
        verify.verify(save(tmp_path, arrays), space)


# The program.


@pytest.fixture
def flags(monkeypatch):
    def set_to(files, names):
        monkeypatch.setattr(cli, "_FILE", type("Flag", (), {"value": files}))
        monkeypatch.setattr(cli, "_SPACE", type("Flag", (), {"value": names}))

    return set_to


def test_the_program_says_whether_all_agrees(tmp_path, small, flags, capsys):
    right = save(tmp_path, small)
    flags([right], ["nas_bench_201"])
    assert cli.program() == 0
    output = capsys.readouterr().out
    assert output.count("quantity") == 1 and "BEYOND" not in output
    assert output.splitlines()[-1].startswith("agrees: all ")

    (tmp_path / "other").mkdir()
    wrong = save(tmp_path / "other", {**small, "loss_valid": small["loss_valid"] + 0.1})
    flags([wrong, right], ["nas_bench_201"])
    assert cli.program() == 1
    output = capsys.readouterr().out
    assert output.count("quantity") == 2 and "BEYOND" in output and "loss_valid" in output
    assert output.splitlines()[-1].startswith("differs: 1 of ")


@pytest.mark.parametrize(
    ("files", "names", "message"),
    [
        ([], ["darts"], "--file: missing"),
        (["a.npz"], [], "--space: given 0 times"),
        (["a.npz"], ["darts", "s1"], "--space: given 2 times for 1 files"),
        (["a.npz"], ["dart"], "space: 'dart' is not known; allowed: darts"),
        (["a.npz"], ["darts"], "'a.npz' cannot be read"),
    ],
)
def test_what_the_program_refuses(flags, files, names, message):
    flags(files, names)
    with pytest.raises(UserError, match=message):
        cli.program()
