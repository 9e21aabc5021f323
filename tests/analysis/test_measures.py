"""Rank correlations on numbers whose correlations are known, their intervals, and the choices that follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_darts.analysis import measures


def rows(*edges, allowed=lambda o: True):
    """Return rows of operations; each edge is (values of `a`, values of `b`)."""
    return [
        {
            "cell_type": "normal",
            "edge": e,
            "edge_name": f"{e}",
            "operation": f"op{o}",
            "allowed": allowed(o),
            "a": float(x),
            "b": float(y),
        }
        for e, (xs, ys) in enumerate(edges)
        for o, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]


def test_correlations_of_known_numbers():
    found = measures.compare(rows(([1, 2, 3, 4], [10, 30, 20, 40]), ([1, 2, 3], [5, 4, 3])), "a", "b", 0)
    first, second = found["by_edge"]
    assert first["spearman"]["value"] == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert first["kendall"]["value"] == pytest.approx(4 / 6)  # five pairs in order, one not
    assert second["spearman"]["value"] == second["kendall"]["value"] == pytest.approx(-1)
    assert found["within_edges"]["spearman"]["value"] == pytest.approx((0.8 - 1) / 2)
    assert found["within_edges"]["kendall"]["value"] == pytest.approx((4 / 6 - 1) / 2)


def test_the_pooled_correlation_counts_what_edges_have_in_common():
    # In reversed order within edges, while the second edge has more of both.
    found = measures.compare(rows(([1, 2], [2, 1]), ([3, 4], [4, 3])), "a", "b", 0)
    assert found["within_edges"]["spearman"]["value"] == pytest.approx(-1)
    assert found["pooled"]["spearman"]["value"] == pytest.approx(0.6)  # 1 - 6 * 4 / (4 * 15)
    assert found["pooled"]["kendall"]["value"] == pytest.approx((4 - 2) / 6)


def test_choices_and_what_they_lose():
    edges = [([1, 5, 2], [7, 9, 8]), ([3, 1, 2], [0.5, 2, 1]), ([1, 1, 0], [4, 6, 5])]
    found = measures.compare(rows(*edges), "a", "b", 0)
    assert [row["chosen"] for row in found["by_edge"]] == ["op1", "op0", "op0"]  # of equal ones the first
    assert [row["best"] for row in found["by_edge"]] == ["op1", "op1", "op1"]
    assert [row["lost"] for row in found["by_edge"]] == [0, 1.5, 2]
    assert found["same_best"] == 1 and found["edges"] == 3
    assert found["same_best_by_chance"] == pytest.approx(1) and found["lost"] == pytest.approx(3.5 / 3)


def test_operations_that_no_genotype_holds_are_left_out():
    edges = [([9, 1, 2], [0, 1, 2]), ([9, 4], [0, 1])]
    found = measures.compare(rows(*edges, allowed=lambda o: o > 0), "a", "b", 0)
    (only,) = found["by_edge"]  # on the second edge there is nothing left to compare
    assert only["operations"] == 2 and only["spearman"]["value"] == pytest.approx(1)
    assert only["chosen"] == "op2"


def test_what_is_constant_has_no_correlation_and_is_left_out_of_the_mean():
    found = measures.compare(rows(([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 2, 3])), "a", "b", 0)
    assert found["by_edge"][0]["spearman"] == {"value": None, "low": None, "high": None, "p": None}
    assert found["within_edges"]["spearman"]["value"] == pytest.approx(1)
    nothing = measures.compare(rows(([1, 1], [1, 2])), "a", "b", 0)
    assert nothing["within_edges"]["kendall"]["value"] is None


@pytest.mark.parametrize(
    ("kind", "value", "number", "low", "high"),
    [
        # By hand: artanh 0.8 = 1.09861; sqrt(1.32 / 7) = 0.434249; 1.959964 of that is 0.851112.
        ("spearman", 0.8, 10, 0.2426, 0.9603),
        # artanh 0.5 = 0.549306; sqrt(0.437 / 16) = 0.165265; 0.323913.
        ("kendall", 0.5, 20, 0.2217, 0.7030),
    ],
)
def test_fishers_interval(kind, value, number, low, high):
    found = measures.fisher(kind, value, number)
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (value, low, high)


@pytest.mark.parametrize(
    ("kind", "value", "number"), [("spearman", 0.5, 3), ("kendall", 0.5, 4), ("spearman", 1.0, 9)]
)
def test_fishers_interval_is_left_out_where_it_says_nothing(kind, value, number):
    assert measures.fisher(kind, value, number) == measures.Interval(value)


def test_the_bootstrap_is_over_edges_and_repeats():
    draw = np.random.default_rng(0)
    edges = [(draw.normal(size=5), draw.normal(size=5)) for _ in range(8)]
    found, again = (measures.compare(rows(*edges), "a", "b", seed=3) for _ in range(2))
    assert found == again
    assert found != measures.compare(rows(*edges), "a", "b", seed=4)
    interval = found["within_edges"]["spearman"]
    values = [row["spearman"]["value"] for row in found["by_edge"]]
    # As wide as the mean of so many independent edges is uncertain.
    expected = 2 * 1.96 * np.std(values) / np.sqrt(len(values))
    assert interval["high"] - interval["low"] == pytest.approx(expected, rel=0.15)
    assert interval["low"] < np.mean(values) < interval["high"]
    same = measures.compare(rows(*[([1, 2, 3], [1, 3, 2])] * 4), "a", "b", 0)["within_edges"]["spearman"]
    assert same == {"value": pytest.approx(0.5), "low": pytest.approx(0.5), "high": pytest.approx(0.5)}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=7))
def test_only_order_counts(pairs):
    x, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    for kind in measures.CORRELATIONS:
        plain, stretched = measures.correlation(kind, x, y), measures.correlation(kind, np.exp(x), y**3)
        turned = measures.correlation(kind, -x, y)
        if plain[0] is None:
            assert stretched[0] is turned[0] is None
        else:
            assert plain[0] == pytest.approx(stretched[0]) == pytest.approx(-turned[0])


def test_the_summary_has_a_line_for_each_pair():
    found = measures.compare(rows(([1, 2, 3, 4], [10, 30, 20, 40])), "a", "b", 0)
    lines = measures.summary([found, {**found, "measure": "c"}]).splitlines()
    assert lines[2].split()[:3] == ["a", "b", "0.80"] and lines[3].split()[0] == "c"
    assert "1 of 1 (chance 0.2)" in lines[2]
