"""The kernels under the compiler's sanitizers, of addresses and of undefined behaviour, and on each level."""

import subprocess
from pathlib import Path

import pytest

from tests.native import kernels
from tf_darts.native import build

LEVELS = list(build.LEVELS)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_kernels_under_sanitizers(tmp_path, level):
    kernels.or_skip()
    if LEVELS.index(level) < LEVELS.index(build.level()):
        pytest.skip("this processor has less")
    program = tmp_path / "sanitize"
    options = [flag for flag in build.flags(level) if flag not in ("-shared", "-O3")]
    arguments = [
        *(build._compiler(), *options, "-O1", "-g", "-fsanitize=address,undefined"),
        *("-fno-sanitize-recover=all", f"-I{build.SOURCES}"),
        *(str(Path(__file__).with_name("sanitize.cpp")), str(build.SOURCES / "edge.cpp")),
        *("-o", str(program)),
    ]
    subprocess.run(arguments, check=True)
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "96 edges\n"), ran.stdout + ran.stderr
