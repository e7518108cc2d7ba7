"""Time, size and first use of the report of a large run of made-up cells.

    python benchmarks/report_size.py [--cells 5000] [--out DIR]

Prints the CPU time of `build_report`, the size of the page, and, with playwright and Chromium, the
time until the first screen is shown, the table can be used, and the first figure is drawn.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from reports.page import build_report
from tests.reports.conftest import make_cell, write_run

TASKS = 10
LENGTHS = (64, 128, 256, 512, 1024)
SEEDS = 5
DENSITIES = (1.0, 0.5, 0.25, 0.125)


def cells(count: int) -> list[dict[str, Any]]:
    """`count` cells: probes of ten arms, then tasks, lengths, seeds and twenty arms."""
    arms: list[tuple[str, float | None, int]] = [("full", None, 0), ("head", None, 0)]
    arms += [(m, d, k) for k in range(2) for m in ("lora", "ssmlora") for d in DENSITIES]
    arms += [("ia3", 1.0, 0), ("ia3", 0.5, 0)]
    found: list[dict[str, Any]] = []
    for method, density, _ in arms[:10]:
        for length in LENGTHS:
            one = make_cell(method, density, length, kind="probe")
            one["id"] = f"{len(found):012x}"
            found.append(one)
    for task in range(TASKS):
        for method, density, variant in arms:
            for length in LENGTHS:
                for seed in range(SEEDS):
                    one = make_cell(
                        method, density, length, seed=seed, task=f"task{task}", test_examples=200,
                        accuracy=min(0.97, 0.4 + 0.03 * task + 0.0003 * length),
                    )  # fmt: skip
                    if variant:
                        one["arm"] = f"{one['arm']} r32"
                    one["id"] = f"{len(found):012x}"
                    found.append(one)
    return found[:count]


def in_browser(page: Path) -> None:
    """Print the times of a first visit in headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        print("Chromium is not installed")
        return
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        client = tab.context.new_cdp_session(tab)
        # CPU time of the page's main thread, which other programs disturb less.
        client.send("Performance.enable", {"timeDomain": "threadTicks"})

        def said(what: str, since: float) -> None:
            found = client.send("Performance.getMetrics")["metrics"]
            busy = next(m["value"] for m in found if m["name"] == "TaskDuration")
            print(f"{what}: {time.perf_counter() - since:.2f} s; CPU so far: {busy:.2f} s")

        begin = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("#cell-table tbody tr", state="attached", timeout=120_000)
        said("table in use", begin)
        tab.locator("#explorer").scroll_into_view_if_needed()
        tab.wait_for_selector("#explore-plot[data-drawn]", timeout=120_000)
        said("first figure", begin)
        begin = time.perf_counter()
        tab.locator("#cell-table th button").nth(4).click()
        said("sorting", begin)
        browser.close()


def main() -> None:
    """Write the run, then its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.out or Path(scratch)) / "run"
        made = cells(options.cells)
        write_run(folder, made, name="large")
        begin = time.process_time()
        page = build_report([folder], folder / "report")
        print(f"cells: {len(made)}; CPU time: {time.process_time() - begin:.1f} s")
        print(f"page: {page.stat().st_size / 1e6:.2f} MB")
        in_browser(page)


if __name__ == "__main__":
    main()
