"""Racing: a probe is broken off once it can hardly be the one that the decision turns on.

Every probe of a decision sees the same images, so that two of them are compared image by image. After each
call from the host the probes that the leader beats significantly leave the race. The error is shared out over
all comparisons that a decision can make (Bonferroni), so that with the configured confidence no probe leaves
that a full pass over as many independent images as one likes would have chosen.
"""

import dataclasses

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Race:
    """The rule of a race.

    Attributes:
      criterion: "accuracy" or "loss", what probes are judged by.
      most_important: whether the removal that hurts most is sought (an operation to keep), or the one that
        hurts least (an edge to drop).
      confidence: that no probe leaves wrongly in the whole decision, in (0, 1).
      entrants: probes at the start.
      refused: those of them that are only measured: they neither lead nor win.
    """

    criterion: str
    most_important: bool
    confidence: float
    entrants: int
    refused: frozenset[int] = frozenset()

    def left_in(self, values: dict[int, np.ndarray], looks: int) -> list[int]:
        """Return who stays in the race.

        Args:
          values: for every probe still in the race, its value per image: 1 or 0 (correct or not), or the
            loss; float [images].
          looks: how often this is asked in a full pass.

        Returns:
          Keys of `values`, in their order; a race that only one can win is over, so that then nobody stays.
        """
        # Of importance: removal hurts where images become wrong or losses large.
        sign = (-1.0 if self.criterion == "accuracy" else 1.0) * (1.0 if self.most_important else -1.0)
        means = {i: sign * float(v.mean(dtype=np.float64)) for i, v in values.items()}
        leader = max((i for i in means if i not in self.refused), key=lambda i: means[i])
        allowed = (1.0 - self.confidence) / (max(looks, 1) * max(self.entrants - 1, 1))
        stay = [
            i
            for i, v in values.items()
            if i == leader or not self._chance(sign * (values[leader] - v).astype(np.float64)) <= allowed
        ]
        return stay if len(set(stay) - self.refused) > 1 else []

    def _chance(self, lead: np.ndarray) -> float:
        """Chance of such a lead where there is none: exact for hits (McNemar), t-test for losses."""
        if self.criterion == "accuracy":
            won, lost = int((lead > 0).sum()), int((lead < 0).sum())
            return (
                float(stats.binomtest(won, won + lost, alternative="greater").pvalue) if won + lost else 1.0
            )
        if len(lead) < 2 or not lead.std():
            return 1.0
        return float(stats.ttest_1samp(lead, 0.0, alternative="greater").pvalue)
