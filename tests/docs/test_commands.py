"""The commands of the pages, run in their order with their settings shortened: `Runs` in coverage.py."""

import fnmatch
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.docs import commands, pages
from tests.docs.pages import ROOT
from tests.docs.shortening import QUICK, run_blocks, shortened
from tests.nas_bench.made import table_text
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.nas_bench import table_file
from tf_darts.search import supernet_file
from tf_darts.search.bilevel import Bilevel

pytestmark = pytest.mark.slow

PAGES = [page for page in pages.PAGES if run_blocks(page)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose .venv is up to date: this Python by another name, and its requirements' stamp."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tf_darts", "configs", "requirements.txt"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "bin", folder / "bin")
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    (folder / ".venv" / ".stamp-requirements.txt").write_text(f"{platform.python_version()} {digest}\n")
    return folder


def script(folder, *command, **settings):
    """What a script of bin/ prints in a checkout."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | settings
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def quickstart(checkout):
    """What bin/quickstart prints; its work directory is runs/quickstart in the checkout."""
    return script(checkout, "bin/quickstart", *QUICK)


@pytest.fixture(scope="module")
def ground(call, checkout, quickstart, tmp_path_factory):
    """A folder with what the pages take for granted: work directories, data, a table, a supernet, images."""
    folder = tmp_path_factory.mktemp("ground")
    for name in ("quickstart", "mine", "darts-0"):
        shutil.copytree(checkout / "runs" / "quickstart", folder / "runs" / name)
    other = ("--config=configs/quickstart.py", *QUICK, "--config.search.method=gdas", "--workdir=runs/gdas-0")
    for program in ("search", "select"):
        ended = call(program, *other, cwd=folder)
        assert ended.status == 0, ended.err
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(256, size=(96, 32, 32, 3)),  # halves that SGAS' growing batches fit in
        "x_test": rng.integers(256, size=(32, 32, 32, 3)),
    }
    labels = {"y_train": np.arange(96) % 10, "y_test": np.arange(32) % 10}
    np.savez(folder / "CIFAR10.npz", **{n: a.astype(np.uint8) for n, a in arrays.items()}, **labels)
    table_file.write(folder / "nb201.csv.gz", table_text())
    supernet = Supernet(spaces.get("nas_bench_201"), 2, 1, 10, channels_in=1)
    architecture = Architecture(spaces.get("nas_bench_201"), 1.0)
    bilevel = Bilevel.create(supernet, architecture, config_lib.default().search)
    supernet_file.write(folder / "supernet.npz", bilevel)
    for k in range(180):
        (folder / "images" / f"class{k % 3}").mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(256, size=(32, 32, 3)).astype(np.uint8))
        image.save(folder / "images" / f"class{k % 3}" / f"{k}.png")
    (folder / "a_folder").mkdir()
    for name in ("some.png", "a_folder/other.png"):
        Image.fromarray(arrays["x_test"][0].astype(np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_commands_of_a_page_do_what_they_are_for(call, checkout, ground, tmp_path, page):
    recorder = commands.Recorder(tmp_path / "recorder")
    folder = shutil.copytree(ground, tmp_path / "ground")
    if any(block.text.startswith("bin/search ") for block, _ in run_blocks(page)):
        shutil.rmtree(folder / "runs" / "mine")  # the page makes it
    for block, more in run_blocks(page):
        for command in recorder.commands(block.text):
            arguments = shortened(command, more)
            if command.module is None:
                script(folder, checkout / command.program, *arguments)
            else:
                ended = call(command.module, *arguments, cwd=folder)
                assert ended.status == 0, f"{command}: {ended.err}"
                named = [a.partition("=") for a in arguments if a.startswith(("--workdir=", "--output="))]
                assert all((folder / path).exists() for _, _, path in named), command


def test_quickstart_prints_the_table_of_the_readme_and_leaves_what_the_page_on_it_lists(checkout, quickstart):
    table, tree = (
        next(block.text for block in pages.blocks(ROOT / page) if block.text.startswith(start))
        for page, start in (
            ("README.md", "selection method "),
            ("docs/work_directory.md", "WORKDIR/config.json "),
        )
    )
    table = table.partition("\n\n")[0]  # the sentences below it have figures of the run
    shape = [re.split(r"\s{2,}", line.strip())[0] for line in table.splitlines() if not line.startswith(" ")]
    assert [line for line in shape if line in quickstart] == shape
    workdir = checkout / "runs" / "quickstart"
    there = [str(path.relative_to(workdir)) for path in workdir.rglob("*")]
    for line in tree.splitlines():
        path, _, what = line.partition("  ")
        # The second line of an entry; what bin/export leaves is in tests/cli/test_export.py, of several
        # supernets in tests/selection/test_pooled_prober.py.
        if not path.startswith("WORKDIR/") or "export" in path or "search_2" in path:
            continue
        path = path.removeprefix("WORKDIR/").rstrip("/").replace("METHOD", "perturbation")
        assert path in there
        for name in re.findall(r"[\w/]+(?:\.\w+|/)(?=[ ,;]|$)", what):
            assert fnmatch.filter(there, f"{path}/{name.rstrip('/')}"), f"{path}: {name}"


def test_quickstart_says_what_its_flags_are_without_setting_anything_up():
    assert script(ROOT, "bin/quickstart", "--help").startswith("bin/quickstart [FLAGS]: ")
