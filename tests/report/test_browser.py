"""The pages in a browser, on a desktop and on a phone.

There is no script error, what the script makes is there, and nothing is wider than the window but what can be
scrolled.
"""

import pytest

WIDE = """[...document.querySelectorAll("body *")].filter(
  e => e.getBoundingClientRect().right > {} + 1 && !e.closest(".scroll, pre")).length"""
PANELS = "[...document.querySelectorAll('main>section')].map(e => e.id)"


def opened(browser, folder, page, width, dark=False):
    """Open a page and check what holds of every one of ours."""
    (folder / "page.html").write_text(page)
    browser.open((folder / "page.html").as_uri(), width, dark=dark)
    assert browser.console == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(WIDE.format(width)) == 0


def test_a_script_error_would_be_seen(browser, tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><p>here</p><script>missing()</script>")
    browser.open((tmp_path / "page.html").as_uri())
    assert browser.run("document.body.textContent") == "here" + "missing()"
    assert any("missing is not defined" in line for line in browser.console)


def test_what_is_too_wide_would_be_seen(browser, tmp_path):
    head = "<!doctype html><meta name='viewport' content='width=device-width'>"
    (tmp_path / "page.html").write_text(f"{head}<p style='width:900px'>wide</p><p>narrow</p>")
    browser.open((tmp_path / "page.html").as_uri(), 390)
    assert browser.run("document.documentElement.scrollWidth") > 390
    assert browser.run(WIDE.format(390)) == 1


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_of_a_work_directory(browser, page, tmp_path, width):
    opened(browser, tmp_path, page, width)
    panels = browser.run(PANELS)
    assert panels == [
        *("summary", "cells", "decisions-magnitude", "decisions-perturbation", "curves", "errors"),
        *("cost", "config"),
    ]
    # Two forms of two genotypes, and the config.
    assert browser.run("[...document.querySelectorAll('.copyable button')].map(e => e.textContent)") == (
        ["copy"] * 5
    )
    assert browser.run("document.querySelectorAll('svg.figure').length") == page.count("<svg") > 10
    seen = "[...document.querySelectorAll('svg.figure, img.picture')].every(e => e.getBoundingClientRect()"
    assert browser.run(f"{seen}.width > 200)")


def test_a_genotype_is_copied(browser, page, found, tmp_path):
    opened(browser, tmp_path, page, 1200)
    # Without leave to use the clipboard the page copies by selection; either way the text is this one.
    browser.run("document.addEventListener('copy', () => window.copied = getSelection().toString())")
    browser.run("navigator.clipboard.writeText = async text => { window.copied = text }")
    browser.run("document.querySelector('.copyable button').click()")
    browser.wait_for("document.querySelector('.copyable button').textContent === 'copied'")
    first = next(iter(found.genotypes.values()))
    assert browser.run("window.copied") == first.to_text(found.space)


def test_colours_follow_the_readers_system(browser, page, tmp_path):
    colour = "getComputedStyle(document.querySelector('{}')).{}"
    found = {}
    for dark in (False, True):
        opened(browser, tmp_path, page, 1200, dark)
        parts = [("section", "backgroundColor"), ("h2", "color"), ("svg.figure text", "fill")]
        found[dark] = [browser.run(colour.format(*part)) for part in parts]
    for light, other in zip(found[False], found[True], strict=True):
        levels = [sum(map(int, text.strip("rgb()").split(", ")[:3])) for text in (light, other)]
        assert abs(levels[0] - levels[1]) > 400, (light, other)


@pytest.mark.parametrize("width", [1200, 390])
def test_the_comparison(browser, comparison, tmp_path, width):
    opened(browser, tmp_path, comparison, width)
    assert browser.run(PANELS) == ["results", "runs", "genotypes"]
    assert browser.run("document.querySelectorAll('svg.figure').length") == comparison.count("<svg") > 3
