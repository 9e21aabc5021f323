"""Curvature in alpha at the end of a search: known matrices, whole spectra and both ends of them."""

import json

import numpy as np
import pytest

from tests.analysis import made
from tests.search import tiny
from tf_darts.analysis import hessian
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.records import read_json

# Symmetric, of known eigenvalues: Q diag(...) Q^T, one matrix a batch.
SPECTRA = [[-2.0, -0.5, 0.0, 0.1, 1.0, 3.0], [-1.0, 0.0, 0.0, 0.0, 0.5, 7.0]]


def known():
    draw = np.random.default_rng(0)
    matrices = []
    for values in SPECTRA:
        q, _ = np.linalg.qr(draw.normal(size=(6, 6)))
        matrices.append(q @ np.diag(values) @ q.T)
    return matrices


@pytest.fixture
def workdir(tmp_path):
    setup = tiny.setup(tiny.config())
    Checkpoints(tmp_path / "search", 0.0, ("step",), **setup.state()).save(step=1)
    rows = [{"finished_epoch": 0, "step": 3, "hessian/largest_eigenvalue": 0.5}]
    (tmp_path / "search" / "metrics.jsonl").write_text(json.dumps(rows[0]) + "\n")
    return tmp_path


def analysed(workdir, monkeypatch, matrices, **fields):
    products = []

    def product(vector, batch=0):
        products.append(batch)
        return matrices[batch] @ vector

    monkeypatch.setattr(hessian, "hessian_times", lambda setup: product)
    study = made.study("hessian", workdir, analysis__batches=len(matrices), **fields)
    text = hessian.run(study)
    return text, read_json(study.folder / "result.json"), products, study.folder


def test_the_whole_spectrum_of_known_matrices(workdir, monkeypatch):
    matrices = known()
    text, result, _, folder = analysed(workdir, monkeypatch, matrices)
    assert result["entries"] == 6 and result["batches"] == 2
    assert result["largest_by_batch"] == pytest.approx([3.0, 7.0])
    assert result["smallest_by_batch"] == pytest.approx([-2.0, -1.0])
    mean = np.linalg.eigvalsh(sum(matrices) / 2)
    np.testing.assert_allclose(result["spectrum"], mean, atol=1e-12)
    assert (result["smallest"], result["largest"]) == pytest.approx((mean[0], mean[-1]))
    assert result["recorded"] == [{"epoch": 0, "largest": 0.5}]
    assert "0.5 after epoch 1" in text and f"{mean[-1]:.4g} (by batch: 3, 7)" in text
    assert (folder / "hessian.png").read_bytes().startswith(b"\x89PNG")


def test_both_ends_where_the_spectrum_is_too_long(workdir, monkeypatch):
    matrices = known()
    _, result, _, _ = analysed(workdir, monkeypatch, matrices, analysis__spectrum_entries=5)
    assert result["spectrum"] is None
    mean = np.linalg.eigvalsh(sum(matrices) / 2)
    assert result["largest_by_batch"] == pytest.approx([3.0, 7.0], rel=2e-3)
    assert result["smallest_by_batch"] == pytest.approx([-2.0, -1.0], rel=2e-3)
    assert (result["smallest"], result["largest"]) == pytest.approx((mean[0], mean[-1]), rel=2e-3)


@pytest.mark.parametrize("entries", [5, 100])
def test_without_curvature_all_is_zero(workdir, monkeypatch, entries):
    matrices = [np.zeros([6, 6])] * 2
    text, result, _, _ = analysed(workdir, monkeypatch, matrices, analysis__spectrum_entries=entries)
    assert (result["largest"], result["smallest"]) == (0.0, 0.0)
    assert result["largest_by_batch"] == result["smallest_by_batch"] == [0.0, 0.0]
    assert "nan" not in text


@pytest.mark.parametrize("entries", [5, 100])
def test_more_batches_are_added_to_those_there(workdir, monkeypatch, entries):
    matrices = known()
    fields = {"analysis__spectrum_entries": entries}
    analysed(workdir, monkeypatch, matrices[:1], **fields)
    _, result, products, _ = analysed(workdir, monkeypatch, matrices, **fields)
    assert result["largest_by_batch"] == pytest.approx([3.0, 7.0], rel=2e-3)
    if entries == 100:
        assert set(products) == {1}  # a matrix of its own, once measured, is not again
    assert analysed(workdir, monkeypatch, matrices, **fields)[2] == []


def test_of_the_real_supernet_edges_have_a_direction_without_curvature(workdir):
    study = made.study("hessian", workdir, analysis__batches=1)
    hessian.run(study)
    result = read_json(study.folder / "result.json")
    spectrum = np.array(result["spectrum"])
    # A constant added to a row changes nothing: three edges, three zeros.
    assert (abs(spectrum) < 1e-4 * abs(spectrum).max()).sum() >= 3 and abs(spectrum).max() > 0
