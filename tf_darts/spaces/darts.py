"""The DARTS space: 7 candidate operations (as in the DARTS-PT release) or 8 (with `none`)."""

from tf_darts.spaces.space import Block, Candidates, Space, Stacking, uniform

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
EDGES = 14
POOLS = frozenset({"max_pool_3x3", "avg_pool_3x3"})


def blocks(cells: int) -> tuple[Block, ...]:
    """Return `cells` blocks; those at one third and two thirds reduce and double the width."""
    reductions = {cells // 3, 2 * cells // 3}
    body, width = [], 1
    for i in range(cells):
        reduction = i in reductions
        width *= 2 if reduction else 1
        body.append(Block("reduce" if reduction else "normal", width, reduction))
    return tuple(body)


STACKING = Stacking(
    name="darts",
    stem_multiplier=3,
    preprocess=True,
    head_batch_norm=False,
    blocks=blocks,
)


def darts_like(name: str, normal: Candidates, reduce: Candidates) -> Space:
    """Make a space on the DARTS cell: two inputs, four nodes of which each keeps two edges, concatenated."""
    return Space(
        name=name,
        input_nodes=2,
        nodes=4,
        candidates={"normal": normal, "reduce": reduce},
        output_nodes=(2, 3, 4, 5),
        kept_edges=2,
        stacking=STACKING,
        batch_norm_after=POOLS,
        none_in_genotype=False,
        extra_selection_epoch=True,
    )


DARTS = darts_like("darts", uniform(EDGES, OPERATIONS), uniform(EDGES, OPERATIONS))
DARTS_WITH_NONE = darts_like(
    "darts_with_none", uniform(EDGES, ("none", *OPERATIONS)), uniform(EDGES, ("none", *OPERATIONS))
)
