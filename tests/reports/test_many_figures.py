"""A report with more figures than are drawn for print."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import page
from reports.page import build_report
from tests.reports.conftest import laptop_cells, write_run
from tests.reports.pages import check_harmless, data_of, read


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(page, "MOST_PRINTED", 2)
    return write_run(tmp_path / "run", laptop_cells())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".html")


def test_only_the_first_figures_are_drawn_for_print(run: Path) -> None:
    root = read(build_report([run], run / "report", vector=True))
    assert files(run / "report") == ["accuracy-density.png", "accuracy-length.png"]
    figures = [f for f in root.all("figure") if f.attributes.get("id")]
    live = [f for f in figures if f.attributes.get("class") == "live"]
    assert len(figures) == len(data_of(root, "figures")) == 6
    assert len(live) == 4
    assert all(f.all("img") for f in figures if f not in live)
    for figure in live:  # without scripts, the values
        (text,) = [p.text for p in figure.all("p")]
        (plot,) = [d for d in figure.all("div") if "data-figure" in d.attributes]
        assert text == plot.attributes["aria-label"]
        assert ".png" not in figure.all("figcaption")[0].text
    check_harmless(root)


def test_all_figures_are_drawn_if_asked_for(run: Path) -> None:
    root = read(build_report([run], run / "report", every=True))
    assert len(files(run / "report")) == len(root.all("img")) == 6
