"""The page of a run with a hundred thousand rows of metrics, in a browser."""

import time

import pytest

from tests.report import made
from tf_darts.report import workdir_contents, workdir_page

EPOCHS, STEPS = 2_000, 49  # with the rows that end an epoch 100,000


@pytest.mark.slow
def test_a_long_run_is_opened_in_a_moment(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(made, "EPOCHS", EPOCHS)
    monkeypatch.setattr(made, "STEPS", STEPS)
    folder = tmp_path / "run"
    made.workdir(folder)
    with (folder / "search" / "metrics.jsonl").open() as file:
        assert sum(1 for _ in file) == 100_000
    start = time.process_time()
    page = workdir_page.make(workdir_contents.read(folder))
    print(f"made in {time.process_time() - start:.1f} s, {len(page) / 1e6:.1f} MB")
    assert len(page) < 5_000_000
    (tmp_path / "page.html").write_text(page)
    start = time.monotonic()
    browser.open((tmp_path / "page.html").as_uri())
    browser.run("document.querySelectorAll('svg.figure').length")
    taken = time.monotonic() - start
    print(f"opened in {taken:.1f} s")
    assert taken < 5 and browser.console == []
