"""The kernels under sanitizers: of addresses and undefined behaviour, on each level, and of threads."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.native import kernels
from tf_darts.native import build

LEVELS = list(build.LEVELS)


def compiled(folder, level, program, *options):
    """A program of this folder with the kernels, as a command."""
    path = folder / "program"
    kept = [flag for flag in build.flags(level) if flag not in ("-shared", "-O3")]
    # All but the operations, which are TensorFlow's.
    sources = sorted(set(build.SOURCES.glob("*.cpp")) - {build.SOURCES / "operations.cpp"})
    arguments = [
        *(build._compiler(), *kept, *options, f"-I{build.SOURCES}"),
        *(str(file) for file in (Path(__file__).with_name(program), *sources)),
        *("-o", str(path)),
    ]
    subprocess.run(arguments, check=True)
    return [str(path)]


def ran(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_kernels_under_sanitizers(tmp_path, level):
    kernels.or_skip()
    if LEVELS.index(level) < LEVELS.index(build.level()):
        pytest.skip("this processor has less")
    options = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    done = ran(compiled(tmp_path, level, "sanitize.cpp", *options))
    assert done == (0, "96 edges, 180 inputs of cells\n", "")
    assert ran(compiled(tmp_path, level, "threads.cpp", *options)) == (0, "30\n", "")


@pytest.mark.slow
def test_threads_under_their_sanitizer(tmp_path):
    kernels.or_skip()
    command = compiled(tmp_path, build.level(), "threads.cpp", "-O1", "-g", "-fsanitize=thread")
    # Some systems put memory where this sanitizer does not expect it.
    fixed = [setarch, "--addr-no-randomize"] if (setarch := shutil.which("setarch")) else []
    assert ran([*fixed, *command]) == (0, "30\n", "")
