"""Probes of several supernets of one space, judged by what a removal costs in all of them together.

Supernets of different seeds disagree about edges whose operations can stand in for each other: which of two
took over the work is chance. What is removed from all of them is missed for what it is worth on average.
"""

import functools
from collections.abc import Sequence
from typing import Any

from tf_darts.selection.measurer import Measures
from tf_darts.selection.probe import Scorer, Seen


class PooledProber(Scorer):
    """Scores each removal in every one of several supernets, over the images of all of them together.

    There is no racing: a race looks at one supernet's pass.

    Args:
      probers: of the supernets, in the order of their images.
    """

    def __init__(self, probers: Sequence[Scorer]):
        self._probers = list(probers)

    def measure(self, *arguments: Any, **keywords: Any) -> Measures:
        """Return what a criterion says on average over the images of all supernets."""
        one_by_one = [prober.measure(*arguments, **keywords) for prober in self._probers]
        return functools.reduce(Measures.together, one_by_one)

    def seen(self, *arguments: Any, **keywords: Any) -> list[Seen]:
        """Return what `Prober.seen` returns, of all supernets together."""
        one_by_one = [prober.seen(*arguments, **keywords) for prober in self._probers]
        return [functools.reduce(Seen.together, same) for same in zip(*one_by_one, strict=True)]
