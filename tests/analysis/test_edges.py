"""The edges that a config names."""

import pytest

from tf_darts import spaces
from tf_darts.analysis import edges
from tf_darts.errors import UserError

DARTS, NAS_BENCH_201 = spaces.get("darts"), spaces.get("nas_bench_201")


@pytest.mark.parametrize(
    ("space", "text", "expected"),
    [
        (NAS_BENCH_201, "3<-1", [("normal", 4)]),
        (NAS_BENCH_201, " normal:3<-1, 0,4 ", [("normal", 0), ("normal", 4)]),
        (DARTS, "reduce:2<-0,normal:5<-4,normal:13", [("normal", 13), ("reduce", 0)]),
        (NAS_BENCH_201, "", [("normal", e) for e in range(6)]),
        (DARTS, "", [(t, e) for t in ("normal", "reduce") for e in range(14)]),
    ],
)
def test_edges_by_name_or_index_in_the_order_of_the_space(space, text, expected):
    assert edges.parse(space, text) == expected


@pytest.mark.parametrize(
    ("space", "text", "part"),
    [
        (NAS_BENCH_201, "1<-3", "1<-3"),
        (NAS_BENCH_201, "0,6", "6"),
        (DARTS, "2<-0", "2<-0"),  # of which cell type?
        (DARTS, "reduced:0", "reduced:0"),
        (NAS_BENCH_201, "0,", ""),
    ],
)
def test_what_names_no_edge_is_refused(space, text, part):
    with pytest.raises(UserError, match=f"analysis.edges has '{part}'; allowed: CELL_TYPE:EDGE"):
        edges.parse(space, text)


def test_decided_edges_are_left_out_unless_they_are_asked_for():
    left = {"normal": [1, 4]}
    assert edges.undecided(NAS_BENCH_201, "", left) == [("normal", 1), ("normal", 4)]
    assert edges.undecided(NAS_BENCH_201, "4", left) == [("normal", 4)]
    with pytest.raises(UserError, match="analysis.edges has normal:1<-0; allowed: edges with several"):
        edges.undecided(NAS_BENCH_201, "0,4", left)
    with pytest.raises(UserError, match="no edge with several open operations"):
        edges.undecided(NAS_BENCH_201, "", {"normal": []})
