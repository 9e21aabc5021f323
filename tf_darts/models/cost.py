"""How many multiply-adds a forward pass takes: counted from a model's weights, whatever computes it.

Every convolution and dense kernel is used once per output position, so its share is its number of elements
times the positions of its output; depthwise kernels included. Poolings, batch norms, ReLU, weighted sums
and the bias are not counted, as is usual. What a formulation computes in vain (a convolution at stride 1 that
is thinned out, say) is not counted either: figures of different formulations compare.

Each operation counts its own, `Operation.multiply_adds`.
"""

import math
from collections.abc import Sequence
from typing import Any

from tf_darts.layers.body import Body
from tf_darts.layers.cell import Cell
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet

# In forward passes: the gradient of a convolution with respect to its input takes as many multiply-adds as
# the convolution, and the gradient with respect to its kernel as many again.
FORWARD, INPUT_GRADIENTS, WEIGHT_GRADIENTS = 1, 1, 1
TRAINING_STEP = FORWARD + INPUT_GRADIENTS + WEIGHT_GRADIENTS
ALPHA_STEP = FORWARD + INPUT_GRADIENTS  # alpha needs no gradients of the weights
BILEVEL_STEP = ALPHA_STEP + TRAINING_STEP  # what first-order DARTS has to compute


def multiply_adds(model: Supernet | Network, image_shape: Sequence[int], training: bool = False) -> int:
    """Count the multiply-adds of one forward pass for one image.

    Args:
      model: a supernet (all its candidate operations are counted) or a network.
      image_shape: height and width of the images, pixels (more entries are passed over).
      training: whether a network's auxiliary head runs too.
    """
    body, sizes = model.body, block_sizes(model.body, image_shape)
    counted: list[tuple[Any, int]] = [
        (body.stem, math.prod(body.enlarged(image_shape))),
        (model.head, sizes[-1][1]),
    ]
    for layer, (before, after) in zip(body.blocks, sizes, strict=True):
        if isinstance(layer, Cell):  # the cell's width comes first, its stride after
            counted += [(part, before) for part in layer.preprocess]
            counted += [(operation, after) for operation in layer.operations]
        else:
            counted.append((layer, after))
    auxiliary = getattr(model, "auxiliary_head", None)
    if training and auxiliary is not None:
        counted.append((auxiliary, sizes[model.auxiliary_block][1]))
    return sum(layer.multiply_adds(positions) for layer, positions in counted)


def block_sizes(body: Body, image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Return the positions (height x width) of the input and of the output of every block."""
    return [(math.prod(before), math.prod(after)) for before, after in block_shapes(body, image_shape)]


def block_shapes(body: Body, image_shape: Sequence[int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return height and width of the input and of the output of every block."""
    enlarged = body.enlarged(image_shape)
    height, width = (side // 2**body.space.stacking.stem_reductions for side in enlarged)
    shapes = []
    for block in body.layout:
        before = height, width
        if block.reduction:
            height, width = height // 2, width // 2
        shapes.append((before, (height, width)))
    return shapes
