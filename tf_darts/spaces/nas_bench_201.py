"""The NAS-Bench-201 space (Dong and Yang, ICLR 2020): 4 nodes, 6 edges, 5 candidate operations."""

from tf_darts.spaces.space import Block, Space, Stacking, uniform

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def blocks(cells: int) -> tuple[Block, ...]:
    """Return three stages of `cells` cells each, with a fixed residual block of stride 2 between stages."""
    body = []
    for width in (1, 2, 4):
        if width > 1:
            body.append(Block(None, width, reduction=True))
        body.extend([Block("normal", width, reduction=False)] * cells)
    return tuple(body)


STACKING = Stacking(
    name="nas_bench_201",
    stem_multiplier=1,
    preprocess=False,
    head_batch_norm=True,
    blocks=blocks,
)

NAS_BENCH_201 = Space(
    name="nas_bench_201",
    input_nodes=1,
    nodes=3,
    candidates={"normal": uniform(6, OPERATIONS)},
    output_nodes=(3,),
    kept_edges=None,
    stacking=STACKING,
    none_in_genotype=True,
    extra_selection_epoch=False,
)
