"""How much memory a bilevel step needs: an estimate.

What a step keeps for its gradients decides: it grows with batch, channels and pixels, and dwarfs the weights.
The estimate counts those tensors; the allowances beside them were measured on CPUs (docs/performance.md).
"""

import functools

from tf_darts.layers import operations
from tf_darts.registry import OPERATIONS
from tf_darts.spaces import Space

BYTES = 4  # of a float32
PROGRAM = 1.2e9  # Python, TensorFlow and a supernet's graph, bytes
WORKSPACE = 1.15  # gradients under way, over what is kept for them


def estimate(
    space: Space,
    channels: int,
    cells: int,
    batch: int,
    image_shape: tuple[int, ...],
    partial_channels: int = 1,
) -> float:
    """Estimate the bytes that a search needs at most, the program included; within some 15 %.

    Args:
      space: the search space.
      channels: initial channels of the supernet.
      cells: its depth.
      batch: images in a batch.
      image_shape: height, width and channels of the images.
      partial_channels: as the supernet's.
    """
    height, width = image_shape[:2]
    layer = functools.cache(functools.partial(_layer, channels=channels // partial_channels))
    kept = float(space.stacking.stem_multiplier * channels * height * width)
    for block in space.stacking.blocks(cells):
        before = height * width
        if block.reduction:
            height, width = height // 2, width // 2
        size, size_before = (block.width * channels * pixels for pixels in (height * width, before))
        if block.cell_type is None:  # two convolutions and what they take
            kept += 4 * size + size_before
            continue
        kept += 2 * space.input_nodes * size_before  # inputs brought to the cell's width, and their ReLU
        kept += 2 * space.nodes * size
        if partial_channels > 1:  # the channels of each node are taken apart
            kept += space.input_nodes * size_before + space.nodes * size
        mixed = size / partial_channels
        shared = set()
        for edge, candidates in zip(space.edges, space.candidates[block.cell_type], strict=True):
            for name in candidates:
                operation = layer(name, space.stride(edge, block.reduction))
                if operation.keeps_of_node:
                    shared.add((edge.source, name))
                kept += operation.keeps * mixed
        kept += len(shared) * mixed
    return PROGRAM + WORKSPACE * BYTES * batch * kept


def _layer(name: str, stride: int, channels: int) -> operations.Operation:
    """Return an operation, for what it says of itself."""
    if name in OPERATIONS.built_in:
        channels = 2  # the least that each of these has; a user's own may take no other number
    return operations.make(name, channels, stride, affine=False, seed=0)


def gigabytes(number: float) -> str:
    """Return a number of bytes as text for messages."""
    return f"{number / 1e9:.1f} GB"
