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
        *("cost", "config", "further"),
    ]
    # Two forms of two genotypes, the config, and four commands.
    assert browser.run("[...document.querySelectorAll('.copyable button')].map(e => e.textContent)") == (
        ["copy"] * 9
    )
    assert browser.run("document.querySelectorAll('svg.figure').length") == page.count("<svg") > 10
    seen = "[...document.querySelectorAll('svg.figure, img.picture')].every(e => e.getBoundingClientRect()"
    assert browser.run(f"{seen}.width > 200)")


SMALLEST = """Math.min(...[...document.querySelectorAll("svg.figure text")].filter(e => e.textContent.trim())
  .map(e => [e, e.getScreenCTM()]).map(
    ([e, turned]) => parseFloat(getComputedStyle(e).fontSize) * Math.hypot(turned.a, turned.b)))"""


@pytest.mark.parametrize("width", [1200, 700, 390])
def test_text_of_figures_can_be_read(browser, page, comparison, tmp_path, width):
    for text in (page, comparison):
        opened(browser, tmp_path, text, width)
        assert browser.run(SMALLEST) >= 11


def test_cells_fit_a_phone_and_stand_beside_each_other_on_a_desktop(browser, page, tmp_path):
    boxes = "[...document.querySelectorAll('.beside svg.figure')].map(e => e.getBoundingClientRect())"
    opened(browser, tmp_path, page, 1200)
    first, second = browser.run(f"{boxes}.map(b => [b.left, b.top])")
    assert abs(first[1] - second[1]) < 2 and second[0] > first[0] + 341
    opened(browser, tmp_path, page, 390)
    assert browser.run(f"{boxes}.every(b => b.left >= 0 && b.right <= 390)")


def test_a_phone_shows_by_how_much_each_decision_leads(browser, page, tmp_path):
    opened(browser, tmp_path, page, 390)
    heads = "[...document.querySelectorAll('#decisions-perturbation th')]"
    assert browser.run(f"{heads}.find(e => e.textContent === 'lead').getBoundingClientRect().right") <= 390


def test_a_click_on_a_heading_sorts(browser, page, tmp_path):
    opened(browser, tmp_path, page, 1200)
    table = "document.querySelector('#decisions-perturbation table')"
    column = f"[...{table}.tBodies[0].rows].map(r => r.cells[3].textContent)"
    before = browser.run(column)
    head = f"{table}.tHead.rows[0].cells[3]"
    for sign in (1, -1):
        browser.run(f"{head}.click()")
        after = browser.run(column)
        assert after == sorted(before, key=lambda text: sign * float(text.split()[0]))
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending"


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
    assert browser.run(PANELS) == ["results", "runs", "genotypes", "further"]
    assert browser.run("document.querySelectorAll('svg.figure').length") == comparison.count("<svg") > 3
