"""What the best genotypes give up against their cost, as the page of a work directory shows it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report import made
from tf_darts.report import pareto, workdir_contents, workdir_page
from tf_darts.workdir import genotype_file, top_file
from tf_darts.workdir.top_file import RankedGenotype


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_front_is_what_nothing_beats(points):
    expected = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}
    front = pareto.front(points)
    assert set(front) == expected and len(front) == len(expected)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(front))


@pytest.fixture
def record(tmp_path):
    made.workdir(tmp_path, mistakes=False)
    for name, latency in (("magnitude", None), ("perturbation", 0.5)):
        folder = tmp_path / "selection" / name
        text = genotype_file.load(folder / "genotype.json", made.SPACE).to_text(made.SPACE)
        rows = [
            RankedGenotype(
                rank=rank, genotype=text if rank == 1 else f"{text}{rank}", lost=0.01 * (rank - 1),
                differs=() if rank == 1 else (f"normal 1<-0: choice {rank}",), parameters=12345 - rank + 1,
                multiply_adds=10, tflite_bytes=50_000 + rank, tflite_int8_bytes=20_000,
                latency_ms=latency and latency / rank,
            )
            for rank in (1, 2, 3)
        ]  # fmt: skip
        top_file.write(folder, "accuracy" if latency else "magnitude", rows)
    return workdir_contents.read(tmp_path)


def test_a_page_shows_costs_where_they_are_known(record):
    found = pareto.make(record)
    by_name = {item["name"]: item for item in found["selections"]}
    assert [len(by_name[name]["figures"]) for name in ("magnitude", "perturbation")] == [2, 3]
    table = by_name["perturbation"]["table"]
    assert table.headings[1] == "accuracy given up, points" and table.headings[-1] == "latency"
    assert table.rows[1] == ["2", "1", "normal 1<-0: choice 2", "12,344", "50 kB", "20 kB", "0.25 ms"]
    assert by_name["magnitude"]["table"].headings[1] == "given up, magnitude"
    assert "latency" not in by_name["magnitude"]["table"].headings
    assert len(found["trained"]) == 2  # of magnitude's network no latency is known
    page = workdir_page.make(record)
    assert 'id="costs"' in page and "pareto-perturbation-latency_ms" in page
    assert "rank 2: 0.25, 1; normal 1&lt;-0: choice 2" in page


def test_without_any_ranking_there_is_no_section(tmp_path):
    made.workdir(tmp_path, mistakes=False)
    record = workdir_contents.read(tmp_path)
    assert pareto.make(record) == {} and 'id="costs"' not in workdir_page.make(record)
