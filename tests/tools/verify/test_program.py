"""The program bin/verify."""

import numpy as np
import pytest

from tests.tools.verify.made import network_reference, save
from tf_darts import spaces
from tf_darts.cli import verify as cli
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.runtime import process


@pytest.fixture
def flags(monkeypatch):
    def set_to(files, names, precision="float32"):
        monkeypatch.setattr(cli, "_FILE", type("Flag", (), {"value": files}))
        monkeypatch.setattr(cli, "_SPACE", type("Flag", (), {"value": names}))
        monkeypatch.setattr(cli, "_PRECISION", type("Flag", (), {"value": precision}))

    return set_to


def test_the_program_says_whether_all_agrees(tmp_path, flags, capsys):
    space = spaces.get("nas_bench_201")
    genotype = genotype_lib.from_text(
        "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|none~2|", space
    )
    network = network_reference(space, genotype, 2, 1, 4)
    right = save(tmp_path, network)
    flags([right], ["nas_bench_201"])
    assert cli.program() == 0
    output = capsys.readouterr().out
    assert output.count("quantity") == 1 and "BEYOND" not in output
    assert output.splitlines()[-1].startswith("agrees: all ") and "not known" not in output

    (tmp_path / "other").mkdir()
    wrong = save(
        tmp_path / "other", {**network, "train_loss": network["train_loss"] + 0.1, "loss": np.zeros(1)}
    )
    flags([wrong, right], ["nas_bench_201"])
    assert cli.program() == 1
    output = capsys.readouterr().out
    assert output.count("quantity") == 2 and "BEYOND" in output and "train_loss" in output
    assert "not known, and so not compared: 'loss'\n" in output
    assert output.splitlines()[-1].startswith("differs: 1 of ")

    flags([right], ["nas_bench_201"], "float64")
    with process.floats("float32"), pytest.raises(UserError, match="train_logits of .* is float32; allowed"):
        cli.program()


def test_an_error_names_the_file_of_several_before_any_is_computed(tmp_path, flags, small, never_computed):
    right = save(tmp_path, small)
    (tmp_path / "other").mkdir()
    wrong = save(tmp_path / "other", {k: v for k, v in small.items() if k != "x_train"})
    flags([right, wrong], ["nas_bench_201"])
    with pytest.raises(UserError, match=r"^'.*other/reference.npz': file: the array 'x_train' is missing$"):
        cli.program()
    flags([wrong], ["nas_bench_201"])
    with pytest.raises(UserError, match="^file: the array 'x_train' is missing$"):
        cli.program()
    flags([right, "a.npz"], ["nas_bench_201"])
    with pytest.raises(UserError, match=r"^file: 'a.npz' cannot be read"):  # it is named already
        cli.program()


@pytest.mark.parametrize(
    ("files", "names", "message"),
    [
        ([], ["darts"], "--file: missing"),
        (["a.npz"], [], "--space: given 0 times"),
        (["a.npz"], ["darts", "s1"], "--space: given 2 times for 1 files"),
        (["a.npz"], ["dart"], "space: 'dart' is not known; allowed: darts"),
        (["a.npz"], ["darts"], "'a.npz' cannot be read"),
    ],
)
def test_what_the_program_refuses(flags, files, names, message):
    flags(files, names)
    with pytest.raises(UserError, match=message):
        cli.program()
