"""Shapley-NAS: values of operations move alpha between epochs, no gradient does (Xiao et al., CVPR 2022).

In an epoch only the weights are fitted. After a share of the epochs (`shapley.warmup`), and then between
each two, the Shapley values of all open operations are estimated as `selection.shapley` does, on validation
images. A value is the mean less the standard deviation over the orders of removal, standardised over all
operations of the cell type. A running mean of it moves alpha:

    mean = momentum * mean + (1 - momentum) * value
    alpha = alpha + step_size * mean
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.config.checks import last_epoch_field
from tf_darts.data.image_data import ImageData
from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture
from tf_darts.search.bilevel import Bilevel
from tf_darts.search.methods.method import Method
from tf_darts.search.setup import SearchSetup
from tf_darts.selection import shapley
from tf_darts.selection.shapley import Game, Player
from tf_darts.workdir.decisions import PermutationRow

PURPOSE = "search/shapley"


class ShapleyState(tf.Module):
    """The running means of the values, float [edges, operations], by cell type."""

    def __init__(self, architecture: Architecture):
        super().__init__(name="shapley")
        self.means = {
            t: tf.Variable(tf.zeros_like(alpha), trainable=False, name=f"shapley/{t}")
            for t, alpha in architecture.alpha.items()
        }


class ShapleySearch(Method):
    """Steps of the weights alone, and moves of alpha between epochs."""

    alpha_metrics = ()
    state: ShapleyState
    _game: Game | None = None

    def begin(self, bilevel: Bilevel) -> None:
        super().begin(bilevel)
        self.state = ShapleyState(bilevel.architecture)

    def part_states(self) -> dict[str, tf.Module]:
        return {**super().part_states(), "shapley": self.state}

    @property
    def first(self) -> int:
        """Epochs before alpha moves for the first time: at least one."""
        return max(int(self.config.shapley.warmup * self.config.search.epochs + 1e-9), 1)

    def check(self, data: ImageData | None = None) -> None:
        search, settings = self.config.search, self.config.shapley
        if search.alpha_warmup_epochs:
            raise UserError(
                f"config: search.alpha_warmup_epochs is {search.alpha_warmup_epochs} with search.method"
                f" {search.method!r}; allowed: 0, as shapley.warmup says when alpha moves"
            )
        if self.first >= self.epochs:
            field = last_epoch_field(search)
            raise UserError(
                f"config: search.{field} is {self.epochs} with search.method {search.method!r}; allowed: at"
                f" least {self.first + 1}, as alpha moves after epoch {self.first} for the first time"
                f" (shapley.warmup is {settings.warmup})"
            )
        if self.weighs_edges:
            raise UserError(
                f"config: search.parts is {search.parts!r} with search.method {search.method!r}; allowed:"
                " parts without alpha of edges, which nothing would move"
            )

    def decide(
        self, setup: SearchSetup, epoch: int, epochs: list[dict]
    ) -> Sequence[PermutationRow | Mapping[str, Any]]:
        """Move alpha, if the epoch is neither of the warm-up nor the last; decide nothing.

        Returns:
          A row for each order of removal.
        """
        if not self.first <= epoch + 1 < self.epochs:
            return []
        settings, architecture = self.config.shapley, setup.bilevel.architecture
        if self._game is None:  # traced once: nothing is decided on the way
            self._game = Game(setup, setup.valid, settings.batch_size, augment=True, purpose=PURPOSE)
        players = shapley.players_of(setup)
        rows = []
        for place in range(settings.permutations):
            number = epoch * settings.permutations + place
            order = shapley.drawn_order(players, self.config.seed, PURPOSE, number)
            row = shapley.one_order(setup, self._game, order, number, settings.truncation)
            rows.append(dataclasses.replace(row, epoch=epoch))
        for cell_type, values in standardised(rows, players).items():
            mean = self.state.means[cell_type]
            kept = settings.momentum * mean.numpy() + (1.0 - settings.momentum) * values
            mean.assign(kept)
            moved = architecture.alpha[cell_type].numpy() + settings.step_size * kept
            architecture.alpha[cell_type].assign(moved)
        return rows


def standardised(rows: Sequence[PermutationRow], players: Sequence[Player]) -> dict[str, np.ndarray]:
    """Return values with mean 0 and standard deviation 1 over the players of each cell type that has some.

    The deviation has one degree of freedom less, as in the authors' code. Where all values of a cell type are
    equal they are 0.

    Args:
      rows: of the orders.
      players: all of them.

    Returns:
      Float [edges, operations] by cell type; 0 where there is no player.
    """
    mean, deviation = shapley.values_of(rows)
    found = {}
    for cell_type in dict.fromkeys(t for t, _, _ in players):
        there = shapley.places_of(players, cell_type, mean[cell_type].shape)
        values = (mean[cell_type] - deviation[cell_type])[there]
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        scaled = np.zeros(there.shape, keras.config.floatx())
        if spread > 0.0:
            scaled[there] = (values - values.mean()) / spread
        found[cell_type] = scaled
    return found
