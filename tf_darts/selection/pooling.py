"""Probes of several supernets of one space, judged by what a removal costs in all of them together.

Supernets of different seeds disagree about edges whose operations can stand in for each other: which of two
took over the work is chance. What is removed from all of them is missed for what it is worth in the mean.
"""

import functools
from collections.abc import Callable, Sequence

from tf_darts.evaluation import Score
from tf_darts.selection.probing import Prober, Removal, Seen


class PooledProber:
    """Scores each removal in every one of several supernets, over the images of all of them together.

    Args:
      probers: of the supernets, in the order of their images.
    """

    def __init__(self, probers: Sequence[Prober]):
        self._probers = list(probers)

    def score(
        self,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        race: None = None,
        each_call: Callable[[int], None] = lambda batches: None,
    ) -> list[Score]:
        """As `Prober.score`; there is no racing."""
        return [seen.score() for seen in self._seen(cell_type, removals, pass_index, race, each_call)]

    def score_beside_whole(
        self,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        race: None = None,
        each_call: Callable[[int], None] = lambda batches: None,
    ) -> tuple[list[Seen], Seen]:
        """As `Prober.score_beside_whole`; there is no racing."""
        *seen, whole = self._seen(cell_type, removals, pass_index, race, each_call, beside_whole=True)
        return seen, whole

    def _seen(self, *arguments, **keywords) -> list[Seen]:
        one_by_one = [prober.seen(*arguments, **keywords) for prober in self._probers]
        return [functools.reduce(Seen.together, same) for same in zip(*one_by_one, strict=True)]
