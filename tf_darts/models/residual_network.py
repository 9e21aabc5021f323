"""An ordinary residual network of a wanted size, the rival of what a search finds.

Three stages of residual blocks, as the ResNets for CIFAR-10 have (He et al., 2016); the two later ones begin
with the fixed block of stride 2 of NAS-Bench-201. It is written as a space of one cell with one operation on
each edge: all that trains, exports or counts the network of a genotype takes it as it takes every other.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.spaces import Block, Space
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201

BLOCKS = 2  # in a stage: a ResNet-14, which was the best of those that were measured (docs/data.md)


@dataclasses.dataclass(frozen=True)
class ResidualNetwork:
    """The size of a residual network.

    Attributes:
      widths: channels of the three stages.
      stem: what stands before them, one of `spaces.STEMS`.
      blocks: residual blocks in a stage.
    """

    widths: tuple[int, ...]
    stem: str = "plain"
    blocks: int = BLOCKS

    @classmethod
    def within(
        cls, parameters: int, classes: int, channels_in: int, stem: str = "plain"
    ) -> "ResidualNetwork | None":
        """Return the largest one with at most so many parameters; None: the smallest has more.

        The last stage is as wide as it can be, those before it have a half and a quarter of its channels.

        Args:
          parameters: trainable weights.
          classes: number of logits.
          channels_in: channels of the images.
          stem: what stands before the stages.
        """
        found, last = None, 1
        while (wider := cls(_widths(last), stem)).parameters(classes, channels_in) <= parameters:
            found, last = wider, last + 1
        return found

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "ResidualNetwork":
        """Return the network that `as_record` has described."""
        return cls(tuple(record["widths"]), record["stem"], record["blocks"])

    def as_record(self) -> dict[str, Any]:
        """Return what the config of its training keeps of it."""
        return {"widths": self.widths, "stem": self.stem, "blocks": self.blocks}

    def parameters(self, classes: int, channels_in: int) -> int:
        """Return the number of trainable weights, as `models.network.count_parameters` counts them."""
        first, *later = self.widths
        if self.stem == "imagenet":
            half = first // 2
            total = _conv_bn(channels_in, half) + _conv_bn(half, first) + _conv_bn(first, first)
        else:
            total = _conv_bn(channels_in, first)
        total += self.blocks * 2 * _conv_bn(first, first)
        before = first
        for width in later:
            total += _conv_bn(before, width) + before * width  # the second is the shortcut's
            total += (2 * self.blocks - 1) * _conv_bn(width, width)
            before = width
        return total + 2 * before + before * classes + classes

    def space(self, like: Space) -> Space:
        """Return the space whose one network it is, with one initial channel and `blocks` cells.

        Args:
          like: the space of the network that it is compared with: images enter in the same way.
        """
        ours = NAS_BENCH_201.stacking
        stacking = dataclasses.replace(
            like.stacking,
            name=ours.name,  # of the genotype's text form
            stem_multiplier=self.widths[0],
            preprocess=ours.preprocess,
            head_batch_norm=ours.head_batch_norm,
            blocks=self._blocks,
            stem=self.stem,
            pooled_blocks=False,
        )
        # Edges 1<-0, 2<-0 and 2<-1.
        rows = tuple((choice.operation,) for choice in self.genotype.cells["normal"])
        return dataclasses.replace(
            NAS_BENCH_201,
            name=self._name,
            nodes=2,
            candidates={"normal": rows},
            output_nodes=(2,),
            stacking=stacking,
            none_in_genotype=False,
        )

    @property
    def genotype(self) -> Genotype:
        """Two 3x3 convolutions, and what goes past them."""
        choices = (Choice(1, 0, "nor_conv_3x3"), Choice(2, 0, "skip_connect"), Choice(2, 1, "nor_conv_3x3"))
        return Genotype(self._name, {"normal": choices})

    @property
    def _name(self) -> str:
        return f"residual_{'_'.join(map(str, self.widths))}"

    def _blocks(self, cells: int) -> tuple[Block, ...]:
        body: list[Block] = []
        for stage, width in enumerate(self.widths):
            body += [Block(None, width, reduction=True)] * (stage > 0)
            body += [Block("normal", width, reduction=False)] * (cells - (stage > 0))
        return tuple(body)


def _widths(last: int) -> tuple[int, ...]:
    """Return the channels of all stages, of which the last has so many."""
    # ImageNet's stem has half of the first stage's channels in the middle.
    return max((last + 2) // 4, 2), max((last + 1) // 2, 2), max(last, 2)


def _conv_bn(channels_in: int, channels: int) -> int:
    """Return the weights of a 3x3 convolution and its batch norm."""
    return 9 * channels_in * channels + 2 * channels
