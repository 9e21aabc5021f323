"""Work directories, their pages and a browser, made once for all tests of the pages."""

import json

import pytest

from tests.report import made
from tests.report.browser import CHROMIUM, Browser
from tf_darts.report import comparison_page, workdir_contents, workdir_page


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """A work directory in whose name and warnings there is markup."""
    folder = tmp_path_factory.mktemp("run") / "<script>alert(1)<_script>"
    made.workdir(folder)
    warnings = {"schema_version": 1, "warnings": {"kind": "<img src=x onerror=alert(2)>"}}
    (folder / "search" / "warnings.json").write_text(json.dumps(warnings))
    return workdir_contents.read(folder)


@pytest.fixture(scope="session")
def page(found):
    """Its page."""
    return workdir_page.make(found)


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """Two methods by three seeds, with accuracies that are known."""
    folder, records = tmp_path_factory.mktemp("several"), []
    for method, base in (("darts", 0.70), ("gdas", 0.74)):
        for seed in range(3):
            workdir = folder / f"{method}-{seed}"
            accuracies = {"magnitude": base + 0.02 * seed, "perturbation": base + 0.1 + 0.01 * seed}
            made.workdir(workdir, accuracies, mistakes=False, search__method=method, seed=seed)
            records.append(workdir_contents.read(workdir))
    return records


@pytest.fixture(scope="session")
def comparison(several):
    """Their page, beside them."""
    path = several[0].workdir.parent / "comparison.html"
    return comparison_page.make(several, "darts/magnitude", path)


@pytest.fixture(scope="session")
def browser():
    """A browser; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    opened = Browser()
    yield opened
    opened.close()
