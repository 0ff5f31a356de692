"""The explorer in a real browser, from the disk and without a network: found, slid, clicked, gone back, kept, read."""

import base64
import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.browser.conftest import AXE, number_of
from tests.synthetic_explorer import AWKWARD, N, names_of

VIEWS = ("category", "compare", "table", "overview", "map")
NAMES, CODES = names_of(N)
SOURCES = ".sources tbody tr"
VIOLATIONS = "axe.run().then((found) => arguments[0](found.violations), (error) => arguments[0](String(error)));"


def evaluation(run, number, **chosen):
    return xr.open_zarr(run.evaluations[number]).sel(split="test", **chosen).load()


def slide(page, size):
    """Move the slider as a hand does: every step tells."""
    code = """
    const slider = document.getElementById("size");
    slider.value = arguments[0] - 1;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    """
    page.js(code, size)
    page.until(lambda: page.texts(".slider output") == [str(size)])
    page.settle()


def choose(page, label, text):
    """Choose in a list by its label."""
    from selenium.webdriver.support.ui import Select

    choices = [one for one in page.all("label.choice") if one.text.startswith(label)]
    Select(choices[0].find_element("css selector", "select")).select_by_visible_text(text)
    page.settle()


def coefficients(page):
    return [number_of(text) for text in page.texts(".sources td.number")]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_without_an_error_and_without_a_network(page, view):
    page.open(view=view)
    assert page.errors() == []
    asked = page.asked()
    assert len(asked) > 12
    assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
    assert (
        page.js(
            "return [...document.images].filter((one) => one.complete && !one.naturalWidth).length"
        )
        == 0
    )
    if view != "table":
        assert page.all(".star svg, .chart svg")


def test_a_category_shows_the_stores_numbers(page, run):
    page.open(
        view="category", source="one", target="two", category=CODES[20], estimator="refit", size=6
    )
    at = evaluation(run, 1, estimator="refit", support_size=6).isel(target_category=20)
    wanted = sorted(at.coef.values[:6], key=lambda one: -abs(one))
    np.testing.assert_allclose(coefficients(page), wanted, atol=5.1e-4)
    measures = page.texts(".numbers table:first-of-type td")
    assert measures[0] == f"{100 * float(at.relative_error_positive):.1f} %"
    assert f"{100 * float(at.positive_accuracy):.1f} %" in measures
    assert f"{100 * float(at.delta.sel(epsilon=0.1)):.1f} %" in page.texts(".numbers td")
    assert len(page.all(".star svg image")) == 7
    assert page.text(".slider .note").startswith("penalty \N{GREEK SMALL LETTER ALPHA} = ")


def test_names_are_text_whatever_they_hold(page):
    for view in VIEWS:
        page.open(view=view, category=CODES[0], sort="code")
        assert page.js("return window.hacked") is None
    page.open(view="category", category=CODES[0])
    assert page.text("h2 bdi") == AWKWARD[0]
    page.open(view="category", category=CODES[1])
    assert page.text("h2 bdi") == AWKWARD[1]
    assert (
        page.js("return getComputedStyle(document.querySelector('h2 bdi')).unicodeBidi")
        == "isolate"
    )


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("A", "U+0041"),
        ("u+0041", "U+0041"),
        ("latin capital letter b", "U+0042"),
        ("coffee", CODES[4]),
        ("CAFÉ", CODES[4]),
        ("漢字", CODES[6]),
        ("שלום", CODES[3]),
    ],
)
def test_categories_are_found_by_name_code_and_character(page, typed, found):
    page.open(view="category")
    field = page.one("#search")
    field.send_keys(typed)
    assert page.one("#found li").get_attribute("aria-selected") == "true"
    field.send_keys("\ue007")  # the key Enter
    page.until(lambda: page.state().get("category") == found)
    page.settle()
    assert page.text("h2 .code") == found


def test_search_is_for_the_keyboard_too(page):
    page.open(view="category")
    field = page.one("#search")
    field.send_keys("latin")
    assert len(page.all("#found li")) == 12
    field.send_keys("\ue015\ue015")  # down, twice
    assert field.get_attribute("aria-activedescendant") == "found2"
    field.send_keys("\ue00c")  # Escape
    assert page.all("#found li") == []
    assert field.get_attribute("aria-expanded") == "false"
    field.send_keys("zzz")
    assert page.all("#found li") == []


