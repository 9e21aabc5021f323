"""The search spaces against the tables of the DARTS-PT release, copied here independently."""

import pytest

from tf_darts import spaces
from tf_darts.errors import UserError

DARTS_LIKE = ("darts", "darts_with_none", "s1", "s2", "s3", "s4")


@pytest.mark.parametrize("name", DARTS_LIKE)
def test_edges_of_the_darts_cell(name):
    # Target: its edges in alpha's order, as (edge, source).
    expected = {
        2: [(0, 0), (1, 1)],
        3: [(2, 0), (3, 1), (4, 2)],
        4: [(5, 0), (6, 1), (7, 2), (8, 3)],
        5: [(9, 0), (10, 1), (11, 2), (12, 3), (13, 4)],
    }
    space = spaces.get(name)
    assert space.targets == (2, 3, 4, 5)
    assert len(space.edges) == 14
    for target, rows in expected.items():
        assert list(space.incoming(target)) == [edge for edge, _ in rows]
        assert [space.edges[edge] for edge, _ in rows] == [spaces.Edge(target, s) for _, s in rows]
    assert space.topology_nodes == (3, 4, 5)
    assert space.output_nodes == (2, 3, 4, 5)
    assert space.kept_edges == 2
    assert space.cell_types == ("normal", "reduce")


def test_edges_of_the_nas_bench_201_cell():
    space = spaces.get("nas_bench_201")
    assert [str(edge) for edge in space.edges] == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    assert space.topology_nodes == ()
    assert space.output_nodes == (3,)
    assert space.cell_types == ("normal",)
    assert space.none_in_genotype


@pytest.mark.parametrize(
    ("cell_type", "edge", "target", "source", "operations"),
    [
        ("normal", 0, 2, 0, ("skip_connect", "dil_conv_3x3")),
        ("normal", 3, 3, 1, ("skip_connect", "sep_conv_3x3")),
        ("normal", 5, 4, 0, ("max_pool_3x3", "skip_connect")),
        ("normal", 10, 5, 1, ("max_pool_3x3", "skip_connect")),
        ("normal", 13, 5, 4, ("dil_conv_3x3", "dil_conv_5x5")),
        ("reduce", 0, 2, 0, ("max_pool_3x3", "avg_pool_3x3")),
        ("reduce", 1, 2, 1, ("max_pool_3x3", "dil_conv_3x3")),
        ("reduce", 6, 4, 1, ("max_pool_3x3", "sep_conv_3x3")),
        ("reduce", 7, 4, 2, ("skip_connect", "dil_conv_3x3")),
        ("reduce", 9, 5, 0, ("max_pool_3x3", "avg_pool_3x3")),
        ("reduce", 11, 5, 2, ("skip_connect", "dil_conv_5x5")),
    ],
)
def test_s1(cell_type, edge, target, source, operations):
    space = spaces.get("s1")
    assert space.edges[edge] == spaces.Edge(target, source)
    assert space.candidates[cell_type][edge] == operations


def test_s1_has_these_many_of_each_operation():
    def counts(cell_type):
        names = [name for row in spaces.get("s1").candidates[cell_type] for name in row]
        return {name: names.count(name) for name in names}

    assert counts("normal") == {
        "skip_connect": 12,
        "dil_conv_3x3": 6,
        "dil_conv_5x5": 4,
        "sep_conv_3x3": 4,
        "max_pool_3x3": 2,
    }
    assert counts("reduce") == {
        "max_pool_3x3": 8,
        "avg_pool_3x3": 6,
        "dil_conv_3x3": 2,
        "skip_connect": 6,
        "dil_conv_5x5": 5,
        "sep_conv_3x3": 1,
    }


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        (
            "darts",
            "max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5",
        ),
        ("s2", "skip_connect sep_conv_3x3"),
        ("s3", "none skip_connect sep_conv_3x3"),
        ("s4", "noise sep_conv_3x3"),
        ("nas_bench_201", "none skip_connect nor_conv_1x1 nor_conv_3x3 avg_pool_3x3"),
    ],
)
def test_uniform_spaces(name, operations):
    rows = [row for rows in spaces.get(name).candidates.values() for row in rows]
    assert set(rows) == {tuple(operations.split())}


@pytest.mark.parametrize(
    ("name", "entries"),
    [("darts", 196), ("s1", 56), ("s2", 56), ("s3", 84), ("s4", 56), ("nas_bench_201", 30)],
)
def test_entries_of_alpha(name, entries):
    space = spaces.get(name)
    assert sum(len(row) for rows in space.candidates.values() for row in rows) == entries
    assert len(space.cell_types) * len(space.edges) * space.num_operations == entries


@pytest.mark.parametrize(
    ("cells", "reductions"), [(8, [2, 5]), (20, [6, 13]), (14, [4, 9]), (5, [1, 3]), (3, [1, 2])]
)
def test_darts_reductions_stand_at_one_and_two_thirds(cells, reductions):
    blocks = spaces.get("darts").stacking.blocks(cells)
    assert len(blocks) == cells
    assert [i for i, block in enumerate(blocks) if block.reduction] == reductions
    assert [i for i, block in enumerate(blocks) if block.cell_type == "reduce"] == reductions
    # The width doubles at a reduction and stays.
    assert [block.width for block in blocks] == [2 ** sum(r <= i for r in reductions) for i in range(cells)]


def test_nas_bench_201_stacks_three_stages_with_fixed_blocks_between():
    blocks = spaces.get("nas_bench_201").stacking.blocks(2)
    assert [block.cell_type for block in blocks] == ["normal"] * 2 + [None] + ["normal"] * 2 + [None] + [
        "normal"
    ] * 2
    assert [block.width for block in blocks] == [1, 1, 2, 2, 2, 4, 4, 4]
    assert [block.reduction for block in blocks] == [i in (2, 5) for i in range(8)]


def test_only_edges_from_inputs_of_a_reduction_cell_have_stride_2():
    space = spaces.get("darts")
    strided = [i for i, edge in enumerate(space.edges) if space.stride(edge, reduction=True) == 2]
    assert strided == [0, 1, 2, 3, 5, 6, 9, 10]
    assert all(space.stride(edge, reduction=False) == 1 for edge in space.edges)


def test_names():
    for name, space in spaces.SPACES.items():
        assert spaces.get(name) is space
        assert space.name == name


def test_unknown_name():
    with pytest.raises(UserError, match=r"'s9' is not known; allowed: darts, .*nas_bench_201"):
        spaces.get("s9")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((("a",),) * 13, "lists 13 edges, the graph has 14"),
        ((("a",),) * 13 + ((),), "edge 5<-4"),
        ((("a", "a"),) + (("a",),) * 13, "edge 2<-0"),
    ],
)
def test_a_space_checks_its_tables(rows, message):
    good = spaces.get("s2")
    with pytest.raises(ValueError, match=message):
        spaces.Space(
            name="bad",
            input_nodes=2,
            nodes=4,
            candidates={"normal": rows},
            output_nodes=(2, 3, 4, 5),
            kept_edges=2,
            stacking=good.stacking,
        )


@pytest.mark.parametrize(
    "name, known", [("s5", "darts"), ("S1", "s1"), ("NAS-Bench-201", "nas_bench_201"), ("DARTS", "darts")]
)
def test_names_in_use_elsewhere_are_known(name, known):
    assert spaces.get(name) is spaces.SPACES[known]
