"""Mutation sampling: changes one expression of the core at a time, and sees whether a test notices.

    python -m tests.mutants --count=100 --output=mutants.jsonl

The mutants are drawn by a seed over the files of `TARGETS`, each with the tests that are about it. What was
run before is in the output and not run again. A mutant that survives shows a test that is missing, or changes
nothing that matters.
"""

import argparse
import ast
import copy
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 600.0  # seconds; a mutant that does not end is noticed too

TARGETS: dict[str, tuple[str, ...]] = {
    "models/architecture.py": (
        "models/test_architecture.py",
        "models/test_supernet.py",
        "selection/test_decide.py",
    ),
    "models/budget.py": ("models/test_budget.py", "selection/test_budget_selections.py"),
    "models/decision_state.py": ("models/test_budget.py", "selection/test_decide.py"),
    "optim/optimizers.py": ("optim/test_optimizers.py",),
    "search/bilevel.py": ("search/test_bilevel.py", "test_replicas.py"),
    "search/loop.py": (
        "search/test_loop.py",
        "search/test_early_stopping.py",
        "search/test_pictures.py",
        "selection/test_sgas.py",
    ),
    "search/plan.py": ("search/test_plan.py", "search/test_loop.py"),
    "selection/criteria.py": ("selection/test_decide.py", "selection/test_variants.py"),
    "selection/darts_pt.py": ("selection/test_darts_pt.py", "selection/test_variants.py"),
    "selection/decide.py": (
        "selection/test_decide.py",
        "selection/test_pictures.py",
        "selection/test_variants.py",
        "models/test_budget.py",
    ),
    "selection/magnitude.py": (
        "selection/test_magnitude.py",
        "selection/test_variants.py",
        "models/test_budget.py",
    ),
    "selection/probe.py": ("selection/test_probe.py", "selection/test_pictures.py"),
    "selection/probe_pass.py": ("selection/test_probe_pass.py", "selection/test_probe.py"),
    "selection/race.py": ("selection/test_race.py", "selection/test_probe.py"),
    "selection/schedule.py": ("selection/test_schedule.py", "selection/test_variants.py"),
    "workdir/decisions.py": ("workdir/test_decisions.py", "selection/test_darts_pt.py"),
}

COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}  # fmt: skip
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One changed expression: its place in a file's UTF-8 bytes, and what stands there before and after."""

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str


def changed(node: ast.AST) -> ast.AST | None:
    """Another expression in the place of this one, if there is a change for its kind."""
    other = copy.deepcopy(node)
    match other:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARED:
            other.ops = [COMPARED[type(operator)]()]
        case ast.BinOp(left=left, op=operator) if type(operator) in COMPUTED and not _is_text(left):
            other.op = COMPUTED[type(operator)]()
        case ast.BoolOp(op=operator):
            other.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.IfExp():
            other.body, other.orelse = other.orelse, other.body
        case ast.Constant(value=bool(value)):
            other.value = not value
        case ast.Constant(value=int(value) | float(value)):
            other.value = value + 1
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            other.func.id = CALLED[name]
        case _:
            return None
    return other


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All that computes: nothing in messages, annotations or texts."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.AnnAssign | ast.Import | ast.ImportFrom):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child)


def mutants_of(file: str) -> list[Mutant]:
    """All mutants of a file of `tf_darts`, in the order of its text."""
    text = (ROOT / "tf_darts" / file).read_bytes()
    lines = text.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    found = []
    for node in _code(ast.parse(text)):
        other = changed(node)
        if other is not None:
            start = begins[node.lineno - 1] + node.col_offset
            end = begins[node.end_lineno - 1] + node.end_col_offset
            before = text[start:end].decode()
            found.append(Mutant(file, node.lineno, start, end, before, f"({ast.unparse(other)})"))
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end))


def drawn(count: int, seed: int) -> list[Mutant]:
    """So many mutants, drawn from all of them without repeating any."""
    everything = [mutant for file in TARGETS for mutant in mutants_of(file)]
    return random.Random(seed).sample(everything, min(count, len(everything)))


def tried(mutant: Mutant, folder: Path) -> dict[str, object]:
    """Runs the tests of a mutant in a copy of the project; gives what came of it."""
    path = folder / "tf_darts" / mutant.file
    whole = path.read_bytes()
    path.write_bytes(whole[: mutant.start] + mutant.after.encode() + whole[mutant.end :])
    tests = [f"tests/{test}" for test in TARGETS[mutant.file]]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"survived": False, "by": f"not over after {TIMEOUT:.0f} s"}
    finally:
        path.write_bytes(whole)
    if done.returncode == 0:
        return {"survived": True}
    failed = (line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    return {"survived": False, "by": next(failed, f"status {done.returncode}")}


def main() -> None:
    """Runs what is not in the output yet, and says what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    flags = parser.parse_args()
    known = flags.output.read_text().splitlines() if flags.output.exists() else []
    done = [json.loads(line) for line in known]
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as name, flags.output.open("a") as output:
        for file in names.splitlines():
            (Path(name) / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, Path(name) / file)
        for mutant in drawn(flags.count, flags.seed):
            of_it = mutant._asdict()
            if any(of_it.items() <= row.items() for row in done):
                continue
            row = of_it | tried(mutant, Path(name))
            done.append(row)
            output.write(json.dumps(row) + "\n")
            output.flush()
            print(f"{row['file']}:{row['line']}: {row['before']!r} -> {row['after']!r}:", end=" ")
            print("SURVIVED" if row["survived"] else row["by"], flush=True)
    survivors = [row for row in done if row["survived"]]
    print(f"{len(survivors)} of {len(done)} survived")


if __name__ == "__main__":
    main()
