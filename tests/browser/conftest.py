"""Reports in Debian's Chromium, without a network. Skipped if Chromium or playwright is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.page import build_report
from tests.reports.conftest import make_cell, write_run

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


def opened(browser: Browser, file: Path, **options: Any) -> Seen:
    """The page in a new context."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.console.append(message.text))
    seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(file.as_uri())
    return seen


@pytest.fixture
def seen(chromium: Browser, page_file: Path) -> Iterator[Seen]:
    """The page; afterwards its console is empty, and it asked for nothing but itself."""
    found = opened(chromium, page_file)
    yield found
    assert found.console == []
    others = [u for u in found.requests if not u.startswith(("data:", "blob:"))]
    assert others == [page_file.as_uri()]
    assert found.page.title() == "bench-long: browser"
    found.page.context.close()
