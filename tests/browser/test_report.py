"""The report in a browser: every interaction, no request, an empty console, hostile names inert."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.exports.tables import escaped_latex
from tests.browser.conftest import FORMULA, HOSTILE, Seen, opened, visited

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

TRACES = "document.querySelector('#figure-accuracy-length .plot').data"
EXPLORED = "document.getElementById('explore-plot').data"


def table(seen: Seen) -> list[dict[str, str]]:
    """The rows of the table of cells that are on the page."""
    rows: list[list[str]] = seen.page.eval_on_selector_all(
        "#cell-table tr", "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    head = [name.rstrip("▲▼↕ ") for name in rows[0]]
    return [dict(zip(head, row, strict=True)) for row in rows[1:]]


def copied(seen: Seen, name: str) -> str:
    """What a button of the table of cells copies."""
    seen.page.evaluate("navigator.clipboard.writeText = async (t) => { window.copied = t; }")
    button = seen.page.get_by_role("button", name=f"Copy as {name}: all cells")
    button.click()
    seen.wait("window.copied !== undefined")
    return str(seen.page.evaluate("window.copied"))


def test_hovering_over_a_point_shows_its_cell(seen: Seen) -> None:
    seen.drawn("accuracy-length")
    label = seen.page.evaluate(f"{TRACES}.find(t => t.meta === 'arm:Full').hovertext[0]")
    for text in ("Full", "64 tokens", "newsgroups", "seeds 0, 1 and 2", "22.7 M trainable", " to "):
        assert text in label
    assert "64 tokens" in seen.hovered("figure-accuracy-length .plot", "arm:Full")
    seen.explored()
    shown = seen.hovered("explore-plot", "arm:Full", 1)
    for text in ("Full", "128 tokens", "mean of seeds 0, 1 and 2", "Test accuracy: 0.75"):
        assert text in shown


def test_a_legend_entry_hides_its_arm_by_mouse_and_by_keyboard(seen: Seen) -> None:
    box = seen.drawn("accuracy-length")
    button = box.get_by_role("button", name="LoRA 1/2")
    shown = f"{TRACES}.filter(t => t.legendgroup === 'LoRA 1/2').every(t => t.visible)"
    assert seen.page.evaluate(shown)
    button.click()
    seen.wait(f"!({shown})")
    assert button.get_attribute("aria-pressed") == "false"
    button.press("Enter")
    seen.wait(shown)
    seen.explored()
    legend = seen.page.locator("#explore-legend")
    legend.get_by_role("button", name="LoRA 1/2", exact=True).click()
    seen.wait(f"!{EXPLORED}.find(t => t.name === 'LoRA 1/2').visible")
    box.get_by_role("button", name="LoRA 1", exact=True).click()
    seen.wait(f"!{TRACES}.find(t => t.meta === 'arm:LoRA 1').visible")
    assert seen.page.evaluate(shown)  # figures hide arms of their own


def test_measures_and_aggregation_can_be_chosen(seen: Seen) -> None:
    page = seen.page
    seen.explored()
    assert page.input_value("#explore-x") == "length"
    count = f"{EXPLORED}.reduce((n, t) => n + t.x.length, 0)"
    assert page.evaluate(count) == 10  # five arms at two lengths
    page.select_option("#explore-by", "seed")
    seen.wait(f"{count} === 30")
    page.select_option("#explore-x", "memory")
    seen.wait("document.getElementById('explore-plot').layout.xaxis.title.text.includes('MiB')")
    page.select_option("#explore-y", "trainable_params")
    seen.wait(f"{EXPLORED}.some(t => t.y.includes(22714756))")  # all parameters
    page.select_option("#explore-x", "length")
    seen.wait(f"{EXPLORED}.some(t => t.meta === 'arm:Full' && t.x.length === 6)")
    texts = page.eval_on_selector_all("#explore-y option", "all => all.map(o => o.textContent)")
    assert "Test accuracy" in texts
    assert "Peak memory of training" in texts


def test_the_pareto_front_is_marked(seen: Seen) -> None:
    page = seen.page
    page.locator("#explorer").scroll_into_view_if_needed()
    page.select_option("#explore-x", "trainable_params")
    page.locator("#explore-front").check()
    seen.wait(f"{EXPLORED} && {EXPLORED}.some(t => t.meta === 'front')")
    points: list[Any] = page.evaluate(
        f"{EXPLORED}.filter(t => t.meta !== 'front').flatMap(t => t.x.map((x, i) => [x, t.y[i]]))"
    )
    front = page.evaluate(f"(t => t.x.map((x, i) => [x, t.y[i]]))({EXPLORED}.at(-1))")
    expected = [
        [x, y]
        for x, y in points
        if not any(a <= x and b >= y and (a < x or b > y) for a, b in points)
    ]
    assert sorted(front) == sorted(expected)
    assert 0 < len(front) < len(points)
    said = page.locator("#explore-said").text_content()
    assert said.startswith("Pareto front (lower Trainable parameters, higher Test accuracy): LoRA")


def test_the_table_is_sorted_by_keyboard(seen: Seen) -> None:
    head = seen.page.locator("#cell-table th", has_text="Score")
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    scores = [float(row["Score"]) for row in table(seen) if row["Score"]]
    assert scores == sorted(scores)
    assert table(seen)[-1]["Score"] == ""  # cells without a score are last
    seen.page.keyboard.press("Enter")  # the button keeps the focus
    assert head.get_attribute("aria-sort") == "descending"
    scores = [float(row["Score"]) for row in table(seen) if row["Score"]]
    assert scores == sorted(scores, reverse=True)


def test_the_table_is_filtered_and_its_columns_are_chosen(seen: Seen) -> None:
    page = seen.page
    page.fill("#cell-filter", "lora oom")
    seen.wait("document.querySelectorAll('#cell-table tbody tr').length === 1")
    assert table(seen)[0]["Status"] == "oom"
    assert page.locator("#cell-table [role=status]").first.text_content() == (
        "1 to 1 of 1 cells (37 in all)"
    )
    assert "Sites" not in table(seen)[0]
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Sites", exact=True).check()
    page.get_by_label("Seed", exact=True).uncheck()
    assert "Sites" in table(seen)[0]
    assert "Seed" not in table(seen)[0]


def test_copies_are_what_is_shown(seen: Seen) -> None:
    page = seen.page
    page.fill("#cell-filter", "full probe")
    seen.wait("document.querySelectorAll('#cell-table tbody tr').length === 2")
    page.get_by_text("Columns", exact=True).click()
    for name in ("Score", "Seed"):
        page.get_by_label(name, exact=True).uncheck()
    page.locator("#cell-table th", has_text="Length").get_by_role("button").click()
    page.locator("#cell-table th", has_text="Length").get_by_role("button").click()
    rows = list(csv.DictReader(io.StringIO(copied(seen, "CSV"))))
    assert rows == table(seen)
    assert [row["Length"] for row in rows] == ["128", "64"]
    said = page.locator(".copy [role=status]", has_text="Copied")
    assert said.text_content() == "Copied 2 rows as CSV."


def test_every_table_can_be_copied_and_an_old_browser_too(seen: Seen) -> None:
    page = seen.page
    box = page.locator(".scroll[aria-label*='minus'], .scroll[aria-label^='Differences']").first
    shown = box.locator("tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    page.evaluate("""() => {
        navigator.clipboard.writeText = async () => { throw new Error('no permission'); };
        document.execCommand = (what) => { window[what] = document.activeElement.value; };
    }""")
    buttons = page.locator(".scroll[aria-label^='Differences'] + .copy").first
    buttons.get_by_role("button", name="CSV").press("Enter")
    seen.wait("window.copy !== undefined")
    copy = list(csv.reader(io.StringIO(page.evaluate("window.copy"))))
    assert len(copy) > 2
    assert [[text.removeprefix("'") for text in row] for row in copy] == shown
    assert page.locator("textarea").count() == 0


def test_copies_hold_hostile_names_as_text(seen: Seen) -> None:
    text = copied(seen, "CSV")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 37
    names = {row["Arm"] for row in rows}
    assert HOSTILE in names
    assert FORMULA not in names
    assert f"'{FORMULA}" in names
    markdown = copied(seen, "Markdown")
    assert "<img" not in markdown
    assert r"$x$ \`\|\` a\_b &amp; 100%" in markdown
    latex = copied(seen, "LaTeX")
    assert escaped_latex(HOSTILE) in latex
    assert r"\$x\$ `$|$` a\_b \& 100\%" in latex
    assert latex.startswith("\\begin{tabular}")
    assert latex.count("\\\\\n") == 38


def test_hostile_names_are_text_in_figures(seen: Seen) -> None:
    seen.drawn("accuracy-length")
    seen.drawn("accuracy-parameters")
    assert seen.page.locator("img[src=x]").count() == 0
    names = seen.page.evaluate(f"{TRACES}.map(t => t.name)")
    assert HOSTILE in names
    seen.explored()
    for figure in ("figure-accuracy-length .plot", "explore-plot"):
        assert HOSTILE in seen.hovered(figure, f"arm:{HOSTILE}")
    assert seen.page.locator("#figure-accuracy-length").get_by_text(HOSTILE[:40]).count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone(
    chromium: Browser, page_file: Path, scheme: Any
) -> None:
    phone: Any = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visited(chromium, page_file, color_scheme=scheme, **phone) as seen:
        for name in ("accuracy-length", "accuracy-parameters", "memory-length"):
            assert seen.drawn(name).locator("svg.main-svg").first.bounding_box()["width"] <= 390
        seen.explored()
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
        assert colours(seen) == (scheme == "dark", scheme == "dark")


def colours(seen: Seen) -> tuple[bool, bool]:
    """Whether the background of the page and the first figure are those for the dark."""
    back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = seen.page.evaluate(f"{TRACES}.find(t => t.meta === 'arm:Full').line.color")
    return back != "rgb(255, 255, 255)", ink != "#222222"


def test_the_colours_follow_the_setting_while_the_page_is_open(seen: Seen) -> None:
    box = seen.drawn("accuracy-length")
    sign = box.locator(".legend .swatch line").first
    assert colours(seen) == (False, False)
    light = sign.get_attribute("stroke")
    seen.page.emulate_media(color_scheme="dark")
    seen.wait(f"{TRACES}.find(t => t.meta === 'arm:Full').line.color !== '#222222'")
    assert colours(seen) == (True, True)
    assert box.locator(".legend .swatch line").first.get_attribute("stroke") != light


def test_without_scripts_and_in_print_the_pictures_are_shown(
    chromium: Browser, page_file: Path, seen: Seen
) -> None:
    box = seen.drawn("accuracy-length")
    assert not box.locator("img").is_visible()
    seen.page.emulate_media(media="print")
    assert box.locator("img").is_visible()
    assert not box.locator(".plot").is_visible()
    plain = opened(chromium, page_file, java_script_enabled=False)
    assert plain.page.locator("#figure-accuracy-length img").is_visible()
    assert plain.page.locator("noscript table tbody tr").count() == 37
    plain.page.context.close()


def test_every_control_is_reached_by_keyboard_and_has_a_name(seen: Seen) -> None:
    seen.drawn("accuracy-length")
    unnamed = seen.page.evaluate("""() => [...document.querySelectorAll('button, select, input')]
        .filter(c => !(c.textContent.trim() || c.getAttribute('aria-label') || c.labels?.length))
        .map(c => c.outerHTML)""")
    assert unnamed == []
    unreachable = seen.page.evaluate("""() =>
        [...document.querySelectorAll('button, select, input, a[href], summary')]
        .filter(c => c.tabIndex < 0).length""")
    assert unreachable == 0
    figures = seen.page.locator("figure .plot, #explore-plot")
    for k in range(figures.count()):
        assert figures.nth(k).get_attribute("role") == "img"
        assert len(figures.nth(k).get_attribute("aria-label")) > 40
    unnamed = seen.page.evaluate("""() =>
        [...document.querySelectorAll('[role=region], [role=group], nav, ul.legend, img')]
        .filter(c => !(c.getAttribute('aria-label') || c.alt)).length""")
    assert unnamed == 0
    heads = seen.page.evaluate("""() =>
        [...document.querySelectorAll('thead th, tbody th')].filter(c => !c.scope).length""")
    assert heads == 0
    levels = seen.page.eval_on_selector_all(
        "h1, h2, h3", "all => all.map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    seen.page.locator("#explore-x").focus()
    seen.page.keyboard.press("Tab")
    outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_statements_link_to_figures_that_are_there(seen: Seen) -> None:
    links = seen.page.eval_on_selector_all(
        ".answer a, nav a", "all => all.map(a => a.getAttribute('href'))"
    )
    assert "#figure-accuracy-length" in links
    missing = [link for link in links if seen.page.locator(link).count() != 1]
    assert missing == []
