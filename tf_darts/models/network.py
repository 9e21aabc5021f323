"""The discrete network of a genotype, trained from scratch."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.layers import native_edge, primitives
from tf_darts.layers.body import body_and_head
from tf_darts.layers.cell import EdgeLayer
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.layers.head import classifier
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.native import choice
from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Block, Space


class AuxiliaryHead(Operation):
    """The second classifier of a DARTS network, used in training only.

    ReLU, 5x5 average pooling to 2x2, 1x1 conv to 128, BN, ReLU, 2x2 conv to 768, BN, ReLU, dense. For 32x32
    images the pooling has stride 3 and the input is 8x8; for ImageNet stride 2 and 7x7, and the second BN is
    not there, as in DARTS.
    """

    def __init__(self, channels: int, classes: int, for_imagenet: bool = False, **kwargs: Any):
        super().__init__(channels, affine=True, **kwargs)
        self.pooling_stride = pooling_stride(for_imagenet)
        self.conv_1 = self.kernel("conv_1", 1, 1, channels, 128)
        self.norm_1 = self.batch_norm("norm_1", 128)
        self.conv_2 = self.kernel("conv_2", 2, 2, 128, 768)
        self.norm_2 = None if for_imagenet else self.batch_norm("norm_2", 768)
        self.classifier = classifier(768, classes, self.seed)

    def multiply_adds(self, positions: int) -> int:
        side = (
            round(positions**0.5) - 5
        ) // self.pooling_stride + 1  # positions: of the features, which are square
        convolutions = side**2 * self.channels * 128 + (side - 1) ** 2 * 4 * 128 * 768
        return convolutions + 768 * self.classifier.units

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        x = tf.nn.avg_pool2d(node.then(tf.nn.relu).x, 5, self.pooling_stride, "VALID")
        x = tf.nn.relu(self.norm_1(primitives.conv(x, self.conv_1.value), training=training))
        x = tf.nn.conv2d(x, tf.cast(self.conv_2.value, x.dtype), 1, "VALID")
        if self.norm_2 is not None:
            x = self.norm_2(x, training=training)
        return self.classifier(tf.cast(tf.squeeze(tf.nn.relu(x), [1, 2]), self.classifier.dtype))


def pooling_stride(for_imagenet: bool) -> int:
    """Return the stride of the auxiliary head's pooling."""
    return 2 if for_imagenet else 3


class Network(keras.Model):
    """Cells with the chosen operations only; batch norms are affine, poolings bare.

    Args:
      space: the search space.
      genotype: the cells' operations.
      channels: initial channels C.
      cells: depth, as the space's stacking counts it.
      classes: number of logits.
      channels_in: channels of the images.
      auxiliary: whether to have an auxiliary head.
      seed: of the initial weights.
      activations: type of what flows between layers, as "bfloat16"; None: that of variables.

    Attributes:
      kernels: what computes the edges in training, as `tf_darts.native.choice` names them; chosen as
        `choice.wanted` says where the network is made.
    """

    def __init__(
        self,
        space: Space,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        channels_in: int = 3,
        auxiliary: bool = False,
        seed: int = 0,
        activations: str | None = None,
    ):
        super().__init__(name="network")
        self.space, self.genotype = space, genotype
        blocks = [block for block in space.stacking.blocks(cells) if block.cell_type is not None]
        names = {chosen.operation for block in blocks for chosen in self._choices(block)}
        self.kernels = choice.choose_for_network(
            math.gcd(*(block.width * channels for block in blocks)),
            activations or keras.config.floatx(),
            any(map(native_edge.knows, sorted(names))),
        )
        self.body, self.head = body_and_head(
            space,
            channels,
            cells,
            channels_in,
            classes,
            True,
            self._chosen_edges,
            seed,
            activations,
            self.kernels,
        )
        self.auxiliary_head: AuxiliaryHead | None = None
        if auxiliary:
            self.auxiliary_block = auxiliary_block(space, cells)
            width = self.body.layout[self.auxiliary_block].width * channels * len(space.output_nodes)
            self.auxiliary_head = AuxiliaryHead(
                width,
                classes,
                space.stacking.stem == "imagenet",
                seed=fold(seed, "auxiliary"),
                name="auxiliary_head",
            )
        self.built = True

    def _chosen_edges(self, block: Block, width: int, seed: int) -> Sequence[EdgeLayer]:
        space = self.space
        strides = {(e.target, e.source): space.stride(e, block.reduction) for e in space.edges}
        return [
            (
                chosen.target,
                chosen.source,
                ChosenOp(
                    chosen.operation,
                    width,
                    strides[chosen.target, chosen.source],
                    fold(seed, "edge", i),
                    self.kernels,
                    name=f"edge_{chosen.target}_{chosen.source}",
                ),
            )
            for i, chosen in enumerate(self._choices(block))
        ]

    def _choices(self, block: Block) -> Sequence[Choice]:
        """Return the edges of a block; none if it is not a cell."""
        return () if block.cell_type is None else self.genotype.cells[block.cell_type]

    @property
    def num_edges(self) -> int:
        """Edges of all cells together: what drop path needs masks for."""
        return sum(len(self._choices(block)) for block in self.body.layout)

    def call(
        self, images: tf.Tensor, keep: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Compute the logits of a batch.

        Args:
          images: float [B, H, W, channels_in], normalised.
          keep: drop-path factors, float [num_edges, B, 1, 1, 1], or None: no drop path.
          training: whether batch norms use the batch's statistics and the auxiliary head runs.

        Returns:
          Logits, float [B, classes], and the auxiliary head's (None outside training).
        """
        cell_inputs, used = [], 0
        for block in self.body.layout:
            edges = len(self._choices(block))
            cell_inputs.append([{"keep": None if keep is None else keep[used + i]} for i in range(edges)])
            used += edges
        outputs = self.body(images, cell_inputs=cell_inputs, training=training)
        auxiliary = None
        if training and self.auxiliary_head is not None:
            auxiliary = self.auxiliary_head(outputs[self.auxiliary_block], training=training)
        return self.head(outputs[-1], training=training), auxiliary


def auxiliary_block(space: Space, cells: int) -> int:
    """Return the index of the block before the auxiliary head: the cell at two thirds of the depth."""
    return 2 * len(space.stacking.blocks(cells)) // 3


def check_auxiliary(space: Space, cells: int, image_shape: Sequence[int]) -> None:
    """Check that the auxiliary head fits the images.

    Raises:
      UserError: its pooling would not leave 2x2, the one size the published head is made for.
    """
    imagenet = space.stacking.stem == "imagenet"
    halvings = space.stacking.stem_reductions + sum(
        b.reduction for b in space.stacking.blocks(cells)[: auxiliary_block(space, cells) + 1]
    )
    size = [side // 2**halvings for side in space.stacking.enlarged(cells, image_shape)]
    stride = pooling_stride(imagenet)
    if not all(5 + stride <= side < 5 + 2 * stride for side in size):
        made_for = "7x7 (images of 224x224)" if imagenet else "8x8 (images of 32x32)"
        raise UserError(
            f"config: training.auxiliary_weight: the auxiliary head takes features of {made_for},"
            f" but images of {image_shape[0]}x{image_shape[1]} give {size[0]}x{size[1]}; set it to 0"
        )


def count_parameters(model: keras.Model) -> int:
    """Count the trainable weights; the auxiliary head is left out, as in published counts."""
    head = getattr(model, "auxiliary_head", None)
    auxiliary = {id(v) for v in head.trainable_variables} if head is not None else set()
    return sum(v.shape.num_elements() for v in model.trainable_variables if id(v) not in auxiliary)
