"""The pages of docs/: each is in the site, each link leads somewhere, the site builds without a warning."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NAVIGATION = (ROOT / "mkdocs.yml").read_text()
MADE = {  # pages of the site by the file of the root that they are made of
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
}
PAGES = [*(ROOT / name for name in MADE), *sorted((ROOT / "docs").glob("*.md"))]


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"^ +- (?:\w+: )?(\S+\.md)$", NAVIGATION, re.M)
    assert sorted(listed) == sorted(MADE.get(path.name, path.name) for path in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_to_files_and_headings(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


def python_with_mkdocs():
    """The Python that has requirements-docs.txt: that of bin/docs, or this one."""
    own = ROOT / ".venv-docs" / "bin" / "python"
    if own.exists():
        return str(own)
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs not found: bin/docs makes an environment that has it")
    return sys.executable


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_has_the_public_names(tmp_path):
    site = tmp_path / "site"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [python_with_mkdocs(), "-m", "mkdocs", "build", "--strict", f"--site-dir={site}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not re.search("^WARNING", done.stderr, re.M), done.stderr
    for path in (ROOT / "tf_darts").glob("*.py"):
        if path.stem == "__init__":
            continue
        text = (site / "reference" / path.stem / "index.html").read_text()
        for name in re.findall(r"^(?:def|class) ([a-z]\w*|[A-Z]\w*)", path.read_text(), re.M):
            assert f'id="tf_darts.{path.stem}.{name}"' in text, name
    assert 'id="tf_darts.selection.decide' in (site / "reference" / "selection" / "index.html").read_text()
    # Search has every page, each section has its tab, and no page fetches anything from another host.
    sections = [name for entry in yaml.safe_load(NAVIGATION)["nav"] for name in entry]
    home = (site / "index.html").read_text()
    tabs = re.findall(r'class="md-tabs__link">\s*([\w-]+)\s*</a>', home)
    assert tabs == sections == ["Start", "Concepts", "How-to", "Results", "Reference", "Internals"]
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    pages = {str(path.parent.relative_to(site)) for path in site.rglob("index.html")}
    assert {entry["location"].partition("#")[0].rstrip("/") or "." for entry in found} == pages
    assert 'data-md-color-scheme="slate"' in home and 'data-md-color-scheme="default"' in home
    elsewhere = re.compile(r"<(?:script|img|link)\b[^>]*(?:src|href)=.?(?:https?:)?//")
    assert not [path for path in site.rglob("*.html") if elsewhere.search(path.read_text())]
    # A page of the repository links to a module, and the site to its place in the reference.
    page = (site / "library" / "index.html").read_text()
    assert 'href="../reference/config/#tf_darts.config.fields"' in page
