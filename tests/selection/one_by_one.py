"""Probes scored one by one, each by a whole pass: what shared probes have to equal."""

import numpy as np

from tests.probe_masks import ProbeMasks

EDGES = [(edge, None) for edge in (2, 3, 4)]


def operations(edge, number):
    return [(edge, o) for o in range(number)]


class OneByOne:
    """Scores as the masks give them, each by a pass of its own through a supernet as it was made."""

    def __init__(self, setup):
        self._masks, batch_size = ProbeMasks(setup.bilevel.architecture), setup.probe_batch
        augment = setup.config.selection.augment_probes
        self._evaluate = setup.evaluator(setup.valid, "selection/probe", True, augment, batch_size)

    def __call__(self, cell_type, removals, pass_index):
        scores = []
        for removal in removals:
            self._masks.probe(cell_type, *removal)
            scores.append(self._evaluate(pass_index))
        self._masks.end()
        return scores


def assert_equal(scores, expected):
    assert [(s.correct, s.images) for s in scores] == [(s.correct, s.images) for s in expected]
    np.testing.assert_allclose([s.loss for s in scores], [s.loss for s in expected], rtol=1e-6)
    assert len({s.loss for s in scores}) > 1  # something was removed
