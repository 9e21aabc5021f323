"""Runs the programs as a shell would, many times, at the cost of importing TensorFlow once."""

import pytest

from tests.forking import Programs


@pytest.fixture(scope="session")
def call():
    """`call(program, *arguments, cwd=folder)` runs a program and gives what came of it."""
    programs = Programs()
    yield programs.call
    programs.close()
