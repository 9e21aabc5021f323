"""Every block of README.md and docs/ is known, and every command in them is one that its program takes."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from tests.docs import commands, coverage, pages, shortening
from tests.docs.coverage import COVERAGE, Checked, FromPage, Shows
from tests.docs.pages import ROOT
from tf_darts.runtime import cluster

BLOCKS = pages.all_blocks()
SHELL = [block for block in BLOCKS if block.language in ("bash", "indented")]
INLINE = [
    (path.name, " ".join(text.split()))
    for path in pages.PAGES
    for text in re.findall(r"`(bin/\w+ --[^`]*)`", pages.without_blocks(path))
]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    return commands.Recorder(tmp_path_factory.mktemp("recorder"))


@pytest.fixture(scope="module")
def error_of():
    """What is wrong with a command of one of our programs; one process for all commands."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.docs.flags"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def error_of(program, arguments):
        server.stdin.write(json.dumps({"program": program, "arguments": arguments}) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    yield error_of
    server.stdin.close()
    server.wait(timeout=30)
    server.stdout.close()


def test_every_block_is_known_and_no_other():
    used = {(block.page, coverage.of(block)[0]) for block in BLOCKS}
    assert used == {(page, start) for page, entries in COVERAGE.items() for start in entries}


def test_what_reads_a_block_from_its_page_names_the_page_and_other_tests_are_there():
    for page, entries in COVERAGE.items():
        for covered in entries.values():
            if isinstance(covered, FromPage):
                assert page in (ROOT / covered.test).read_text(), covered
            for test in re.findall(r"tests/\S+\.py", str(covered)):
                assert (ROOT / test).exists(), covered


def test_blocks_are_of_the_languages_that_are_checked():
    for block in BLOCKS:
        shown = isinstance(coverage.of(block)[1], Shows)
        assert shown == (block.language in ("", "text")), block.name
        if block.language == "python":
            compile(block.text, block.name, "exec")


@pytest.mark.parametrize("block", SHELL, ids=[block.name[:60] for block in SHELL])
def test_the_programs_of_a_block_take_its_commands(recorder, error_of, block):
    covered = coverage.of(block)[1]
    before = covered.before if isinstance(covered, Checked) else ""
    found = recorder.commands(before + block.text)
    assert found
    for command in found:
        if command.module:
            assert error_of(command.module, command.arguments) == "", command
        elif command.program == "bin/cloud_tpu" and command.arguments[0] in ("run", "keep"):
            program, *arguments = command.arguments[1:]
            assert error_of(program, [*arguments, "--workdir=w", "--tpu=local"]) == "", command
        else:
            others(command)
        if command.cluster:
            assert cluster.of_environment({"TF_CONFIG": command.cluster}).index == 0


def others(command):
    """Checks a command that is no program of tf_darts.cli."""
    if command.program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert command.arguments[:2] == ("install", "-e")
        assert command.arguments[2] in [f".[{extra}]" for extra in project["optional-dependencies"]]
    elif command.program == "bin/cloud_tpu":
        assert f"{command.arguments[0]}() {{" in (ROOT / "bin" / "cloud_tpu").read_text()
    elif command.arguments[:1] == ("-m",) and command.arguments[1].startswith("tests."):
        source = (ROOT / f"{command.arguments[1].replace('.', '/')}.py").read_text()
        for flag in command.arguments[2:]:
            assert f'add_argument("{flag.partition("=")[0]}"' in source
    elif command.arguments[:1] != ("-m",):
        for argument in command.arguments:  # files of the repository
            assert not argument.endswith(".py") or (ROOT / argument).exists()


@pytest.mark.parametrize(("page", "text"), INLINE)
def test_a_command_within_the_text_is_one_that_its_program_takes(recorder, error_of, page, text):
    (command,) = recorder.commands(re.sub(r"=\.\.\.", "=x", text))
    if command.module:
        own = [a for a in command.arguments if a != "--config=my_space.py"]  # it is on the page
        error = error_of(command.module, own)
        assert not error or error.startswith("error: Missing value for flag"), f"{page}: {text}"


def strangers(text):
    """Python files and folders that a text names, in backticks, and that are not in the repository.

    A file may be named without the folders around it. FILE.py, cli/NAME.py and my_criteria.py are not meant.
    """
    folders = ("bin", "configs", "docs", "examples", "tests", "tf_darts")
    there = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*")}
    there |= {path.relative_to(ROOT) for path in ROOT.iterdir()}
    endings = {"/".join(path.parts[i:]) for path in there for i in range(len(path.parts))}
    named = re.findall(rf"`((?:\w+/)*\w+\.py|(?:{'|'.join(folders)})/(?:\w+/)*)`", text)
    return [name for name in named if name.rstrip("/") not in endings and not re.search(r"[A-Z]|\bmy_", name)]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda path: path.name)
def test_files_that_a_page_names_are_there(page):
    assert strangers(pages.without_blocks(page)) == []


def test_a_file_that_is_not_there_is_found():
    text = "`tf_darts/config.py`, `fields.py`, `tests/nowhere/`, `tf_darts/search/`, `my_space.py`, `FILE.py`"
    assert strangers(text) == ["tf_darts/config.py", "tests/nowhere/"]


def test_a_wrong_flag_a_wrong_field_and_a_wrong_value_are_found(error_of):
    quickstart = "--config=configs/quickstart.py"
    assert error_of("search", [quickstart, "--workdir=w"]) == ""
    assert "workdirs" in error_of("search", [quickstart, "--workdirs=w"])
    assert "search.epoch" in error_of("search", [quickstart, "--config.search.epoch=3"])
    assert "search.epochs is 0" in error_of("search", [quickstart, "--config.search.epochs=0"])
    assert "no such file" in error_of("search", ["--config=configs/quick.py"])
    assert "selection.method" in error_of("select", [quickstart, "--method=guess"])


def test_what_is_run_is_shortened(recorder):
    run = [pair for page in pages.PAGES for pair in shortening.run_blocks(page)]
    named = set()
    for block, more in run:
        for command in recorder.commands(block.text):
            shortening.shortened(command, more)  # a config without its shortening is a KeyError here
            named |= {a.partition("=")[2].partition(":")[0] for a in command.arguments if "--config=" in a}
    assert named == set(shortening.SHORT)
