"""What the tests of native kernels have in common: they are skipped where there are none."""

import pytest

from tf_darts.native import library
from tf_darts.native.build import BuildError


def or_skip():
    """Skips a test on a machine that cannot have the kernels."""
    try:
        library.operations()
    except BuildError as error:
        pytest.skip(f"no native kernels here: {error}")


def set_threads(count):
    """Let at most `count` threads work at a time, the calling ones included."""
    library._loaded()[1].tf_darts_set_threads(count)
