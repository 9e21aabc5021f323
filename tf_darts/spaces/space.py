"""What can be searched, as data: the cell's graph, its candidate operations, and how cells stack.

A search space is one `Space` value. Nothing that trains, selects or draws looks inside it for names:
DARTS, S1 to S4 and NAS-Bench-201 differ only in these tables.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

SKIP, NONE = "skip_connect", "none"

Candidates = tuple[tuple[str, ...], ...]
"""For each edge its candidate operations."""

# How often each stem halves height and width. The last two stages of ImageNet's are the first cell's inputs.
STEMS = {"plain": 0, "pooled": 1, "imagenet": 3}

# How a network enlarges images: by a border of the mean colour, or by interpolation.
ENLARGE = ("pad", "resize")


@dataclasses.dataclass(frozen=True)
class Edge:
    """A directed edge of the cell's graph: node `source` feeds node `target`."""

    target: int
    source: int

    def __str__(self) -> str:
        return f"{self.target}<-{self.source}"


@dataclasses.dataclass(frozen=True)
class Block:
    """One element of a network's body.

    Attributes:
      cell_type: the type of the searched cell, or None for the fixed block between stages of NAS-Bench-201.
      width: channels of the block, as a multiple of the initial channels C.
      reduction: whether the block halves height and width.
    """

    cell_type: str | None
    width: int
    reduction: bool


@dataclasses.dataclass(frozen=True)
class Stacking:
    """How cells become a network.

    Attributes:
      name: the name under which `models.torch_weights` and the genotype text forms know it.
      stem_multiplier: channels of the stem, as a multiple of C.
      preprocess: whether a cell brings its inputs to its own width with 1x1 convolutions first.
      head_batch_norm: whether batch norm and ReLU stand before the global pooling.
      blocks: the body for a given depth.
      stem: what stands before the first cell, one of `STEMS`.
      pooled_blocks: whether blocks without edges are a convolution and a max pooling, not residual.
      enlarge: what is done to images that cannot be halved as often as they are, one of `ENLARGE`.
    """

    name: str
    stem_multiplier: int
    preprocess: bool
    head_batch_norm: bool
    blocks: Callable[[int], tuple[Block, ...]]
    stem: str = "plain"
    pooled_blocks: bool = False
    enlarge: str = "pad"

    @property
    def stem_reductions(self) -> int:
        """How often the stem halves height and width."""
        return STEMS[self.stem]

    def enlarged(self, cells: int, image_shape: Sequence[int]) -> tuple[int, int]:
        """Return the height and width at which images enter the stem: the next that can be halved.

        Args:
          cells: the depth.
          image_shape: height and width of the images, pixels (more entries are passed over).
        """
        times = 2 ** (self.stem_reductions + sum(block.reduction for block in self.blocks(cells)))
        height, width = (-(-side // times) * times for side in image_shape[:2])
        return height, width


@dataclasses.dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
      name: its name in configs, files and TensorBoard.
      input_nodes: number of cell inputs; they are nodes 0 .. input_nodes-1.
      nodes: number of intermediate nodes; each sums the edges that come from every earlier node.
      candidates: for each cell type, for each edge, the candidate operations in the order of alpha's
        columns.
      output_nodes: nodes whose concatenation is the cell's output.
      kept_edges: input edges that a node of a genotype keeps, or None where it keeps all.
      stacking: how cells stack.
      batch_norm_after: operations followed by a non-affine batch norm in the supernet only.
      none_in_genotype: whether `none` may be chosen; where it may not, the best other operation is.
      extra_selection_epoch: whether the last perturbation event has an epoch of its own at the end of
        the schedule (DARTS) or comes one epoch early (NAS-Bench-201); algorithm of the authors' release.
    """

    name: str
    input_nodes: int
    nodes: int
    candidates: Mapping[str, Candidates]
    output_nodes: tuple[int, ...]
    kept_edges: int | None
    stacking: Stacking
    batch_norm_after: frozenset[str] = frozenset()
    none_in_genotype: bool = True
    extra_selection_epoch: bool = True

    def __post_init__(self) -> None:
        for cell_type, rows in self.candidates.items():
            if len(rows) != len(self.edges):
                raise ValueError(
                    f"space {self.name}: candidates[{cell_type!r}] lists {len(rows)} edges, the graph has"
                    f" {len(self.edges)}"
                )
            for edge, row in zip(self.edges, rows, strict=True):
                if not row or len(set(row)) != len(row):
                    raise ValueError(
                        f"space {self.name}: edge {edge} of {cell_type!r} needs at least one candidate"
                        f" operation and none twice, not {row}"
                    )

    @property
    def cell_types(self) -> tuple[str, ...]:
        """Cell types in the order in which selection treats them."""
        return tuple(self.candidates)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Edges in the order of alpha's rows: by target node, then by source node."""
        return edges_of(self.input_nodes, self.nodes)

    @property
    def targets(self) -> tuple[int, ...]:
        """The intermediate nodes."""
        return tuple(range(self.input_nodes, self.input_nodes + self.nodes))

    def incoming(self, node: int) -> tuple[int, ...]:
        """Return the indices of the edges that end in `node`, ascending."""
        return tuple(i for i, edge in enumerate(self.edges) if edge.target == node)

    def candidates_of(self, block: "Block") -> Candidates:
        """Return the candidate operations of a block's cell, by edge; none for a block without edges."""
        return () if block.cell_type is None else self.candidates[block.cell_type]

    def keeps(self, node: int) -> int:
        """Return the number of input edges that `node` has in a genotype."""
        incoming = len(self.incoming(node))
        return incoming if self.kept_edges is None else min(self.kept_edges, incoming)

    @property
    def topology_nodes(self) -> tuple[int, ...]:
        """Nodes with more input edges than a genotype keeps: those whose inputs must be chosen."""
        return tuple(n for n in self.targets if len(self.incoming(n)) > self.keeps(n))

    @property
    def num_operations(self) -> int:
        """Columns of alpha: the largest number of candidate operations on any edge."""
        return max(len(row) for rows in self.candidates.values() for row in rows)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all candidate operations, each once, in the order in which they first stand."""
        names = (name for rows in self.candidates.values() for row in rows for name in row)
        return tuple(dict.fromkeys(names))

    def stride(self, edge: Edge, reduction: bool) -> int:
        """Return the stride of an edge's operations: 2 on edges from a reduction cell's inputs, else 1."""
        return 2 if reduction and edge.source < self.input_nodes else 1


@functools.cache
def edges_of(input_nodes: int, nodes: int) -> tuple[Edge, ...]:
    """Return the edges of a cell: into each intermediate node from every node before it."""
    return tuple(Edge(t, s) for t in range(input_nodes, input_nodes + nodes) for s in range(t))


def uniform(edges: int, operations: tuple[str, ...]) -> Candidates:
    """Return the same candidate operations for every edge."""
    return (operations,) * edges
