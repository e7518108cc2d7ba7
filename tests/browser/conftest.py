"""Reports in Debian's Chromium, without a network. Skipped if Chromium or playwright is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports import page
from reports.changes.changes import changes_between
from reports.changes.page import as_html
from reports.page import build_report
from tests.reports.conftest import laptop_cells, make_cell, write_run
from tests.reports.made import loss_cell

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "</script><img src=x onerror=\"document.title='hit'\"><b>x</b> $x$ `|` a_b & 100%"
FORMULA = "=cmd|' /C calc'!A0"


@dataclass
class Seen:
    """A page that is open, and what it said and asked for."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def wait(self, expression: str) -> None:
        """Wait until an expression is true; the policy of the page forbids Playwright's way."""
        for _ in range(1200):
            if self.page.evaluate(f"Boolean({expression})"):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {expression}")

    def place(self, figure: str, trace: str, point: int = 0) -> tuple[float, float]:
        """Where a point of a trace (its mark) is on the screen, in CSS pixels."""
        found = self.page.evaluate(
            """([id, mark, k]) => {
                const box = document.querySelector(`#${id}`);
                const trace = box.data.find(t => t.meta === mark);
                const [x, y] = ['x', 'y'].map(a => box._fullLayout[
                    trace[`${a}axis`].replace(a, `${a}axis`).replace(/axis1$/, 'axis')]);
                const at = box.getBoundingClientRect();
                return [at.x + x._offset + x.d2p(trace.x[k]), at.y + y._offset + y.d2p(trace.y[k])];
            }""",
            [figure, trace, point],
        )
        return (found[0], found[1])

    def hovered(self, figure: str, trace: str, point: int = 0) -> str:
        """What is shown when the mouse is over a point."""
        self.page.locator(f"#{figure}").scroll_into_view_if_needed()
        x, y = self.place(figure, trace, point)
        self.page.mouse.move(x - 40, y - 40)
        self.page.mouse.move(x, y)
        self.wait(f"document.querySelector('#{figure} .hovertext') !== null")
        return str(self.page.locator(f"#{figure} .hovertext").first.text_content())

    def explored(self) -> None:
        """Show the figure that the reader puts together."""
        self.page.locator("#explorer").scroll_into_view_if_needed()
        self.wait("document.querySelector('#explore-plot[data-drawn]') !== null")

    def drawn(self, figure: str) -> Any:
        """The box of a figure, after it was seen and drawn."""
        box = self.page.locator(f"#figure-{figure}")
        box.scroll_into_view_if_needed()
        self.wait(f"document.querySelector('#figure-{figure} [data-drawn]') !== null")
        return box


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with three seeds, two tasks' worth of arms, failures, probes, and hostile names."""
    cells = []
    for length, top in ((64, 0.6), (128, 0.7)):
        for seed in range(3):
            for method, density in (("full", None), ("lora", 1.0), ("lora", 0.5)):
                gain = 0.05 * (method == "full")
                cells.append(make_cell(method, density, length, seed=seed, accuracy=top + gain))
            for name in (HOSTILE, FORMULA):
                one = make_cell("ssmlora", 1.0, length, seed=seed, accuracy=top, arm=name)
                one["id"] = f"{one['id'][:9]}{seed}{'h' if name == HOSTILE else 'f'}x"
                cells.append(one)
        for method, density in (("full", None), ("lora", 1.0), ("lora", 0.5)):
            cells.append(make_cell(method, density, length, kind="probe"))
    cells.append(make_cell("lora", 1.0, 256, status="oom"))
    folder = write_run(tmp_path_factory.mktemp("browser") / "run", cells, name="browser")
    return build_report([folder], folder / "report")


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two tasks with two metrics and 76 cells; two of its figures have a picture."""
    cells = laptop_cells()
    for method, density in (("lora", 1.0), ("full", None)):
        for length in (128, 256):
            cells += [loss_cell(method, density, length, seed=seed) for seed in range(3)]
    folder = write_run(tmp_path_factory.mktemp("large") / "run", cells, name="browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "MOST_PRINTED", 2)
        return build_report([folder], folder / "report")


@pytest.fixture(scope="session")
def comparison_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `bench-long compare`, with a hostile name."""
    root = tmp_path_factory.mktemp("compared")
    for side, value in (("a", 0.9), ("b", 0.5)):
        cells = [make_cell("lora", 1.0, seed=s, accuracy=value, arm=HOSTILE) for s in range(3)]
        write_run(root / side, cells)
    file = root / "changes.html"
    file.write_text(as_html(changes_between(str(root / "a"), str(root / "b"))), encoding="utf-8")
    return file


def opened(browser: Browser, file: Path, **options: Any) -> Seen:
    """The page in a new context."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.console.append(message.text))
    seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(file.as_uri())
    return seen


@contextmanager
def visited(browser: Browser, file: Path, **options: Any) -> Iterator[Seen]:
    """The page. Afterwards its console must be empty, with no request and no script from a name."""
    found = opened(browser, file, **options)
    title = found.page.title()
    yield found
    assert found.console == []
    others = [u for u in found.requests if not u.startswith(("data:", "blob:"))]
    assert others == [file.as_uri()]
    assert found.page.title() == title != "hit"
    assert found.page.locator("img[src=x]").count() == 0
    found.page.context.close()


@pytest.fixture
def seen(chromium: Browser, page_file: Path) -> Iterator[Seen]:
    """The page of `page_file`."""
    with visited(chromium, page_file) as found:
        yield found


@pytest.fixture
def large(chromium: Browser, large_file: Path) -> Iterator[Seen]:
    """The page of `large_file`."""
    with visited(chromium, large_file) as found:
        yield found
