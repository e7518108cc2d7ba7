"""The report in a browser: every interaction, no request, an empty console, hostile names inert."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import FORMULA, HOSTILE, Seen, opened

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
    box = seen.drawn("accuracy-length")
    label = seen.page.evaluate(f"{TRACES}.find(t => t.meta === 'arm:Full').hovertext[0]")
    for text in ("Full", "64 tokens", "newsgroups", "seeds 0, 1 and 2", "22.7 M trainable", " to "):
        assert text in label
    place = seen.page.evaluate("""() => {
        const box = document.querySelector('#figure-accuracy-length .plot');
        const trace = box.data.find(t => t.meta === 'arm:Full');
        const {xaxis, yaxis} = {xaxis: box._fullLayout.xaxis, yaxis: box._fullLayout.yaxis};
        const at = box.getBoundingClientRect();
        return [at.x + xaxis._offset + xaxis.d2p(trace.x[0]),
                at.y + yaxis._offset + yaxis.d2p(trace.y[0])];
    }""")
    seen.page.mouse.move(place[0] - 40, place[1] - 40)
    seen.page.mouse.move(*place)
    seen.wait("document.querySelector('#figure-accuracy-length .hovertext') !== null")
    assert "64 tokens" in box.locator(".hovertext").first.text_content()


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


def test_task_measures_and_aggregation_can_be_chosen(seen: Seen) -> None:
    page = seen.page
    page.locator("#explorer").scroll_into_view_if_needed()
    seen.wait("document.querySelector('#explore-plot[data-drawn]') !== null")
    assert page.input_value("#explore-x") == "length"
    count = f"{EXPLORED}.reduce((n, t) => n + t.x.length, 0)"
    assert page.evaluate(count) == 10  # five arms at two lengths
    page.select_option("#explore-by", "seed")
    seen.wait(f"{count} === 30")
    page.select_option("#explore-x", "memory")
    seen.wait("document.getElementById('explore-plot').layout.xaxis.title.text.includes('MiB')")
    for measure in ("trainable_params", "rate", "length"):
        page.select_option("#explore-x", measure)
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
    assert r"\$x\$ `$|$` a\_b \& 100\%" in latex
    assert latex.startswith("\\begin{tabular}")
    assert latex.count("\\\\\n") == 38


def test_hostile_names_are_text_in_figures(seen: Seen) -> None:
    seen.drawn("accuracy-length")
    seen.drawn("accuracy-parameters")
    assert seen.page.locator("img[src=x]").count() == 0
    names = seen.page.evaluate(f"{TRACES}.map(t => t.name)")
    assert HOSTILE in names
    assert seen.page.locator("#figure-accuracy-length").get_by_text(HOSTILE[:40]).count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone(
    chromium: Browser, page_file: Path, scheme: Any
) -> None:
    seen = opened(
        chromium, page_file, viewport={"width": 390, "height": 844}, color_scheme=scheme,
        has_touch=True, is_mobile=True,
    )  # fmt: skip
    for name in ("accuracy-length", "accuracy-parameters", "memory-length"):
        seen.drawn(name)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") is (scheme == "light")
    ink = seen.page.evaluate(f"{TRACES}.find(t => t.meta === 'arm:Full').line.color")
    assert (ink == "#222222") is (scheme == "light")
    assert seen.console == []
    seen.page.context.close()


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
