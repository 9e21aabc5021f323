"""Runs the programs as a shell would."""

import pytest


@pytest.fixture(scope="session")
def call(programs):
    """`call(program, *arguments, cwd=folder)` runs a program and gives what came of it."""
    return programs.call
