"""How much memory a bilevel step needs: an estimate.

What a step keeps for its gradients decides: it grows with batch, channels and pixels, and dwarfs the weights.
The estimate counts those tensors; the allowances beside them were measured on CPUs (docs/performance.md).
Native kernels keep the output of each convolution only, and compute the rest again.
"""

import functools
import math
from collections.abc import Mapping

import keras
import ml_collections

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers import native_edge, operations
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.native import choice
from tf_darts.native.edge import Candidate
from tf_darts.registry import OPERATIONS
from tf_darts.runtime import host
from tf_darts.runtime.strategy import device_type
from tf_darts.spaces import Space
from tf_darts.spaces.space import Candidates

BYTES = 4  # of a float32
COPIES = 3  # of a weight: itself, its gradient, its momentum
PROGRAM = 1.2e9  # Python, TensorFlow and a supernet's graph, bytes
WORKSPACE = 1.15  # gradients under way, over what is kept for them


def estimate(
    space: Space,
    channels: int,
    cells: int,
    batch: int,
    image_shape: tuple[int, ...],
    partial_channels: int = 1,
    candidates: Mapping[str, Candidates] | None = None,
    kernels: str = choice.TENSORFLOW,
) -> float:
    """Estimate the bytes that a search needs at most, the program included; within some 15 %.

    Weights are left out (`of_weights`).

    Args:
      space: the search space.
      channels: initial channels of the supernet.
      cells: its depth.
      batch: images in a batch.
      image_shape: height, width and channels of the images.
      partial_channels: as the supernet's.
      candidates: operations of each edge by cell type; None: the space's. With those of `in_network` this is
        what training needs.
      kernels: what computes the edges, as `tf_darts.native.choice` names them.
    """
    candidates = space.candidates if candidates is None else candidates
    enlarged = space.stacking.enlarged(cells, image_shape)
    height, width = (side // 2**space.stacking.stem_reductions for side in enlarged)
    layer = functools.cache(functools.partial(_layer, channels=channels // partial_channels))
    of_input = 1 if kernels == choice.NATIVE else 2  # native kernels compute its ReLU again
    kept = float(space.stacking.stem_multiplier * channels * height * width)
    if space.stacking.stem == "pooled":  # before the pooling: what the batch norm and the pooling take
        kept += 2 * 4 * kept
    for block in space.stacking.blocks(cells):
        before = height * width
        if block.reduction:
            height, width = height // 2, width // 2
        size, size_before = (block.width * channels * pixels for pixels in (height * width, before))
        if block.cell_type is None:  # two convolutions and what they take; or one before a pooling
            kept += 3 * size_before + size if space.stacking.pooled_blocks else 4 * size + size_before
            continue
        # Inputs brought to the cell's width, and their ReLU; then nodes.
        kept += of_input * (space.input_nodes * size_before + space.nodes * size)
        if partial_channels > 1:  # the channels of each node are taken apart
            kept += space.input_nodes * size_before + space.nodes * size
        mixed = size / partial_channels
        shared = set()
        for edge, names in zip(space.edges, candidates[block.cell_type], strict=True):
            stride = space.stride(edge, block.reduction)
            known: dict[str, Candidate | None] = {}
            if kernels == choice.NATIVE:
                own = block.width * channels // partial_channels
                known = {name: _native(name, own, stride, name in space.batch_norm_after) for name in names}
            convolves = any(found is not None and found.units for found in known.values())
            for name in names:
                found = known.get(name)
                if convolves and found is not None:
                    kept += found.units * mixed
                    continue
                operation = layer(name, stride)
                if operation.keeps_of_node:
                    shared.add((edge.source, name))
                kept += operation.keeps * mixed
        kept += len(shared) * mixed
    return PROGRAM + WORKSPACE * _bytes() * batch * kept


def in_network(space: Space, genotype: Genotype | None) -> dict[str, Candidates]:
    """Return the operations of each edge in a genotype's network; None: in none, the least there can be."""
    cells = {} if genotype is None else genotype.cells
    return {
        cell_type: tuple(
            tuple(
                c.operation for c in cells.get(cell_type, ()) if (c.target, c.source) == (e.target, e.source)
            )
            for e in space.edges
        )
        for cell_type in space.cell_types
    }


def of_weights(
    space: Space,
    channels: int,
    cells: int,
    partial_channels: int = 1,
    candidates: Mapping[str, Candidates] | None = None,
) -> float:
    """Estimate the bytes that the weights of cells take, with gradients and momentum; arguments as above.

    They grow with the square of the channels and do not depend on images: of the usual sizes they are a
    hundredth of what `estimate` counts. Operations of the user's own are left out.
    """
    candidates = space.candidates if candidates is None else candidates

    @functools.cache
    def counted(name: str, stride: int) -> tuple[float, float]:
        """Find a and b of a * C**2 + b * C, the weights of an operation at C channels."""
        if name not in OPERATIONS.built_in:
            return 0.0, 0.0
        of_2, of_4 = (
            sum(math.prod(v.shape) for v in operations.make(name, c, stride, False, 0).trainable_variables)
            for c in (2, 4)
        )
        return (of_4 - 2 * of_2) / 8, (4 * of_2 - of_4) / 4

    number, before = 0.0, [space.stacking.stem_multiplier * channels] * 2
    for block in space.stacking.blocks(cells):
        width = block.width * channels
        if block.cell_type is None:  # two 3x3 convolutions and one of 1x1; or one of 3x3
            pooled = space.stacking.pooled_blocks
            number += 9 * before[-1] * width if pooled else 10 * before[-1] * width + 9 * width**2
            before = [before[-1], width]
            continue
        mixed = width // partial_channels
        for edge, names in zip(space.edges, candidates[block.cell_type], strict=True):
            for name in names:
                a, b = counted(name, space.stride(edge, block.reduction))
                number += a * mixed**2 + b * mixed
        if space.stacking.preprocess:
            number += sum(before) * width
        before = [before[-1], width * len(space.output_nodes)]
    return float(_bytes() * COPIES * number)


def check(config: ml_collections.ConfigDict, section: str, needed: float, weights: float) -> None:
    """Check that a step fits the memory of this machine; on a GPU or TPU, that the weights do.

    Args:
      config: the whole config.
      section: "search" or "training".
      needed: what `estimate` says, bytes.
      weights: what `of_weights` says, bytes.

    Raises:
      UserError: it does not fit.
    """
    on_cpu = config.runtime.strategy != "tpu" and device_type() == "CPU"
    total, available, fields = weights + (needed if on_cpu else 0.0), host.available_memory(), config[section]
    if total > available:
        raise UserError(
            f"config: {section}.batch_size is {fields.batch_size} and {section}.channels {fields.channels}: a"
            f" step needs about {gigabytes(total)} of memory; allowed: what fits in the"
            f" {gigabytes(available)} of this machine"
        )


def _layer(name: str, stride: int, channels: int) -> operations.Operation:
    """Return an operation, for what it says of itself."""
    if name in OPERATIONS.built_in:
        channels = 2  # the least that each of these has; a user's own may take no other number
    return operations.make(name, channels, stride, affine=False, seed=0)


@functools.cache
def _native(name: str, channels: int, stride: int, normalised: bool) -> Candidate | None:
    """Return an operation as native kernels see it; None: they do not compute it."""
    if name not in OPERATIONS.built_in:
        return None
    norm = BatchNorm(channels, affine=False) if normalised else None
    made = native_edge.native(operations.make(name, channels, stride, affine=False, seed=0), norm)
    return None if made is None else made.candidate


def _bytes() -> int:
    """Return the bytes of a number as it is computed with: in float64 there are twice as many."""
    return BYTES * (2 if keras.config.floatx() == "float64" else 1)


def gigabytes(number: float) -> str:
    """Return a number of bytes as text for messages."""
    return f"{number / 1e9:.1f} GB"
