"""The table of latencies: what is written is read, what is wrong is named, and networks are its sums."""

import numpy as np
import pytest

from tests.models.test_genotype_costs import random_genotype
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import genotype_costs, latency_table
from tf_darts.models.latency_table import NOTHING, LatencyTable, Part

CONV = Part("nor_conv_3x3", 8, 6, 4, 4, 1)
HEAD = "operation,height,width,inputs,channels,stride,ms\n"


def test_a_table_that_is_written_is_read(tmp_path):
    table = LatencyTable({NOTHING: 0.001, CONV: 1.25}, {"processor": "two\nlines", "threads": "4"})
    table.keep(tmp_path)
    found = latency_table.read(tmp_path / "latency.csv")
    assert found.ms == table.ms and found.about == {"processor": "two lines", "threads": "4"}
    assert found.threads == 4 and LatencyTable({}).threads == 1
    assert found.nanoseconds(CONV) == 1_249_000 and found.nanoseconds(NOTHING) == 1000
    before = (tmp_path / "latency.csv").stat()
    found.keep(tmp_path)
    assert (tmp_path / "latency.csv").stat().st_mtime_ns == before.st_mtime_ns


def test_a_part_that_is_missing_is_named_with_the_cure():
    with pytest.raises(UserError) as caught:
        LatencyTable({NOTHING: 0.001}, {}, "phone.csv").nanoseconds(CONV)
    assert str(caught.value) == (
        "config: selection.latency_table is 'phone.csv', which has no row for nor_conv_3x3 on 8x6x4 to 4"
        " channels, stride 1; allowed: all rows that bin/latency measures with this config"
    )
    with pytest.raises(UserError, match="no row for call on 1x1x1"):
        LatencyTable({CONV: 0.001}).nanoseconds(CONV)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "is no UTF-8 text"),
        (b"", "holds no rows"),
        (HEAD.encode(), "holds no rows"),
        (b"operation,ms\nconv,1\n", "line 1 is 'operation,ms', not the columns operation,height,"),
        (f"# a: b\n{HEAD}conv,8,8,4,4,1,\n".encode(), "line 3 is 'conv,8,8,4,4,1,', no row of"),
        (f"{HEAD}conv,8,8,4,4,1,nan\n".encode(), "line 2 is"),
        (f"{HEAD}conv,8,8,4,4,1,-1\n".encode(), "line 2 is"),
        (f"{HEAD}conv,0,8,4,4,1,1\n".encode(), "line 2 is"),
        (f"{HEAD}conv,8,8,4,4,1\n".encode(), "line 2 is"),
        (f"# scale: 0\n{HEAD}conv,8,8,4,4,1,1\n".encode(), "line 1 is '# scale: 0'; allowed: a number above"),
        (f"# scale: much\n{HEAD}conv,8,8,4,4,1,1\n".encode(), "line 1 is '# scale: much'"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, message):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        latency_table.read(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("config: selection.latency_table is ")


def test_a_table_that_is_filled_in_may_say_what_whole_networks_take(tmp_path):
    (tmp_path / "phone.csv").write_text(f"# scale: 1.25\n{HEAD}call,1,1,1,1,1,0.5\nconv,8,8,4,4,1,2\n")
    table = latency_table.read(tmp_path / "phone.csv")
    assert table.scale == 1.25 and LatencyTable({NOTHING: 1.0}).scale == 1.0
    assert table.nanoseconds(Part("conv", 8, 8, 4, 4, 1)) == 1_875_000
    assert table.nanoseconds(NOTHING) == 625_000
    table.write(tmp_path / "again.csv")
    assert latency_table.read(tmp_path / "again.csv").scale == 1.25


@pytest.mark.parametrize("name", ["nas_bench_201", "darts"])
def test_a_networks_latency_is_the_sum_of_its_parts(name):
    space, size = spaces.get(name), (4, 3 if name == "darts" else 1, 5, (16, 8, 1))
    draw = np.random.default_rng(0)
    parts = genotype_costs.parts_of(space, *size)
    table = LatencyTable({part: 1 + draw.integers(1000) / 1000 for part in parts} | {NOTHING: 0.5})
    costs = genotype_costs.count(space, *size, table)
    genotype = random_genotype(space, 1)
    stages = {8: (8, 4, 2), 16: (16, 8, 4)}[size[3][0]]
    rest = costs.fixed[3]
    expected = 0.0
    blocks = space.stacking.blocks(size[1])
    level = 0
    for block in blocks:
        before, level = level, level + block.reduction
        for choice in genotype.cells.get(block.cell_type, ()):
            edge = next(e for e in space.edges if (e.target, e.source) == (choice.target, choice.source))
            stride = space.stride(edge, block.reduction)
            high = stages[before if stride == 2 else level]
            width = 4 * block.width
            if choice.operation != "none":
                expected += table.ms[Part(choice.operation, high, high // 2, width, width, stride)] - 0.5
    assert costs.of(genotype).nanoseconds == pytest.approx(1e6 * expected + rest, abs=len(parts))
    assert genotype_costs.count(space, *size).of(genotype).nanoseconds == 0
