"""How many multiply-adds a forward pass takes: counted from a model's weights, whatever computes it.

Every convolution and dense kernel is used once per output position, so its share is its number of elements
times the positions of its output; depthwise kernels included. Poolings, batch norms, ReLU, weighted sums
and the bias are not counted, as is usual. What a formulation computes in vain (a convolution at stride 1 that
is thinned out, say) is not counted either: figures of different formulations compare.
"""

import math
import re
from collections.abc import Sequence

import numpy as np

from tf_darts import interop
from tf_darts.layers.base import Operation
from tf_darts.network import Network
from tf_darts.spaces import Block
from tf_darts.supernet import Supernet

# In forward passes: the gradient of a convolution with respect to its input takes as many multiply-adds as
# the convolution, and the gradient with respect to its kernel as many again.
FORWARD, INPUT_GRADIENTS, WEIGHT_GRADIENTS = 1, 1, 1
TRAINING_STEP = FORWARD + INPUT_GRADIENTS + WEIGHT_GRADIENTS
ALPHA_STEP = FORWARD + INPUT_GRADIENTS  # alpha needs no gradients of the weights
BILEVEL_STEP = ALPHA_STEP + TRAINING_STEP  # what first-order DARTS has to compute


def multiply_adds(model: Supernet | Network, image_shape: Sequence[int], training: bool = False) -> int:
    """Multiply-adds of one forward pass for one image.

    Args:
      model: a supernet (all its candidate operations are counted) or a network.
      image_shape: height and width of the images, pixels (more entries are passed over).
      training: whether a network's auxiliary head runs too.
    """
    blocks = block_sizes(model.body.layout, image_shape)
    total = 0
    for name, value in interop.export(model).items():
        if value.ndim == 4:
            total += value.size * _positions(model, name, value.shape, image_shape, blocks, training)
        elif value.ndim == 2 and (training or not name.startswith("auxiliary_head.")):
            total += value.size
    return total


def of_operation(operation: Operation, positions: int) -> int:
    """Multiply-adds of one operation for one image, as `multiply_adds` counts it in a network.

    Args:
      operation: a candidate operation.
      positions: height x width of its output, pixels.
    """
    total = 0
    for variable, _, layout in interop.operation_names(operation, ""):
        shape = layout.to_torch(np.empty(variable.shape, np.bool_)).shape
        if len(shape) == 4:
            total += math.prod(shape) * _edge_positions(shape, operation.shortens, positions)
    return total


def block_sizes(layout: Sequence[Block], image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Positions (height x width) of the input and of the output of every block."""
    height, width = image_shape[:2]
    sizes = []
    for block in layout:
        before = height * width
        if block.reduction:
            height, width = height // 2, width // 2
        sizes.append((before, height * width))
    return sizes


def _positions(model, name: str, shape: Sequence[int], image_shape, blocks, training: bool) -> int:
    """Output positions of the convolution that has this PyTorch name and this kernel, OIHW."""
    if name.startswith("stem."):
        return image_shape[0] * image_shape[1]
    if name.startswith("auxiliary_head."):
        return _auxiliary_positions(name, blocks[model.auxiliary_block][1]) if training else 0
    place = re.match(r"cells\.(\d+)\.(preprocess)?", name)
    index = int(place[1])
    before, after = blocks[index]
    if place[2]:
        return before  # the cell's width comes first, its stride after; a factorized reduction ends there too
    return _edge_positions(shape, _strided(model, index, name), after)


def _edge_positions(shape: Sequence[int], strided: bool, after: int) -> int:
    """Output positions of a kernel, OIHW, of an edge whose output has `after` positions."""
    if shape[2] < shape[3] and strided:
        return (
            2 * after
        )  # 1 x k with its stride along the width: the height is halved by the k x 1 that follows
    return after


def _strided(model, index: int, name: str) -> bool:
    """Whether the edge of this kernel halves the images."""
    block, cell = model.body.layout[index], model.body.blocks[index]
    if block.cell_type is None or not block.reduction:
        return False
    key = re.match(r"cells\.\d+\.(?:_ops|layers|edges)\.([^.]+)", name)[1]
    source = int(key.split("<-")[1]) if "<-" in key else cell.ends[int(key)][1]
    return source < model.space.input_nodes


def _auxiliary_positions(name: str, positions: int) -> int:
    """The head pools 5x5 with stride 3, convolves 1x1 and then 2x2 without padding."""
    side = (round(positions**0.5) - 5) // 3 + 1
    return side**2 if name.endswith("features.2.weight") else (side - 1) ** 2