def test_the_slider_shows_another_dependency_at_once(page, run):
    page.open(view="category", category=CODES[12], estimator="subset", size=4)
    before = page.js("return history.length")
    for size in (9, 20, 1):
        slide(page, size)
        assert len(page.all(SOURCES)) == size
        assert len(page.all(".star svg image")) == size + 1
        assert page.state().get("size", "4") == str(size)
    at = evaluation(run, 0, estimator="subset", support_size=1).isel(target_category=12)
    np.testing.assert_allclose(coefficients(page), at.coef.values[:1], atol=5.1e-4)
    assert page.js("return history.length") == before  # no step to go back by for each
    page.one("#size").send_keys("\ue014")  # the key Right
    page.until(lambda: len(page.all(SOURCES)) == 2)
    assert page.errors() == []


def test_a_source_leads_on_and_the_back_button_back(page):
    page.open(view="category", category=CODES[12], size=3)
    name = page.text("h2 bdi")
    link = page.one(f"{SOURCES} a")
    other = link.text
    link.click()
    page.until(lambda: page.text("h2 bdi") == other)
    page.driver.back()
    page.until(lambda: page.text("h2 bdi") == name)
    page.settle()
    assert page.state()["size"] == "3"
    page.js(
        "const [node] = [...document.querySelectorAll('.star svg .mark-rect')].at(-1).querySelectorAll('path');"
        "const at = node.getBoundingClientRect();"
        "const where = { bubbles: true, clientX: at.x + 5, clientY: at.y + 5 };"
        "node.dispatchEvent(new MouseEvent('click', where));"
    )
    page.until(lambda: page.text("h2 bdi") != name)
    page.settle()
    assert page.errors() == []


def test_two_dependencies_side_by_side(page, run):
    page.open(view="compare", category=CODES[15], size=5)
    choose(page, "Second networks", "two → one")
    choose(page, "Second estimator", "refit")
    assert page.state()["estimator2"] == "refit"
    page.driver.refresh()
    page.settle()
    tables = page.js(
        "return [...document.querySelectorAll('.sources')].map((one) => "
        "[...one.querySelectorAll('td.number')].map((cell) => cell.textContent))"
    )
    for texts, number, estimator in zip(tables, (0, 2), ("subset", "refit"), strict=True):
        at = evaluation(run, number, estimator=estimator, support_size=5).isel(target_category=15)
        shown = [number_of(text) for text in texts]
        wanted = sorted(at.coef.values[:5], key=lambda one: -abs(one))
        np.testing.assert_allclose(shown, wanted, atol=5.1e-4)
    slide(page, 2)
    assert [len(one.find_elements("css selector", "tbody tr")) for one in page.all(".sources")] == [
        2,
        2,
    ]


def test_the_table_is_sorted_filtered_and_taken_along(page, run):
    page.open(view="table", source="two", target="two", estimator="lasso", size=7)
    error = evaluation(run, 3, estimator="lasso", support_size=7).relative_error_positive.values
    order = [
        NAMES[at] for at in np.argsort(np.where(np.isnan(error), np.inf, error), kind="stable")
    ]
    codes = dict(zip(NAMES, CODES, strict=True))
    assert page.texts("table.all td.code")[:5] == [codes[name] for name in order[:5]]
    page.one('[data-column="error"]').click()
    page.until(lambda: page.all('[aria-sort="descending"]'))
    falling = page.texts("table.all td.code")
    assert falling[0] == codes[order[-2]]  # one has no images, and stands at the end
    choose(page, "Flag", "unstable")
    cards = json.loads(Path(run.cards[3]).read_text(encoding="utf-8"))
    flagged = {card["code"] for card in cards if "unstable" in card["flags"]}
    page.until(lambda: set(page.texts("table.all td.code")) == flagged)
    most = np.sort(error[[code in flagged for code in CODES]])[9]
    page.one("#filter-most").send_keys(f"{100 * most + 0.06:.1f}")
    page.until(lambda: len(page.texts("table.all td.code")) == 10)
    page.settle()
    page.one("#download").click()
    path = page.downloads / "two--two-lasso-7.csv"
    page.until(path.exists)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["code"] for row in rows] == page.texts("table.all td.code")
    by_code = dict(zip(CODES, error, strict=True))
    for row in rows:
        assert float(row["error"]) == pytest.approx(by_code[row["code"]], abs=5.1e-4)
        assert row["flags"].split().count("unstable") == 1
    page.driver.refresh()
    page.settle()
    assert len(page.texts("table.all td.code")) == 10
    assert page.errors() == []


def test_every_chart_has_its_numbers(page, run):
    page.open(view="overview", estimator="subset", size=4)
    figures = page.all("figure")
    assert len(figures) == 3
    for figure in figures:
        assert figure.find_element("css selector", ".chart").find_elements("css selector", "path")
        figure.find_element("css selector", "summary").click()
    page.until(lambda: len(page.all("figure table")) == 3)
    medians = page.texts("figure:first-of-type td:nth-child(2)")[:4]
    for number, shown in enumerate(medians):
        error = evaluation(run, number, estimator="subset", support_size=4).relative_error_positive
        assert shown == f"{100 * float(error.median()):.1f} %"
    slide(page, 9)
    error = evaluation(run, 0, estimator="subset", support_size=9).relative_error_positive
    page.until(lambda: page.texts("figure td")[0] == f"{100 * float(error.median()):.1f} %")


