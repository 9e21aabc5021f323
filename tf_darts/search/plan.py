"""The epochs of a search: data, fixed by the config, the method and the size of the training half."""

import dataclasses
import math

from tf_darts.search.methods.method import Method


@dataclasses.dataclass(frozen=True)
class Epoch:
    """An epoch of the search.

    Attributes:
      first: number of its first step.
      steps: how many it has.
      batch: images in a global batch of either half.
      last_batch: images in the global training batch of its last step: fewer where passes end short.
      trains_alpha: whether alpha is trained in it.
    """

    first: int
    steps: int
    batch: int
    last_batch: int
    trains_alpha: bool

    @property
    def end(self) -> int:
        """Number of steps that are done after it."""
        return self.first + self.steps


def plan(method: Method, images: int, replicas: int) -> list[Epoch]:
    """Return all epochs of a search.

    Args:
      method: the search method.
      images: in the training half.
      replicas: that share a batch; where passes end short, images that do not divide among them are left out.
    """
    search, epochs, first = method.config.search, [], 0
    for number in range(method.epochs):
        batch = method.batch_size(number)
        rest = images % batch - (images % batch) % replicas
        if method.whole_passes:
            steps, last_batch = images // batch + (1 if rest else 0), rest or batch
        else:
            steps, last_batch = math.ceil(images / batch), batch
        epochs.append(Epoch(first, steps, batch, last_batch, number >= search.alpha_warmup_epochs))
        first += steps
    return epochs
