"""Progress of a selection by perturbation, in units that decisions and fine-tuning share."""

from collections.abc import Sequence

from tf_darts.runtime.progress import Progress


class SelectionProgress:
    """Progress of a selection, in batches that the whole supernet passes forward.

    Args:
      batches: that the probes of each decision need, at most.
      costs: of such a batch, in each decision.
      steps: what each step of fine-tuning costs.
      done: decisions made before.
      step: steps done before.
    """

    STEP = 3  # what a step costs: a forward pass and a backward one, which is taken as two forward ones

    def __init__(
        self, batches: Sequence[int], costs: Sequence[float], steps: Sequence[float], done: int, step: int
    ):
        self._batches, self._costs, self._steps = batches, costs, steps
        self._decisions, self._probed, self._step = done, 0, step
        probes = [count * cost for count, cost in zip(batches, costs, strict=True)]
        self._done = sum(probes[:done]) + sum(steps[:step])
        self.progress = Progress("select", round(sum(probes) + sum(steps)), round(self._done))

    def probed(self, batches: int) -> None:
        """Count so many more batches of the next decision's probes."""
        self._probed += batches
        share = 100 * self._probed / self._batches[self._decisions]
        done = self._done + self._probed * self._costs[self._decisions]
        self.progress.update(round(done), f"probing, {share:.0f} % of the decision's batches")

    def decided(self) -> None:
        """Count the decision as made, perhaps with fewer batches than planned."""
        self._done += self._batches[self._decisions] * self._costs[self._decisions]
        self._decisions, self._probed = self._decisions + 1, 0

    def finetuned(self, steps: int, text: str) -> None:
        """Count so many more steps of fine-tuning."""
        self._done += sum(self._steps[self._step : self._step + steps])
        self._step += steps
        self.progress.update(round(self._done), text)
