"""Progress of a selection by perturbation, in units that decisions and fine-tuning share."""

from tf_darts.runtime.progress import Progress


class SelectionProgress:
    """Progress of a selection, in batches passed forward: a step of fine-tuning costs as much as six.

    Args:
      costs: batches that the probes of each decision need.
      steps: of fine-tuning in all.
      done: decisions made before.
      step: steps done before.
    """

    STEP = 6  # two forward and two backward passes, a backward pass taken as two forward ones

    def __init__(self, costs: list[int], steps: int, done: int, step: int):
        self._costs = costs
        self._decisions, self._probed = done, 0
        self._done = sum(self._costs[:done]) + self.STEP * step
        self.progress = Progress("select", sum(self._costs) + self.STEP * steps, self._done)

    def probed(self, batches: int) -> None:
        """Count so many more batches of the next decision's probes."""
        self._probed += batches
        share = 100 * self._probed / self._costs[self._decisions]
        self.progress.update(self._done + self._probed, f"probing, {share:.0f} % of the decision's batches")

    def decided(self) -> None:
        """Count the decision as made, perhaps with fewer batches than planned."""
        self._done += self._costs[self._decisions]
        self._decisions, self._probed = self._decisions + 1, 0

    def finetuned(self, steps: int, text: str) -> None:
        """Count so many more steps of fine-tuning."""
        self._done += self.STEP * steps
        self.progress.update(self._done, text)
