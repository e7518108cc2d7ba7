"""Larger reports: two tasks, pages of cells, figures without a picture; and two runs compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import HOSTILE, Seen, visited

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

EXPLORED = "document.getElementById('explore-plot').data"
LIVE = "accuracy-parameters-newsgroups"
"""A figure without a picture."""


def test_a_task_can_be_chosen_and_brings_its_metric(large: Seen) -> None:
    page = large.page
    large.explored()
    tasks = page.locator("#explore-group option").all_text_contents()
    assert tasks == ["kernel", "newsgroups"]
    title = "document.getElementById('explore-plot').layout.yaxis.title.text"
    assert page.evaluate(title) == "Test loss (nats per token)"
    assert page.evaluate(f"{EXPLORED}.map(t => t.x.length)") == [2, 2]
    page.select_option("#explore-group", label="newsgroups")
    large.wait(f"{title} === 'Test accuracy'")
    names = page.evaluate(f"{EXPLORED}.map(t => t.name)")
    assert names == [
        "Full", "LoRA 1", "LoRA 1/2", "SSMLoRA 1", "SSMLoRA 1/2", "SSMLoRA 1/4", "TF-IDF",
    ]  # fmt: skip
    legend = page.locator("#explore-legend button").all_text_contents()
    assert [text.strip("◆■●▲▼◀▶✚★✖– ") for text in legend] == names


def test_the_front_prefers_a_low_loss(large: Seen) -> None:
    page = large.page
    large.explored()
    page.select_option("#explore-x", "trainable_params")
    page.locator("#explore-front").check()
    large.wait(f"{EXPLORED}.some(t => t.meta === 'front')")
    points: list[Any] = page.evaluate(
        f"{EXPLORED}.filter(t => t.meta !== 'front').flatMap(t => t.x.map((x, i) => [x, t.y[i]]))"
    )
    front = page.evaluate(f"(t => t.x.map((x, i) => [x, t.y[i]]))({EXPLORED}.at(-1))")
    assert sorted(front) == sorted(
        [x, y]
        for x, y in points
        if not any(a <= x and b <= y and (a < x or b < y) for a, b in points)
    )
    assert 0 < len(front) < len(points)


def test_pages_of_the_table_are_turned(large: Seen) -> None:
    page = large.page
    rows = page.locator("#cell-table tbody tr")
    said = page.locator("#cell-table [role=status]").first
    before, after = (page.get_by_role("button", name=name) for name in ("Previous", "Next"))
    assert (rows.count(), said.text_content()) == (50, "1 to 50 of 76 cells")
    assert before.is_disabled()
    after.press("Enter")
    assert (rows.count(), said.text_content()) == (26, "51 to 76 of 76 cells")
    assert after.is_disabled()
    page.fill("#cell-filter", "oom")  # fewer pages than before
    large.wait("document.querySelectorAll('#cell-table tbody tr').length === 1")
    page.fill("#cell-filter", "")
    large.wait("document.querySelectorAll('#cell-table tbody tr').length === 50")
    after.click()
    before.click()
    assert said.text_content() == "1 to 50 of 76 cells"


def test_figures_without_a_picture_are_printed_for_paper(large: Seen, tmp_path: Path) -> None:
    page = large.page
    page.emulate_media(color_scheme="dark")
    box = large.drawn(LIVE)
    screen = box.locator(".plot").bounding_box()["width"]
    assert screen > 700
    page.evaluate(f"""() => {{
        window.state = () => {{
            const box = document.querySelector("#figure-{LIVE} .plot");
            const full = box.data.find(t => t.meta === "arm:Full");
            return [box.layout.width, full.marker.color, box.layout.font.color];
        }};
        addEventListener("beforeprint", () => {{ window.printed = state(); }}); // after the page's
    }}""")
    dark = page.evaluate("state()")
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert page.evaluate("printed") == [660, "#222222", "#1a1a1a"]
    large.wait(f"state()[0] === {screen}")  # as before
    assert page.evaluate("state()") == dark
    assert dark[1] != "#222222"
    page.emulate_media(media="print")
    assert box.locator(".plot").is_visible()
    assert not box.locator(".still").is_visible()
    assert box.locator(".legend").is_visible()
    unseen = page.locator("figure.live:not(.drawn)").first
    assert unseen.locator(".still").is_visible()  # its values, as text
    assert not unseen.locator(".plot").is_visible()


def test_without_scripts_figures_without_a_picture_are_text(
    chromium: Browser, large_file: Path
) -> None:
    with visited(chromium, large_file, java_script_enabled=False) as plain:
        text = plain.page.locator(f"#figure-{LIVE} .still")
        assert text.is_visible()
        assert "LoRA 1" in text.text_content()


def test_a_comparison_of_two_runs_is_such_a_page(chromium: Browser, comparison_file: Path) -> None:
    with visited(chromium, comparison_file) as seen:
        page = seen.page
        assert page.locator("h1").text_content().startswith("bench-long: ")
        assert page.get_by_text(HOSTILE[:30]).count() > 0
        page.evaluate("navigator.clipboard.writeText = async (t) => { window.copied = t; }")
        page.get_by_role("button", name="Copy as Markdown").first.click()
        seen.wait("window.copied !== undefined")
        assert page.evaluate("window.copied").startswith("| ")
