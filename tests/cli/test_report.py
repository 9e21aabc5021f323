"""bin/report as a shell runs it; the work directories are written, not run. And --quiet."""

import pytest

from tests.report import made


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        made.workdir(folder / f"seed {seed}", mistakes=False, seed=seed)
    return folder


def test_the_page_of_a_work_directory(runs, call):
    ended = call("report", "--workdir=seed 0", cwd=runs)
    assert ended.status == 0 and ended.err == "", ended.err
    page = runs / "seed 0" / "report" / "index.html"
    assert str(page) in ended.out and page.read_text().startswith("<!doctype html>")
    first = page.read_bytes()
    assert call("report", "--workdir=seed 0", cwd=runs).status == 0
    assert page.read_bytes() == first  # nothing in it depends on when it was made


def test_a_comparison_takes_patterns_and_links_to_the_pages(runs, call):
    (runs / "seed 1" / "report").mkdir()
    (runs / "seed 1" / "report" / "index.html").write_text("its page, made before")
    ended = call("report", "--compare=seed*", "--output=pages/all.html", cwd=runs)
    assert ended.status == 0 and ended.err == "", ended.err
    text = (runs / "pages" / "all.html").read_text()
    assert 'href="../seed%201/report/index.html"' in text and "2 work directories" in text
    ended = call("report", "--compare=seed 0,seed 1", "--baseline=darts/perturbation", cwd=runs)
    assert ended.status == 0 and (runs / "comparison.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir and --compare: allowed: one of them"),
        (["--workdir=seed 0", "--compare=seed*"], "--workdir and --compare: allowed: one of them"),
        (["--workdir=nowhere"], "--workdir: nowhere has no config.json"),
        (["--compare=nowhere*"], "--compare: 'nowhere*': no work directory"),
        (["--compare=seed 0"], "--compare: only 'seed 0'; allowed: two work directories or more"),
        (["--workdir=seed 0", "--baseline=darts/magnitude"], "--baseline: allowed: only with --compare"),
        (["--compare=seed*", "--baseline=pt/x"], "--baseline: 'pt/x'; allowed: darts/magnitude, "),
        (["--workdir=seed 0", "--output=seed 0/config.json/page.html"], "--output: "),
    ],
)
def test_bad_input_is_one_line(runs, call, arguments, message):
    ended = call("report", *arguments, cwd=runs)
    assert ended.status == 2 and ended.out == ""
    assert ended.err.startswith(f"error: {message}") and ended.err.count("\n") == 1


def test_quiet_leaves_results_only(call, tmp_path):
    (tmp_path / "config.py").write_text(
        "from tests.report import made\n\n\ndef get_config():\n    c = made.config()\n"
        "    c.data.limit_train, c.data.limit_test = 16, 8\n    c.data.flip = False\n"
        "    c.search.channels, c.search.cells, c.search.epochs, c.search.batch_size = 4, 1, 1, 8\n"
        "    c.search.evaluate_every = 0  # nothing to warn of\n"
        "    return c\n"
    )
    ended = call("search", "--config=config.py", "--workdir=quiet", "--quiet", cwd=tmp_path)
    assert ended.status == 0 and ended.err == "", ended.err
    assert ended.out.splitlines()[-1].startswith("Next: bin/select")
    assert "search:" not in ended.out
