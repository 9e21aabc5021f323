"""Random custom spaces: each is refused in a short line, or has genotypes that come back from their texts."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import text_forms
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.plots.cell_diagram import draw_genotypes
from tf_darts.plots.plain_figure import figure_to_png_bytes
from tf_darts.registry import LONGEST_NAME, OPERATIONS
from tf_darts.selection import schedule
from tf_darts.selection.sampling import random_mixing_weights
from tf_darts.workdir import genotype_file

LONG = ["o" * LONGEST_NAME, "p" * LONGEST_NAME]  # names of operations that a config adds


@pytest.fixture(autouse=True)
def long_names(registries):
    for name in LONG:
        OPERATIONS.register(name, "math:sqrt")


def random_fields(draw):
    """Fields of `custom_space` from a NumPy generator: most of them right, of any size."""

    def row():
        names = [*OPERATIONS, *LONG]
        count = 1 + int(draw.integers(len(names)) * draw.random())
        return tuple(draw.choice(names, size=count, replace=draw.random() < 0.02).tolist())

    stacking = draw.choice(["darts", "nas_bench_201"])
    nodes = int(draw.choice([draw.integers(1, 8), draw.integers(1, 33), 10 ** draw.uniform(0, 4)]))
    first, types = {"darts": (2, ("normal", "reduce")), "nas_bench_201": (1, ("normal",))}[stacking]
    edges = [f"{t}<-{s}" for t in range(first, first + min(nodes, 40)) for s in range(t)]

    def rows():
        form = draw.integers(4)
        if form < 2:
            return row()
        found = {name: row() for name in edges[: len(edges) - (draw.random() < 0.1)]}
        return found if form == 2 else list(found.values())

    last = first + nodes - 1
    outputs = sorted({last, *draw.integers(first, last + 1, draw.integers(1, 50)).tolist()})
    return {
        "stacking": str(stacking),
        "nodes": nodes,
        "candidates": rows() if draw.random() < 0.5 else {t: rows() for t in types},
        "kept_edges": int(draw.choice([0, draw.integers(4), draw.integers(nodes + 3)])),
        "output_nodes": tuple(outputs) if draw.random() < (0.3 if stacking == "darts" else 0.02) else (),
        "batch_norm_after": row() if draw.random() < 0.1 else (),
        "none_in_genotype": bool(draw.random() < 0.3),
    }


def check(seed):
    draw = np.random.default_rng(seed)
    config = config_lib.default().to_dict()
    config["space"] = "custom"
    config["custom_space"] |= random_fields(draw)
    cells = int(draw.choice([1, draw.integers(1, 20), 10 ** draw.uniform(0, 3.1)]))
    config["search"]["cells"] = config["training"]["cells"] = cells
    start = time.process_time()
    try:
        space = spaces.of(config_lib.validate(config))
    except UserError as error:
        assert str(error).startswith("config: ") and "\n" not in str(error) and len(str(error)) <= 1000
        assert time.process_time() - start < 1
        return False
    genotype = read_genotype(space, random_mixing_weights(space, draw))
    text, form = genotype.to_text(space), genotype.to_json(space)
    assert genotype_file.read(text, space) == genotype == genotype_file.read(form, space)
    assert Genotype.from_json(form, space).to_text(space) == text
    assert max(len(text), len(form)) <= text_forms.longest(space)
    undecided = {t: list(range(len(space.edges))) for t in space.cell_types}
    decisions, _ = schedule.plan(space, undecided, 5, schedule.at_random(seed))
    assert len(decisions) >= len(space.edges)
    assert time.process_time() - start < 1
    return True


def test_random_spaces():
    assert 5 < sum(check(seed) for seed in range(60)) < 50


@pytest.mark.slow
def test_random_spaces_many():
    assert 400 < sum(check(seed) for seed in range(3000)) < 2400


@pytest.mark.parametrize("stacking", ["darts", "nas_bench_201"])
def test_the_largest_space_has_genotypes_that_are_read(stacking):
    config = config_lib.default()
    config.space, config.search.cells, config.training.cells = "custom", 1, 1
    config.custom_space = {**config.custom_space, "stacking": stacking, "nodes": 32, "kept_edges": 0}
    config.custom_space.candidates = ("skip_connect", *LONG)
    space = spaces.of(config_lib.validate(config))
    genotype = read_genotype(space, random_mixing_weights(space, np.random.default_rng(0)))
    assert genotype_file.read(genotype.to_json(space), space) == genotype
    assert 2**16 < len(genotype.to_json(space)) < text_forms.longest(space)
    with pytest.raises(UserError, match=f"longer than {text_forms.longest(space)} characters"):
        genotype_file.read("{" + " " * text_forms.longest(space), space)


@pytest.mark.slow
def test_the_largest_cell_is_drawn():
    """Its 560 labels once took minutes to find their places: more than all else that a selection needs."""
    config = config_lib.default()
    config.space, config.search.cells, config.training.cells = "custom", 1, 1
    config.custom_space.nodes, config.custom_space.kept_edges = 32, 0
    config.custom_space.candidates = ("skip_connect", "sep_conv_3x3")
    space = spaces.of(config_lib.validate(config))
    genotype = read_genotype(space, random_mixing_weights(space, np.random.default_rng(0)))
    start = time.process_time()
    assert figure_to_png_bytes(draw_genotypes(space, genotype)).startswith(b"\x89PNG")
    assert time.process_time() - start < 60


def test_a_supernet_of_more_operations_than_can_be_traced_is_refused():
    config = config_lib.default()
    config.space, config.custom_space.nodes = "custom", 32
    config.custom_space.candidates = ("skip_connect", "sep_conv_3x3", "none", "noise", "avg_pool_3x3")
    with pytest.raises(UserError) as caught:
        config_lib.validate(config)
    assert str(caught.value) == (
        "config: search.cells is 8: in space 'custom' the cells have 22400 operations in all; allowed: at"
        " most 20000 (tracing its graph takes half an hour), by fewer cells or a smaller custom_space"
    )
    config.search.cells = 7
    config_lib.validate(config)


@given(st.integers(2, 40), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_long_lists_are_cut_in_messages(nodes, seed):
    config = config_lib.default()
    config.space, config.custom_space.nodes = "custom", min(nodes, 32)
    names = [f"{t}<-{s}" for t in range(2, 34) for s in range(t)]
    drawn = np.random.default_rng(seed).permutation(names)[:nodes].tolist()
    config.custom_space.candidates = {name: ("skip_connect",) for name in drawn}
    with pytest.raises(UserError) as caught:
        config_lib.validate(config)
    assert len(str(caught.value)) < 500
