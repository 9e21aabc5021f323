"""The edges that an analysis measures."""

from tf_darts.errors import UserError
from tf_darts.spaces import Space

Place = tuple[str, int]  # cell type, index of the edge


def parse(space: Space, text: str) -> list[Place]:
    """Return the edges that `analysis.edges` names, in the space's order; all edges for an empty text.

    Args:
      space: the search space.
      text: edges separated by commas, each as `normal:3<-1` or, by its index, `normal:4`; the cell type may
        be left out where there is one.

    Raises:
      UserError: a part names no edge.
    """
    everywhere = [(t, e) for t in space.cell_types for e in range(len(space.edges))]
    if not text.strip():
        return everywhere
    names = {}
    for cell_type, e in everywhere:
        for edge in (str(e), str(space.edges[e])):
            names[f"{cell_type}:{edge}"] = (cell_type, e)
            if len(space.cell_types) == 1:
                names[edge] = (cell_type, e)
    named = set()
    for part in text.split(","):
        if part.strip() not in names:
            types, edges = ", ".join(space.cell_types), ", ".join(map(str, space.edges))
            raise UserError(
                f"config: analysis.edges has {part.strip()!r}; allowed: CELL_TYPE:EDGE with a cell type of"
                f" {types} and an edge of {edges}, or its index"
            )
        named.add(names[part.strip()])
    return [place for place in everywhere if place in named]


def undecided(space: Space, text: str, open_edges: dict[str, list[int]]) -> list[Place]:
    """Return the named edges that still have several open operations.

    Args:
      space: the search space.
      text: `analysis.edges`.
      open_edges: undecided edges by cell type.

    Raises:
      UserError: as `parse`, or an edge that is named has nothing to compare.
    """
    places = parse(space, text)
    left = [(t, e) for t, e in places if e in open_edges[t]]
    decided = [f"{t}:{space.edges[e]}" for t, e in places if (t, e) not in left]
    if decided and text.strip():
        raise UserError(
            f"config: analysis.edges has {', '.join(decided)}; allowed: edges with several open operations"
        )
    if not left:
        raise UserError("--workdir: the searched supernet has no edge with several open operations")
    return left
