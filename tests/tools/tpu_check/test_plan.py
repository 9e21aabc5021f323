"""The plan on paper follows what the compiler counted, and the page shows it."""

from pathlib import Path

import pytest

from tf_darts.errors import UserError
from tf_darts.tools.tpu_check import plan, run
from tf_darts.tools.tpu_check.cases import CHIPS, PUBLISHED

ROOT = Path(__file__).resolve().parents[3]
CHIP = CHIPS["v4"]
HALF = 25_000 * 32 * 32 * 3  # bytes of the images that a batch is drawn from


def row(program, flops, moved, cells=1, **changed):
    """Return a record; the compiler counts, for each batch that is drawn, all of its half as read."""
    fields = {
        "space": "nas_bench_201",
        "precision": "mixed_bfloat16",
        "chip": "v4",
        "replicas": 1,
        "batch": 0,
    }
    counts = {"flops": flops, "bytes_accessed": moved + {"search": 2, "probe": 1}[program] * HALF}
    return fields | {"program": program, "cells": cells} | counts | changed


OTHER = (("space", "darts"), ("precision", "float32"), ("chip", "v5e"), ("replicas", 4), ("batch", 8))


def test_the_most_cells_compiled_for_one_core_are_the_basis():
    rows = [row("search", 1.0, 10.0), row("search", 3.0, 30.0, cells=2), row("search", 9.0, 90.0, cells=0)]
    rows += [row("search", 7.0, 70.0, cells=0, **{name: value}) for name, value in OTHER]
    for some, cells, flops in ((rows[:1], 1, 1.0), (rows[:2], 2, 3.0), (rows, 5, 9.0)):
        found = plan.counted(some, "nas_bench_201", "search")
        small = plan.work("nas_bench_201", cells)
        assert found.cells == cells and found.counts == plan.ProgramCost(flops, 10 * flops)
        # Five forward passes of 64 images, and two passes that write and read all kept twice.
        assert found.formulas.flops == pytest.approx(64 * 5 * small.flops)
        assert found.formulas.moved == pytest.approx(64 * 2 * 4 * small.kept)
        assert found.ratio.flops * found.formulas.flops == pytest.approx(flops)
        assert found.ratio.moved * found.formulas.moved == pytest.approx(10 * flops)
    probe = plan.counted([row("probe", 1.0, 1.0)], "nas_bench_201", "probe")
    assert probe.formulas.moved == pytest.approx(64 * 2 * plan.work("nas_bench_201", 1).kept)
    assert probe.counts == plan.ProgramCost(1.0, 1.0)


def test_the_full_size_is_foretold_from_fewer_cells():
    few, full = row("search", 2.0, 20.0), row("search", 9.0, 90.0, cells=0)
    others = [row("search", 7.0, 70.0, **{name: value}) for name, value in OTHER]
    wrong = row("search", 1.0, 1.0, cells=2) | {"error": "of the compiler"}
    del wrong["flops"], wrong["bytes_accessed"]
    ((found, basis, expected),) = plan.foretold([full, few, wrong, *others])
    of_few, of_full = plan.work("nas_bench_201", 1), plan.work("nas_bench_201")
    assert found is full and basis.cells == 1
    assert expected.flops == pytest.approx(2.0 * of_full.flops / of_few.flops)
    assert expected.moved == pytest.approx(20.0 * of_full.kept / of_few.kept)
    ((_, basis, _),) = plan.foretold([row("search", 3.0, 30.0, cells=2), few, full])
    assert basis.cells == 2  # the nearest
    assert plan.foretold([few, *others]) == plan.foretold([full, *others]) == []


@pytest.mark.parametrize(("name", "value"), OTHER)
def test_what_was_not_compiled_is_asked_for(name, value):
    with pytest.raises(UserError, match="no record of --space=nas_bench_201, --program=search, --precision="):
        plan.counted([row("search", 1.0, 1.0, **{name: value})], "nas_bench_201", "search")


def test_a_small_share_of_a_batch_moves_more_for_each_image():
    rows = [row("search", 1.0, 64e6), row("search", 1.0, 16e6, batch=8), row("search", 1.0, 64e6, batch=128)]
    rows.append(row("search", 1.0, 300e6, cells=0))  # compared are supernets of the same depth
    assert [plan.spread(rows, n) for n in (8, 64, 128)] == [2.0, 1.0, 0.5]
    with pytest.raises(UserError, match="--batch=32; bin/tpu_check"):
        plan.spread(rows, 32)


def test_a_step_takes_what_bounds_it():
    found = plan.work("nas_bench_201")
    seconds = [
        plan.step_seconds(found, plan.ProgramCost(flops, moved), CHIP, 2, 64) - plan.LATENCY
        for flops, moved in ((1e9, 1e6), (2e9, 1e6), (1e9, 1e9), (2e9, 2e9))
    ]
    of_core = 32  # images: a chip has two cores
    expected = [of_core * x for x in (1e9 / CHIP.flops, 2e9 / CHIP.flops, 1e9 / CHIP.bandwidth)]
    assert seconds == pytest.approx([*expected, 2 * expected[2]])
    one, four = (plan.step_seconds(found, plan.ProgramCost(1e9, 1e9), CHIP, n, 64) for n in (2, 8))
    assert four == pytest.approx((one - plan.LATENCY) / 4 + plan.LATENCY + 2 * found.weights / plan.LINKS)


def test_probes_take_rounds_of_whole_batches():
    found, image = plan.work("darts"), plan.ProgramCost(1.0, 1e6)
    assert found.probes == 2 * (14 * 7 + 3 + (4 + 3) + (5 + 4 + 3))  # operations, and edges of three nodes
    batch = 64e6 / CHIP.bandwidth
    for cores, rounds in ((2, 196), (8, 49), (32, 13), (512, 1)):  # of 391 batches
        assert plan.probe_seconds(found, image, CHIP, cores) == pytest.approx(240 * rounds * batch)


def test_the_page_shows_the_plan_of_the_records():
    shown = (ROOT / "docs" / "scaling.md").read_text().splitlines()
    rows = run.found(ROOT / "results" / "tpu_check")
    lines = [line for line in plan.tables(rows).splitlines() if line]
    firsts = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    whole = [full["space"] for full, _, _ in plan.foretold(rows)]
    assert {"darts", "nas_bench_201"} == set(whole)
    for name in PUBLISHED:
        assert firsts.count(name) == len(plan.PLACES) + 2 + whole.count(name)
    assert [line for line in lines if line not in shown] == []
