"""Warnings about a stage's results: printed once, and kept beside them in `warnings.json`."""

import pathlib
import sys
from collections.abc import Mapping

from tf_darts.workdir.records import write_json

NAME = "warnings.json"


class Warnings:
    """Those of one stage.

    Args:
      stage: what printed lines begin with.
    """

    def __init__(self, stage: str):
        self._stage = stage
        self._said: set[str] = set()

    def say(self, found: Mapping[str, str]) -> None:
        """Print those of a kind that was not printed before.

        Args:
          found: texts by kind.
        """
        for kind, text in found.items():
            if kind not in self._said:
                self._said.add(kind)
                print(f"{self._stage}: warning: {text}", file=sys.stderr, flush=True)

    def keep(self, folder: pathlib.Path, found: Mapping[str, str]) -> None:
        """Print as `say` at the end of the stage; what holds there is written too."""
        self.say(found)
        if found:
            write_json(folder / NAME, {"warnings": dict(found)})