def test_the_map_shows_who_depends_on_whom(page, run):
    page.open(view="map", category=CODES[30])
    at = evaluation(run, 0, estimator="subset", support_size=4).isel(target_category=30)
    wanted = {int(one) for one in at.support.values if one >= 0}
    links = page.js(
        "return [...document.querySelectorAll('.map-and-list .plain')].map((list) => "
        "[...list.querySelectorAll('a')].map((one) => new URLSearchParams(one.hash.slice(1)).get('category')))"
    )
    assert {CODES.index(code) for code in links[0]} == wanted
    every = evaluation(run, 0, estimator="subset", support_size=4).support.values
    assert {CODES.index(code) for code in links[1]} == set(
        np.flatnonzero((every == 30).any(axis=1))
    )
    assert len(page.all(".map svg .mark-text text")) == N
    page.one(".map-and-list .plain a").click()
    page.until(lambda: page.state()["category"] == links[0][0])
    assert page.errors() == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light"), (2560, "light")])
def test_every_view_fits_and_is_accessible(page, width, scheme):
    page.resize(width)
    page.scheme(scheme)
    judged = {360: VIEWS, 1280: ("category", "table"), 2560: ()}[width]
    for view in VIEWS:
        # a few rows of the table stand for all, and take less time to be judged
        page.open(view=view, category=CODES[0], size=8, find="digit" if view == "table" else "")
        wide = page.js("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], (view, wide)
        page.keep(f"{view}-{width}-{scheme}")
        if view in judged:
            page.js(AXE)
            violations = page.driver.execute_async_script(VIOLATIONS)
            told = [
                (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
            ]
            assert told == [], (view, width, told)


def test_what_an_address_asks_for_that_is_not_there_is_set_right(page):
    page.open(view="nothing", source="x", target="two", category="U+FFFFFF", size=99, estimator="y")
    assert page.text("h2 bdi") == AWKWARD[0]
    assert len(page.all(SOURCES)) == 4
    assert page.errors() == []


def test_a_block_that_is_missing_is_told(page):
    block = page.folder / "data/blocks/0/2.js"
    away = block.rename(block.with_suffix(".away"))
    try:
        page.open(view="category", category=CODES[0])
        page.js(
            "location.hash = arguments[0]",
            f"#view=category&category={CODES[N - 1].replace('+', '%2B')}",
        )
        page.until(lambda: page.all('[role="alert"]'))
        assert "data/blocks/0/2.js cannot be read" in page.text('[role="alert"]')
    finally:
        away.rename(block)


def test_firefox_opens_slides_follows_and_goes_back(firefox, folder, tmp_path):
    address = (
        f"{(folder / 'index.html').as_uri()}#view=category&category={CODES[12].replace('+', '%2B')}"
    )
    firefox.send("browsingContext.navigate", context=firefox.context, url=address, wait="complete")
    settled = "document.getElementById('main').dataset.shown && document.getElementById('main').ariaBusy === 'false'"
    firefox.until(settled)
    rows = "document.querySelectorAll('.sources tbody tr').length"
    assert firefox.js(rows) == 4
    assert firefox.js("document.querySelectorAll('.star svg image').length") == 5
    firefox.js(
        "(document.getElementById('size').value = 8, document.getElementById('size').dispatchEvent(new Event('input')))"
    )
    firefox.until(f"{rows} === 9")
    name = firefox.js("document.querySelector('h2 bdi').textContent")
    firefox.js("document.querySelector('.sources a').click()")
    firefox.until(f"document.querySelector('h2 bdi').textContent !== {json.dumps(name)}")
    firefox.js("history.back()")
    firefox.until(f"document.querySelector('h2 bdi').textContent === {json.dumps(name)}")
    for view in ("compare", "table", "overview", "map"):
        firefox.js(f"(location.hash = '#view={view}', 1)")
        firefox.until(f"document.getElementById('main').dataset.shown === '{view}' && {settled}")
        width = firefox.js("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]
    shot = firefox.send("browsingContext.captureScreenshot", context=firefox.context)["data"]
    pictures = os.environ.get("EXPLORER_SCREENSHOTS", str(tmp_path))
    Path(pictures, "map-firefox.png").write_bytes(base64.b64decode(shot))
    assert firefox.errors == []
