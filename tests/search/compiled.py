"""Set-ups whose steps XLA compiles."""

from tests.search import tiny
from tf_darts.runtime import xla


def one_device():
    """One CPU, whose steps XLA compiles."""
    strategy = tiny.one_device()
    xla.compile_steps(strategy)
    return strategy
