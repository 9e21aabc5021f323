"""What holds whatever is drawn: genotypes, masks, configs and spaces (hypothesis)."""

import json

import ml_collections
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from tests.faults.properties import few_and_many
from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data import sources
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.search import setup as search_setup
from tf_darts.selection import magnitude
from tf_darts.selection.probe_pass import mask_without
from tf_darts.selection.sampling import random_mixing_weights
from tf_darts.workdir import genotype_file

SPACES = sorted(spaces.SPACES)
SEEDS = st.integers(0, 2**32 - 1)


def genotype_of(space, seed):
    return read_genotype(space, random_mixing_weights(space, np.random.default_rng(seed)))


def check_forms(name, seed):
    space = spaces.get(name)
    genotype = genotype_of(space, seed)
    assert genotype_lib.from_text(genotype.to_text(), space) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert json.loads(genotype.to_json())["schema_version"] == 1


test_forms_come_back, test_forms_come_back_many = few_and_many(
    check_forms, 30, name=st.sampled_from(SPACES), seed=SEEDS
)


def check_malformed(name, seed, as_json, place, count, inserted):
    """Some characters of a form are replaced: what is read is a genotype of the space, or it is refused."""
    space = spaces.get(name)
    text = genotype_of(space, seed).to_json() if as_json else genotype_of(space, seed).to_text()
    at = place % (len(text) + 1)
    damaged = text[:at] + inserted + text[at + count :]
    try:
        read = genotype_file.read(damaged, space)
    except UserError as error:
        message = str(error)
        assert "\n" not in message and "genotype" in message and len(message) > 20
    else:
        genotype_lib.validate(read, space)
        assert genotype_lib.from_text(read.to_text(), space) == read


test_malformed_forms_are_refused, test_malformed_forms_are_refused_many = few_and_many(
    check_malformed,
    60,
    name=st.sampled_from(SPACES),
    seed=SEEDS,
    as_json=st.booleans(),
    place=st.integers(0, 5000),
    count=st.integers(0, 30),
    inserted=st.text(max_size=6)
    | st.sampled_from(["skip_connect", "(", "|", "}", "~9", "0", "'", '"none"', "\0"]),
)


def check_masks(name, seed, weighs_edges, steps):
    """Mixing weights are a distribution over what is open, and one-hot where an edge is decided."""
    space = spaces.get(name)
    architecture = Architecture(space, 1.0, seed % 2**31, weighs_edges=weighs_edges, passes_by=weighs_edges)
    draw = np.random.default_rng(seed)
    for alpha in architecture.alpha.values():
        alpha.assign(draw.normal(scale=draw.choice([1e-3, 1.0, 30.0]), size=alpha.shape))
    for _ in range(steps):
        cell_type = str(draw.choice(space.cell_types))
        undecided = architecture.undecided_edges(cell_type)
        if undecided and draw.random() < 0.7:
            edge = int(draw.choice(undecided))
            is_open = architecture.open_operations[cell_type].numpy()[edge]
            architecture.decide_operation(cell_type, edge, int(draw.choice(np.flatnonzero(is_open))))
        else:
            edges = np.flatnonzero(architecture.open_edges[cell_type].numpy())
            if len(edges) > 1:
                architecture.remove_edges(cell_type, [int(draw.choice(edges))])
    for cell_type, weights in architecture.mixing_weights().items():
        weights = weights.numpy()[:, : space.num_operations]
        is_open, there = (
            architecture.open_operations[cell_type].numpy(),
            architecture.open_edges[cell_type].numpy(),
        )
        assert (weights >= 0).all() and (weights[~is_open] == 0).all() and (weights[~there] == 0).all()
        sums = weights.sum(1)
        if weighs_edges:  # an edge's row sums to its share among the node's edges
            for node in space.targets:
                incoming = [e for e in space.incoming(node) if there[e]]
                if incoming:
                    np.testing.assert_allclose(sums[incoming].sum(), 1, rtol=1e-5)
        else:
            np.testing.assert_allclose(sums[there], 1, rtol=1e-5)
            decided = there & (is_open.sum(1) == 1)
            assert (weights[decided] == is_open[decided]).all()  # exactly
        edge = int(draw.integers(len(space.edges)))
        operation = int(draw.integers(len(space.candidates[cell_type][edge])))
        before = architecture.mixing_weights()[cell_type].numpy()
        probed = before * mask_without(architecture, cell_type, edge, operation)
        assert probed[edge, operation] == 0
        probed[edge, operation] = before[edge, operation]
        assert (probed == before).all()


test_masks, test_masks_many = few_and_many(
    check_masks,
    15,
    name=st.sampled_from(SPACES),
    seed=SEEDS,
    weighs_edges=st.booleans(),
    steps=st.integers(0, 12),
)


