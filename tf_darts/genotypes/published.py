"""Genotypes that the authors of DARTS-PT, and of DARTS, published with their code, found on CIFAR-10.

`darts_pt_SPACE_N` were selected by perturbation from a supernet trained with the architecture
parameters, `blank_pt_SPACE_N` from one whose architecture parameters stayed fixed; N tells the runs of
one kind apart. S5 is the authors' name for the DARTS space with seven operations. `darts_v1` and `darts_v2`
are DARTS's own, found with its first and second order (Liu et al., ICLR 2019).
"""

from tf_darts.genotypes.genotype import Choice, Genotype

_OPERATIONS = {
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
}

# operation:source, two for each of the nodes 2 to 5 in turn.
_ROWS = {
    "darts_v1": (
        "sep3:1 sep3:0 skip:0 sep3:1 skip:0 sep3:1 sep3:0 skip:2",
        "max:0 max:1 skip:2 max:0 max:0 skip:2 skip:2 avg:0",
    ),
    "darts_v2": (
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:1 skip:0 skip:0 dil3:2",
        "max:0 max:1 skip:2 max:1 max:0 skip:2 skip:2 max:1",
    ),
    "darts_pt_s5_0": (
        "sep3:0 sep3:1 sep5:0 dil3:1 skip:0 skip:2 skip:0 max:4",
        "sep3:0 avg:1 dil5:1 dil3:2 avg:0 max:2 sep3:2 skip:4",
    ),
    "darts_pt_s5_1": (
        "sep3:0 sep3:1 sep3:0 dil3:1 max:0 skip:2 skip:0 dil3:4",
        "dil5:0 avg:1 max:0 sep5:2 max:1 dil3:3 sep5:0 sep3:4",
    ),
    "darts_pt_s5_2": (
        "skip:0 sep3:1 sep3:0 dil3:1 skip:2 dil3:3 max:1 skip:2",
        "avg:0 max:1 avg:0 sep3:1 dil5:2 skip:3 sep3:2 sep5:4",
    ),
    "darts_pt_s5_3": (
        "sep3:0 sep3:1 sep3:0 sep3:1 skip:0 skip:2 sep3:1 skip:3",
        "avg:0 sep5:1 max:1 skip:2 dil5:1 max:3 sep5:2 skip:3",
    ),
    "blank_pt_s5_0": (
        "sep3:0 sep5:1 sep3:0 sep3:1 avg:1 skip:3 max:0 avg:2",
        "skip:0 sep5:1 dil3:1 sep5:2 max:0 skip:3 max:0 max:2",
    ),
    "blank_pt_s5_1": (
        "avg:0 avg:1 sep3:0 max:2 skip:2 sep3:3 sep5:0 sep5:1",
        "max:0 dil5:1 sep3:0 skip:1 avg:2 max:3 sep5:3 sep5:4",
    ),
    "blank_pt_s5_2": (
        "avg:0 dil3:1 sep5:0 max:1 max:0 skip:1 sep5:1 avg:2",
        "sep3:0 avg:1 avg:0 sep5:1 max:0 sep5:3 max:2 dil5:4",
    ),
    "blank_pt_s5_3": (
        "sep3:0 sep3:1 sep3:0 skip:1 max:2 sep3:3 avg:0 sep5:1",
        "dil5:0 sep5:1 sep5:0 dil3:1 avg:1 skip:2 max:0 skip:4",
    ),
    "darts_pt_s1_1": (
        "skip:0 skip:1 skip:0 skip:1 skip:0 skip:1 dil3:3 dil5:4",
        "max:0 dil3:1 max:0 max:1 sep3:1 skip:3 skip:2 dil5:3",
    ),
    "darts_pt_s1_2": (
        "dil3:0 skip:1 skip:0 skip:2 skip:0 skip:3 dil3:3 dil5:4",
        "max:0 max:1 max:0 max:1 sep3:1 skip:2 skip:2 dil5:4",
    ),
    "darts_pt_s2_1": (
        "skip:0 skip:1 sep3:0 skip:2 sep3:1 skip:3 sep3:1 sep3:4",
        "sep3:0 sep3:1 sep3:0 skip:2 sep3:0 skip:2 sep3:1 skip:4",
    ),
    "darts_pt_s2_2": (
        "skip:0 sep3:1 skip:1 skip:2 sep3:0 skip:3 skip:3 sep3:4",
        "sep3:0 sep3:1 sep3:0 skip:2 sep3:1 sep3:3 sep3:1 skip:3",
    ),
    "darts_pt_s3_1": (
        "sep3:0 sep3:1 sep3:0 skip:1 skip:0 skip:2 sep3:0 sep3:1",
        "sep3:0 skip:1 sep3:0 skip:2 sep3:0 skip:3 skip:3 sep3:4",
    ),
    "darts_pt_s3_2": (
        "sep3:0 sep3:1 skip:0 sep3:1 skip:0 sep3:3 sep3:1 skip:4",
        "sep3:0 sep3:1 sep3:0 skip:1 sep3:0 sep3:1 sep3:2 skip:3",
    ),
    "darts_pt_s4_1": (
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:1 sep3:1 sep3:2",
        "sep3:0 sep3:1 sep3:0 sep3:2 sep3:0 sep3:3 sep3:0 sep3:1",
    ),
    "darts_pt_s4_2": (
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:3 sep3:0 sep3:1",
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:2",
    ),
    "blank_pt_s1_1": (
        "skip:0 dil5:1 sep3:1 skip:2 max:0 skip:3 sep3:0 max:1",
        "avg:0 max:1 max:0 max:1 skip:2 dil5:3 dil5:2 skip:3",
    ),
    "blank_pt_s2_1": (
        "sep3:0 sep3:1 skip:0 skip:2 sep3:1 sep3:2 sep3:0 skip:3",
        "sep3:0 sep3:1 sep3:1 skip:2 sep3:0 skip:3 sep3:2 skip:4",
    ),
    "blank_pt_s3_1": (
        "sep3:0 skip:1 skip:0 sep3:1 sep3:0 skip:2 skip:3 skip:4",
        "sep3:0 sep3:1 sep3:0 sep3:2 sep3:0 sep3:1 sep3:1 sep3:3",
    ),
    "blank_pt_s4_1": (
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:1",
        "sep3:0 sep3:1 sep3:0 sep3:2 sep3:0 sep3:3 sep3:0 sep3:1",
    ),
}


def _cell(row: str) -> tuple[Choice, ...]:
    pairs = [pair.split(":") for pair in row.split()]
    return tuple(
        Choice(2 + number // 2, int(source), _OPERATIONS[name]) for number, (name, source) in enumerate(pairs)
    )


def _space_name(name: str) -> str:
    released = name.split("_")[-2]
    return released if released in ("s1", "s2", "s3", "s4") else "darts"


PUBLISHED: dict[str, Genotype] = {
    name: Genotype(_space_name(name), {"normal": _cell(normal), "reduce": _cell(reduce)})
    for name, (normal, reduce) in _ROWS.items()
}
