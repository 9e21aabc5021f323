"""Keras's callbacks around a training: they are told what Keras's own `fit` would tell them of epochs."""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from tf_darts.models.network import Network

# Names of the metrics as Keras has them, so that `monitor="val_loss"` finds what it looks for.
NAMES = {
    "train_loss": "loss",
    "train_accuracy": "accuracy",
    "learning_rate": "learning_rate",
    "test_loss": "val_loss",
    "test_accuracy": "val_accuracy",
}


class Callbacks:
    """Calls callbacks at the beginning and the end of the training and of every epoch.

    They are called once for each stage of the work, in the process that does it: a training that is continued
    begins anew with the epoch that it continues. Batches are not reported: many of them are one call of a
    compiled function.

    Args:
      callbacks: Keras's; their `model` is the network, whose `optimizer` is none of Keras's.
      network: what is trained.
      epochs: epochs in all.
      steps: in an epoch.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], network: Network, epochs: int, steps: int
    ):
        self._network = network
        self._epoch: int | None = None
        self._logs: dict[str, float] = {}
        network.stop_training = False
        self._all = keras.callbacks.CallbackList(
            list(callbacks), model=network, epochs=epochs, steps=steps, verbose=0
        )
        self._any = bool(callbacks)

    @property
    def stopped(self) -> bool:
        """Whether one of them has asked for the training's end, `model.stop_training`."""
        return self._network.stop_training

    def begin(self) -> None:
        """Tell that the training begins, or goes on."""
        self._all.on_train_begin()

    def in_epoch(self, epoch: int) -> None:
        """Tell that steps of this epoch come next; the first time, that it begins."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._all.on_epoch_begin(epoch)

    def epoch_ends(self, rows: Callable[[], Iterable[dict[str, float]]]) -> None:
        """Tell that the epoch's steps are done.

        Args:
          rows: returns the rows of metrics.jsonl that are about it.
        """
        if self._any:
            columns: dict[str, list[float]] = {}
            for row in rows():
                for name in NAMES.keys() & row.keys():
                    columns.setdefault(NAMES[name], []).append(row[name])
            self._logs = {name: float(np.mean(column)) for name, column in columns.items()}
        self._all.on_epoch_end(self._epoch, dict(self._logs))

    def end(self) -> None:
        """Tell that the training is over."""
        self._all.on_train_end(dict(self._logs))
