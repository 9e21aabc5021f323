"""The files that mutants are drawn from, and the tests that are run on them, are there."""

import ast

from tests.mutants import ROOT, TARGETS, changed, mutants_of


def test_every_target_and_its_tests_are_there():
    assert [file for file in TARGETS if not (ROOT / "tf_darts" / file).is_file()] == []
    tests = {test for named in TARGETS.values() for test in named}
    assert [test for test in tests if not (ROOT / "tests" / test).is_file()] == []


def test_mutants_are_drawn_from_every_target():
    assert [file for file in TARGETS if not mutants_of(file)] == []


def test_a_changed_expression_is_another_one():
    for before, after in (("a < b", "a <= b"), ("a + b", "a - b"), ("not a", "a"), ("min(a)", "max(a)")):
        assert ast.unparse(changed(ast.parse(before, mode="eval").body)) == after
    assert changed(ast.parse("a", mode="eval").body) is None
