"""Costs of a space's networks, against whole networks and the specification."""

import dataclasses

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.genotypes.derive import candidates_of
from tf_darts.genotypes.genotype import Choice, Genotype, from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models import cost
from tf_darts.models.genotype_costs import count
from tf_darts.models.network import Network, count_parameters

# 1 x 7 kernels halve their images in two steps.
LONG_KERNELS = dataclasses.replace(
    spaces.get("darts"),
    name="long kernels",
    candidates={t: (("conv_7x1_1x7", "skip_connect"),) * 14 for t in ("normal", "reduce")},
)


def random_genotype(space, seed):
    draw = np.random.default_rng(seed)
    cells = {}
    for cell_type in space.cell_types:
        choices = []
        for node in space.targets:
            kept = draw.choice(space.incoming(node), space.keeps(node), replace=False)
            for e in sorted(kept.tolist()):
                names = space.candidates[cell_type][e]
                operation = names[draw.choice(candidates_of(space, cell_type, e))]
                choices.append(Choice(node, space.edges[e].source, operation))
        cells[cell_type] = tuple(choices)
    return Genotype(space.name, cells)


@pytest.mark.parametrize(
    ("space", "cells"),
    [
        *((spaces.get(name), 6) for name in ("darts", "darts_with_none", "s1", "s2", "s3", "s4")),
        (spaces.get("darts"), 1),  # a reduction cell alone
        (spaces.get("nas_bench_201"), 1),
        (LONG_KERNELS, 3),
        (tiny.SPACE, 2),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_costs_are_those_of_whole_networks(space, cells):
    sizes, shape = (5, cells, 7), (16, 32, 1)
    costs = count(space, *sizes, shape)
    for seed in range(3):
        genotype = random_genotype(space, seed)
        network = Network(space, genotype, *sizes, channels_in=1)
        counted = (count_parameters(network), cost.multiply_adds(network, shape))
        assert costs.of(genotype)[:2] == counted


# Specification, section 5.
PARAMETERS = {
    (36, 20): {
        "darts_pt_s5_0": 2_851_246,
        "darts_pt_s5_1": 3_053_206,
        "darts_pt_s5_2": 2_658_142,
        "darts_pt_s5_3": 3_328_174,
        "blank_pt_s5_0": 3_039_598,
        "darts_pt_s1_1": 1_870_822,
        "darts_pt_s2_1": 3_092_518,
        "darts_pt_s3_1": 3_422_134,
    },
    (16, 8): {
        "darts_pt_s5_0": 239_002,
        "darts_pt_s5_1": 263_546,
        "darts_pt_s5_2": 227_866,
        "darts_pt_s5_3": 271_450,
        "blank_pt_s5_0": 255_962,
        "darts_pt_s1_1": 156_986,
        "darts_pt_s2_1": 268_218,
        "darts_pt_s3_1": 287_610,
    },
    (16, 20): {
        "darts_pt_s5_0": 612_186,
        "darts_pt_s5_1": 648_826,
        "darts_pt_s5_2": 560_282,
        "darts_pt_s5_3": 709_594,
        "blank_pt_s5_0": 655_578,
        "darts_pt_s1_1": 390_842,
        "darts_pt_s2_1": 653_498,
        "darts_pt_s3_1": 725_754,
    },
}


@pytest.mark.parametrize("size", PARAMETERS, ids=str)
def test_parameters_of_published_genotypes(size):
    for space in ("darts", "s1", "s2", "s3"):
        costs = count(spaces.get(space), *size, 10, (32, 32, 3))
        for name, parameters in PARAMETERS[size].items():
            if PUBLISHED[name].space == space:
                assert costs.of(PUBLISHED[name]).parameters == parameters


def test_parameters_of_nas_bench_201():
    space = spaces.get("nas_bench_201")
    costs = count(space, 16, 5, 10, (32, 32, 3))
    for name, parameters in (
        ("nor_conv_3x3", 1_531_546),
        ("nor_conv_1x1", 241_306),
        ("skip_connect", 73_306),
    ):
        text = f"|{name}~0|+|{name}~0|{name}~1|+|{name}~0|{name}~1|{name}~2|"
        assert costs.of(from_text(text, space)).parameters == parameters
