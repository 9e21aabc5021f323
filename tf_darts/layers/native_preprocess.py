"""A cell's preprocessing on native kernels (`tf_darts.native`)."""

from tf_darts.layers import depthwise
from tf_darts.layers.batch_norm import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.operations import ReluConvBN
from tf_darts.native import choice, preprocess


def apply(layer: Operation, node: NodeOutput, kernels: str, training: bool) -> NodeOutput:
    """Compute a cell's input at the cell's width; on native kernels its parts need not be concatenated.

    Args:
      layer: what does it; a `ReluConvBN` can be native.
      node: the output of an earlier block.
      kernels: what computes it in training, as `tf_darts.native.choice` names them.
      training: whether batch norms use the batch's statistics.
    """
    suits = kernels == choice.NATIVE and training and choice.in_use()
    if not (suits and isinstance(layer, ReluConvBN)) or layer.norm.shares_statistics():
        return NodeOutput(layer(node, training=training))
    norm = layer.norm
    y, mean, variance = preprocess.preprocess(
        node.parts,
        layer.conv.value,
        (norm.moving_mean.value, norm.moving_variance.value),
        (norm.gamma.value, norm.beta.value) if norm.affine else None,
        BATCH_NORM_EPSILON,
        BATCH_NORM_MOMENTUM,
        depthwise.kernel_gradients(),
    )
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    return NodeOutput(y)