def one_step(config):
    """Builds what a config asks for and does one step of its search, uncompiled; gives the setup.

    Raises:
      UserError: the config does not suit the data.
    """
    space = spaces.of(config)
    data = sources.load(config.data, config.seed)
    setup = search_setup.set_up(config, space, data, tiny.one_device())
    tf.config.run_functions_eagerly(True)
    try:
        steps, _ = tiny.search_steps(setup)
        row = steps(0, 1)
    finally:
        tf.config.run_functions_eagerly(False)
    assert all(np.isfinite(values).all() for values in row.values())
    return setup


def plain(**fields):
    """A small config for all of this, as a dictionary of sections."""
    config = config_lib.default()
    config.space, config.data.source = "nas_bench_201", "digits"
    config.data.limit_train, config.data.limit_test = 40, 16
    config.search.channels, config.search.cells, config.search.batch_size = 2, 1, 4
    config.search.evaluate_every = 0
    config.training.channels, config.training.cells, config.training.batch_size = 2, 1, 4
    config.training.auxiliary_weight = 0.0
    for name, value in fields.items():
        config[name] = value
    return config.to_dict()


NAMES = config_lib.NAMES
# Sizes beyond these are allowed, but make no test of a second.
LARGE = {"search.channels", "search.cells", "search.batch_size", "sdarts.attack_steps", "data.downscale"}
ODD = [float("nan"), float("inf"), 1e30, -0.0, 10**30, None, True, False, "", "x", (), (1,), {}, []]
CHOICES = ["darts", "custom", "s1", "sdarts_rs", "drnas", "gdas", "pc_darts", "second_order", "fixed_alpha"]
VALUES = st.integers(-3, 5) | st.floats(-1.0, 2.0) | st.sampled_from(ODD) | st.sampled_from(CHOICES)
# ConfigDict itself refuses names with dots.
UNKNOWN = st.text(st.characters(exclude_characters="."), max_size=8)
EDITS = st.lists(st.tuples(st.sampled_from(NAMES) | UNKNOWN, VALUES), min_size=1, max_size=3)


def check_config(edits):
    """Accepted and then run for a step, or refused with the name of a field."""
    settings = plain()
    for name, value in edits:
        section, _, field = name.rpartition(".")
        if name in LARGE and isinstance(value, int | float) and value > 4:
            value = 4
        if section and isinstance(settings.get(section), dict):
            settings[section][field] = value
        else:
            settings[name] = value
    try:
        config = config_lib.validate(ml_collections.ConfigDict(settings))
        one_step(config)
    except UserError as error:
        message = str(error)
        assert "\n" not in message
        assert any(name in message for name in [*NAMES, *(n for n, _ in edits)]), message


test_configs, test_configs_many = few_and_many(check_config, 12, edits=EDITS)

OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "max_pool_3x3"]
ROW = st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=3, unique=True).map(tuple)


def check_space(stacking, nodes, rows, kept, none, cells):
    """A small space is refused with a field's name, or it builds, runs and is selected from."""
    cell_types = spaces.custom.STACKINGS[stacking].cell_types
    candidates = {t: row for t, row in zip(cell_types, rows, strict=False)}
    settings = plain(space="custom")
    settings["search"]["cells"] = cells
    settings["custom_space"] |= {
        "stacking": stacking,
        "nodes": nodes,
        "candidates": candidates,
        "kept_edges": kept,
        "none_in_genotype": none,
    }
    try:
        config = config_lib.validate(ml_collections.ConfigDict(settings))
        setup = one_step(config)
    except UserError as error:
        assert str(error).startswith("config: ") and "\n" not in str(error), error
        return
    genotype = magnitude.select(setup.bilevel.architecture).genotype
    genotype_lib.validate(genotype, setup.space)
    # NAS-Bench-201's text has the edges into a node by source; which one is stronger is in JSON only.
    assert by_source(genotype_lib.from_text(genotype.to_text(setup.space), setup.space)) == by_source(
        genotype
    )
    assert Genotype.from_json(genotype.to_json(setup.space), setup.space) == genotype


def by_source(genotype):
    return {t: sorted((c.target, c.source, c.operation) for c in cell) for t, cell in genotype.cells.items()}


test_spaces, test_spaces_many = few_and_many(
    check_space,
    6,
    stacking=st.sampled_from(sorted(spaces.custom.STACKINGS)),
    nodes=st.integers(1, 3),
    rows=st.tuples(ROW, ROW),
    kept=st.integers(0, 4),
    none=st.booleans(),
    cells=st.integers(1, 2),
)
