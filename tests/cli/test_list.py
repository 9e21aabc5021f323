"""bin/list: every row with its figures and commands, and other configs; the page made of it is current."""

import re
import shlex
from pathlib import Path

import pytest

from tf_darts import paper
from tf_darts.config import files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def printed(call, tmp_path):
    def printed(*arguments):
        ended = call("list", *arguments, cwd=tmp_path)
        assert ended.status == 0 and not ended.err, ended
        return ended.out

    return printed


def test_every_row_with_its_figures_and_commands(printed):
    blocks = {block.partition(":")[0]: block for block in printed().split("\n\n")}
    for name, row in paper.ROWS.items():
        block = blocks[name]
        for figure in row.figures:
            assert f"    {figure.source}: {figure.what} {figure}" in block
        assert [line.strip() for line in block.splitlines() if " bin/" in line] == list(row.commands())
        assert ("no published figure" in block) == (not row.figures)
    for path in (ROOT / "configs").glob("*.py"):
        assert path.stem == "paper" or f"configs/{path.name}" in blocks


def test_commands_are_of_programs_and_flags_that_there_are(printed):
    for line in re.findall(r"^    (bin/.*)", printed().replace("\\\n", " "), re.M):
        program, *arguments = shlex.split(line)
        assert (ROOT / program).is_file()
        for argument in arguments:
            flag, _, value = argument.partition("=")
            if flag == "--config":
                file, _, row = value.partition(":")
                assert (ROOT / file).is_file()
                if row and "paper" not in file:
                    files.load(Path(file).stem, row)
                else:
                    assert not row or row in paper.ROWS or row == "$ROWS"


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        (["--table=3"], 36),
        (["--table=3", "--space=s2"], 9),
        (["--table=3", "--space=s2", "--dataset=svhn"], 3),
        (["--table=2", "--method=darts_pt"], 1),
        (["--table=4", "--space=nas_bench_201"], 3),
    ],
)
def test_filters(printed, flags, count):
    names = re.findall(r"^(\w+): ", printed(*flags), re.M)
    assert len(names) == count == len(set(names)) and set(names) <= set(paper.ROWS)
    for flag in flags:
        if not flag.startswith("--table"):
            assert all(flag.partition("=")[2] in name for name in names)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--space=s9"], "--space=s9: value should be one of <darts|s1|"),
        (["--table=2", "--space=s1"], "--table=2 --space=s1: the paper has no such row"),
        (["--config.seed=1"], "--config.seed: bin/list has no config"),
        (["s1"], "'s1' is not a flag"),
    ],
)
def test_bad_flags(call, tmp_path, flags, message):
    ended = call("list", *flags, cwd=tmp_path)
    assert ended.status == 2 and ended.err.startswith("error: ") and message in ended.err


def test_a_bad_row_is_one_line(call, tmp_path):
    config = f"--config={ROOT / 'configs' / 'paper.py'}:s1_cifar10_darts_tp"
    ended = call("search", config, "--workdir=run", cwd=tmp_path)
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert "ROW is 's1_cifar10_darts_tp'; did you mean s1_cifar10_darts_pt" in ended.err


def test_the_page_has_the_current_table(printed):
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    assert printed("--markdown") in page  # made anew by: bin/list --markdown
