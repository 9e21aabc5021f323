"""The peer: supernet and network in plain PyTorch, in the usual way, from the same `Space` tables.

One module per operation, a mixed operation that sums them, NCHW, eager. Modules are named as in the authors'
release, so that `load` takes what `models.torch_weights.export` returns. As there, the DARTS stacking
does not evaluate an operation whose mixing weight is exactly zero, and NAS-Bench-201 does. Which weights are
zero is asked once in a pass, not at every operation: a GPU would be waited for each time.

torch is imported here and in `peer_tasks.py` only, which the worker process of the peer alone imports.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tf_darts.genotypes.genotype import Genotype
from tf_darts.spaces import Block, Space


class TorchReluConvBN(nn.Module):
    """ReLU, k x k convolution, BN."""

    def __init__(self, channels_in: int, channels: int, size: int, stride: int, affine: bool):
        super().__init__()
        conv = nn.Conv2d(channels_in, channels, size, stride, size // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(channels, affine=affine))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(x)


class TorchFactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2, the second one pixel on; BN."""

    def __init__(self, channels_in: int, channels: int, affine: bool):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(channels_in, channels // 2, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(channels_in, channels - channels // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def _unit(channels: int, size: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """Return ReLU, depthwise k x k, pointwise 1x1, BN."""
    padding = dilation * (size - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


class Units(nn.Module):
    """Separable (two units) or dilated (one unit) convolution."""

    def __init__(self, *units: list[nn.Module]):
        super().__init__()
        self.op = nn.Sequential(*(module for unit in units for module in unit))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(x)


class Constant(nn.Module):
    """`none` (zeros) and `noise` (fresh N(0, 1)), of the output's shape."""

    def __init__(self, stride: int, noise: bool):
        super().__init__()
        self.stride, self.noise = stride, noise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return torch.randn_like(x) if self.noise else x.mul(0.0)


def operation(name: str, c: int, stride: int, affine: bool) -> nn.Module:
    """Make the operation of this name: x [B, c, H, W] -> [B, c, H/stride, W/stride]."""
    kind, _, size = name.rpartition("_")
    if name in ("none", "noise"):
        return Constant(stride, name == "noise")
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else TorchFactorizedReduce(c, c, affine)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        row = nn.Conv2d(c, c, (1, 7), (1, stride), (0, 3), bias=False)
        column = nn.Conv2d(c, c, (7, 1), (stride, 1), (3, 0), bias=False)
        return nn.Sequential(nn.ReLU(), row, column, nn.BatchNorm2d(c, affine=affine))
    k = int(size[0])
    if kind == "sep_conv":
        return Units(_unit(c, k, stride, 1, affine), _unit(c, k, 1, 1, affine))
    if kind == "dil_conv":
        return Units(_unit(c, k, stride, 2, affine))
    if kind == "nor_conv":
        return TorchReluConvBN(c, c, k, stride, affine)
    raise ValueError(f"the peer has no operation {name!r}")


class TorchResidualBlock(nn.Module):
    """The fixed reduction of NAS-Bench-201."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.conv_a = TorchReluConvBN(channels_in, channels, 3, 2, True)
        self.conv_b = TorchReluConvBN(channels, channels, 3, 1, True)
        self.downsample = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels, 1, bias=False))

    def forward(self, inputs: list[torch.Tensor], _: Any) -> torch.Tensor:
        x = inputs[-1]
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class TorchMixedOp(nn.Module):
    """All candidate operations of an edge, each times its mixing weight."""

    def __init__(self, space: Space, names: Sequence[str], channels: int, stride: int):
        super().__init__()
        self._ops = nn.ModuleList()
        for name in names:
            op = operation(name, channels, stride, affine=False)
            if name in space.batch_norm_after:
                op = nn.Sequential(op, nn.BatchNorm2d(channels, affine=False))
            self._ops.append(op)

    def forward(self, x: torch.Tensor, argument: tuple[torch.Tensor, Sequence[bool]]) -> torch.Tensor:
        """Return the weighted sum; argument: mixing weights [operations], and which are evaluated."""
        weighted = zip(*argument, self._ops, strict=False)
        return sum(w * op(x) for w, evaluated, op in weighted if evaluated)


class TorchChosenOp(nn.Module):
    """One operation, with drop path in training unless it is the identity."""

    def __init__(self, name: str, channels: int, stride: int):
        super().__init__()
        self.op = operation(name, channels, stride, affine=True)

    def forward(self, x: torch.Tensor, drop_path: float) -> torch.Tensor:
        y = self.op(x)
        if drop_path and not isinstance(self.op, nn.Identity):
            keep = torch.empty(len(y), 1, 1, 1).bernoulli_(1.0 - drop_path)
            y = y / (1.0 - drop_path) * keep
        return y


class TorchCell(nn.Module):
    """A cell: every node sums its input edges; the output concatenates the output nodes.

    Args:
      space: the search space.
      edges: (target, source, module taking (x, argument)) of each edge, by target.
      preprocess: one module per input node, or none.
    """

    def __init__(self, space: Space, edges: Sequence[tuple[int, int, nn.Module]], preprocess: Sequence):
        super().__init__()
        self.targets, self.output_nodes = space.targets, space.output_nodes
        self.ends = [(target, source) for target, source, _ in edges]
        self.has_preprocess = bool(preprocess)
        for i, module in enumerate(preprocess):
            self.add_module(f"preprocess{i}", module)
        self._ops = nn.ModuleList(module for _, _, module in edges)

    def forward(self, inputs: list[torch.Tensor], arguments: Sequence[Any]) -> torch.Tensor:
        """Return the cell's output; inputs: one per input node; arguments: one entry per edge."""
        nodes = list(inputs)
        if self.has_preprocess:
            nodes = [getattr(self, f"preprocess{i}")(x) for i, x in enumerate(nodes)]
        for target in self.targets:
            arriving = [
                self._ops[i](nodes[source], arguments[i])
                for i, (end, source) in enumerate(self.ends)
                if end == target
            ]
            nodes.append(sum(arriving))
        outputs = [nodes[i] for i in self.output_nodes]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)


class TorchAuxiliaryHead(nn.Module):
    """The second classifier of a DARTS network; input 8x8."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


class TorchModel(nn.Module):
    """Stem, blocks and head; a supernet, or with a genotype its network (then affine, with drop path).

    Args:
      space: the search space.
      channels: initial channels C.
      cells: depth, as the space's stacking counts it.
      classes: number of logits.
      genotype: the cells' operations, or None: all candidates.
      auxiliary: whether a network has an auxiliary head.
    """

    def __init__(
        self,
        space: Space,
        channels: int,
        cells: int,
        classes: int,
        genotype: Genotype | None = None,
        auxiliary: bool = False,
    ):
        super().__init__()
        self.space, self.genotype = space, genotype
        self.layout = space.stacking.blocks(cells)
        stem = space.stacking.stem_multiplier * channels
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList()
        widths, reduced = [stem, stem], False
        for block in self.layout:
            width = block.width * channels
            if block.cell_type is None:
                self.cells.append(TorchResidualBlock(widths[-1], width))
                widths.append(width)
            else:
                before = self._preprocess(widths, width, reduced) if space.stacking.preprocess else []
                self.cells.append(TorchCell(space, self._edges(block, width), before))
                widths.append(width * len(space.output_nodes))
            reduced = block.reduction
        self.lastact = nn.Identity()
        if space.stacking.head_batch_norm:
            self.lastact = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.classifier = nn.Linear(widths[-1], classes)
        self.auxiliary_cell = 2 * len(self.layout) // 3
        self.auxiliary_head = None
        if auxiliary:
            width = self.layout[self.auxiliary_cell].width * channels * len(space.output_nodes)
            self.auxiliary_head = TorchAuxiliaryHead(width, classes)

    def _preprocess(self, widths: Sequence[int], width: int, reduced: bool) -> list[nn.Module]:
        affine = self.genotype is not None
        if reduced:
            first = TorchFactorizedReduce(widths[-2], width, affine)
        else:
            first = TorchReluConvBN(widths[-2], width, 1, 1, affine)
        return [first, TorchReluConvBN(widths[-1], width, 1, 1, affine)]

    def _edges(self, block: Block, width: int) -> list[tuple[int, int, nn.Module]]:
        space = self.space
        strides = {(e.target, e.source): space.stride(e, block.reduction) for e in space.edges}
        if self.genotype is None:
            rows = zip(space.edges, space.candidates[block.cell_type], strict=True)
            return [
                (e.target, e.source, TorchMixedOp(space, row, width, strides[e.target, e.source]))
                for e, row in rows
            ]
        return [
            (c.target, c.source, TorchChosenOp(c.operation, width, strides[c.target, c.source]))
            for c in self.genotype.cells[block.cell_type]
        ]

    def _with_evaluated(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, list[bool]]]:
        """Return each edge's mixing weights, and which of its operations are evaluated."""
        skips_zeros = self.space.stacking.name == "darts"
        evaluated = (weights != 0).tolist() if skips_zeros else [[True] * weights.shape[1]] * len(weights)
        return list(zip(weights, evaluated, strict=True))

    def forward(
        self, images: torch.Tensor, arguments: Mapping[str | None, Sequence[Any]]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits [B, classes] and, in training with an auxiliary head, that head's.

        Args:
          images: float32 [B, 3, H, W].
          arguments: by cell type, an entry per edge: its mixing weights, or the drop-path probability.
        """
        if self.genotype is None:
            arguments = {t: self._with_evaluated(weights) for t, weights in arguments.items()}
        x = self.stem(images)
        outputs, auxiliary = [x] * self.space.input_nodes, None
        for i, (block, cell) in enumerate(zip(self.layout, self.cells, strict=True)):
            x = cell(outputs[-self.space.input_nodes :], arguments.get(block.cell_type))
            outputs.append(x)
            if i == self.auxiliary_cell and self.auxiliary_head is not None and self.training:
                auxiliary = self.auxiliary_head(x)
        return self.classifier(self.lastact(x).mean([2, 3])), auxiliary


def count_parameters(model: TorchModel) -> int:
    """Count the trainable weights without alpha, the auxiliary head left out as in our count."""
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if not name.startswith("auxiliary_head."))


def load(model: TorchModel, state: Mapping[str, np.ndarray]) -> None:
    """Set every weight and running statistic from arrays of `models.torch_weights.export`."""
    places = {str(edge): i for i, edge in enumerate(model.space.edges)}

    def ours(name: str) -> str:
        if model.genotype is not None:
            return re.sub(r"\.(_ops|layers)\.(\d+)\.", r"._ops.\2.op.", name)
        return re.sub(r"\.edges\.([^.]+)\.", lambda m: f"._ops.{places[m[1]]}._ops.", name)

    tensors = {ours(name): torch.from_numpy(np.array(value)) for name, value in state.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"names differ: missing {missing[:3]}, without a place {unexpected[:3]}")
