"""Probes scored one by one, each by a whole pass: what shared probes have to equal."""

import numpy as np

EDGES = [(edge, None) for edge in (2, 3, 4)]


def operations(edge, number):
    return [(edge, o) for o in range(number)]


def one_by_one(setup, cell_type, removals, pass_index):
    """Scores as the masks give them, each by a pass of its own."""
    architecture, scores = setup.bilevel.architecture, []
    augment, batch_size = setup.config.selection.augment_probes, setup.probe_batch
    evaluate = setup.evaluator(setup.valid, "selection/probe", True, augment, batch_size)
    for removal in removals:
        architecture.probe(cell_type, *removal)
        scores.append(evaluate(pass_index))
    architecture.end_probe()
    return scores


def assert_equal(scores, expected):
    assert [(s.correct, s.images) for s in scores] == [(s.correct, s.images) for s in expected]
    np.testing.assert_allclose([s.loss for s in scores], [s.loss for s in expected], rtol=1e-6)
    assert len({s.loss for s in scores}) > 1  # something was removed
