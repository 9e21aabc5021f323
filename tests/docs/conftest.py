"""Runs the programs as a shell would (tests/cli/conftest.py)."""

from tests.cli.conftest import call  # noqa: F401
