"""The pages in a browser: no script error, and what the script makes is there. Needs Chromium."""

import re
import shutil
import subprocess

import pytest

from tests.report import made
from tf_darts.report import comparison_page, record, workdir_page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def browse(page, folder):
    """Opens a page; gives what it became, and what the browser's console says."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    flags += ["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run(
        [CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=240, check=True
    )
    return done.stdout, re.findall(r".*:CONSOLE[:(].*", done.stderr)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        made.workdir(folder / f"seed{seed}", seed=seed)
    return [record.read(folder / f"seed{seed}") for seed in (0, 1)]


def test_a_script_error_would_be_seen(tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><p>here</p><script>missing()</script>")
    dom, console = browse(tmp_path / "page.html", tmp_path)
    assert "here" in dom and any("missing is not defined" in line for line in console)


def test_the_page_of_a_work_directory(records, tmp_path):
    page = workdir_page.make(records[0])
    (tmp_path / "page.html").write_text(page)
    dom, console = browse(tmp_path / "page.html", tmp_path)
    assert console == []
    copyable = page.count('class="copyable"')
    assert (
        dom.count('<button type="button">copy</button>') == copyable == 5
    )  # two forms of two, and the config
    for panel in ("summary", "cells", "decisions-perturbation", "curves", "errors", "cost", "config"):
        assert f'<section id="{panel}">' in dom
    assert dom.count("<svg") == page.count("<svg") > 10


def test_the_comparison(records, tmp_path):
    (tmp_path / "page.html").write_text(comparison_page.make(records, None, tmp_path / "page.html"))
    dom, console = browse(tmp_path / "page.html", tmp_path)
    assert console == []
    for panel in ("results", "runs", "genotypes"):
        assert f'<section id="{panel}">' in dom
