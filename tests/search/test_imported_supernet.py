"""A supernet from elsewhere in the place of a search, in the spaces S1 to S4."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import spaces
from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.search import imported_supernet, supernet_file
from tf_darts.selection import magnitude
from tf_darts.workdir.checkpoints import load_from
from tf_darts.workdir.records import read_json

FIELDS = {"search__cells": 2, "search__evaluate_every": 0}  # two reductions


def setup(name, seed, **fields):
    fields = {**FIELDS, "search__alpha_scale": 1.0, "seed": seed, **fields}
    return tiny.setup(tiny.config(space=name, **fields), spaces.get(name))


def logits(made):
    images = made.test.pass_batch("", 0, 0, 4, 4, False, False)[0]
    weights = made.bilevel.architecture.mixing_weights()
    if made.space.name == "s4":  # its noise is of the supernet's seed, which no file holds
        weights = {t: rows * tf.constant([0.0, 1.0]) for t, rows in weights.items()}
    return made.bilevel.forward(images, training=False, mixing_weights=weights).numpy()


@pytest.mark.parametrize(
    "name", ["s1", *(pytest.param(n, marks=pytest.mark.slow) for n in ("s2", "s3", "s4"))]
)
def test_selection_reads_the_supernet_of_the_file(tmp_path, name):
    theirs, ours = setup(name, 1), setup(name, 2)
    draw = np.random.default_rng(0)
    for variable in theirs.bilevel.supernet.variables:
        if not variable.trainable and variable.dtype == "float32":  # running statistics
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    expected = logits(theirs)
    assert not np.allclose(logits(ours), expected, atol=1e-3)
    supernet_file.write(tmp_path / "supernet.npz", theirs.bilevel)
    arrays = npz.read(str(tmp_path / "supernet.npz"))
    imported_supernet.check(ours.config, ours.space, tiny.data(ours.config), arrays)
    supernet_file.load(ours.bilevel, arrays)
    values = imported_supernet.run(ours, tmp_path, {"file": "supernet.npz"})
    assert not any(name.startswith("evaluation/") for name in values)
    result = read_json(tmp_path / "result.json")
    assert result["imported"] == {"file": "supernet.npz"} and result["space"] == name
    fresh = setup(name, 3)
    load_from(tmp_path, supernet=fresh.bilevel.supernet, architecture=fresh.bilevel.architecture)
    np.testing.assert_array_equal(logits(fresh), expected)
    genotypes = [magnitude.select(made.bilevel.architecture).genotype for made in (theirs, fresh)]
    assert genotypes[0] == genotypes[1]
    alphas = {t: a.numpy().tolist() for t, a in theirs.bilevel.architecture.alpha.items()}
    assert result["alpha"] == alphas


def test_a_file_of_another_of_the_spaces_is_refused(tmp_path):
    made = setup("s2", 1)
    arrays = supernet_file.arrays_of(made.bilevel)
    for name in ("s1", "s4"):
        config = tiny.config(space=name, **FIELDS)
        with pytest.raises(UserError, match=r"cells\."):
            imported_supernet.check(config, spaces.get(name), tiny.data(config), arrays)
            supernet_file.load(setup(name, 2).bilevel, arrays)
