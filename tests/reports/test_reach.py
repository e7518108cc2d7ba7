"""Lengths that few test texts reach are marked wherever a score at that length is shown."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from reports.frame import Result, write_csv
from reports.groups import reach_caption, short_reach
from reports.sections.overview import readme_table
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import (
    accuracy_by_density,
    accuracy_by_length,
    accuracy_by_parameters,
    memory_by_length,
    validation_curves,
)
from tests.reports.pages import report, section

pytestmark = pytest.mark.filterwarnings("error")
Load = Callable[..., list[Result]]


def reaching(length: int, reach: float | None, longest: int | None, **more: Any) -> dict[str, Any]:
    whole = more.pop("whole", False)
    data = {"reach": reach, "longest": longest, "whole_texts": whole}
    return make_cell(length=length, **more, data=data)


def licences(**more: Any) -> list[dict[str, Any]]:
    """Every text reaches 64 tokens, none 20,000: the longest has 12,610."""
    return [
        reaching(length, share, longest, density=density, **more)
        for length, share, longest in ((64, 1.0, 64), (20_000, 0.0, 12_610))
        for density in (1.0, 0.5)
    ]


def words_of(figure: Figure) -> list[str]:
    figure.canvas.draw()
    found = [axes.get_title() for axes in figure.axes]
    return found + [t.get_text() for axes in figure.axes for t in axes.get_xticklabels()]


def notes_of(results: list[Result]) -> dict[int, str]:
    return {length: one.note for length, one in short_reach(results).items()}


@pytest.mark.parametrize(
    ("reach", "note"),
    [
        (1.0, None), (0.5, None), (0.499, "49 % reach"), (0.12, "12 % reach"),
        (0.004, "< 1 % reach"), (0.0, "0 % reach"), (None, None),
    ],
)  # fmt: skip
def test_a_share_below_one_half_is_noted_and_never_rounded_up(
    load: Load, reach: float | None, note: str | None
) -> None:
    notes = notes_of(load([reaching(512, reach, 300)]))
    assert notes == ({} if note is None else {512: note})


def test_declared_whole_texts_are_labelled_with_the_longest(load: Load) -> None:
    found = load([reaching(512, 0.0, 97, whole=True), reaching(64, 0.2, 64, whole=True)])
    assert notes_of(found) == {64: "20 % reach", 512: "longest text 97"}
    caption = reach_caption(short_reach(found))
    assert "512 tokens: 0 % of the test texts reach it, the longest has 97 tokens" in caption
    assert "64 tokens: 20 % of the test texts reach it" in caption


DRAWN: dict[str, tuple[Callable[[Sequence[Result]], Figure], str]] = {
    "length": (accuracy_by_length, "20000\n(0 % reach)"),
    "parameters": (accuracy_by_parameters, "20000 tokens (0 % reach)"),
    "density": (accuracy_by_density, "20000\n(0 % reach)"),
    "curves": (validation_curves, "20000 tokens (0 % reach)"),
    "memory": (memory_by_length, "20000\n(0 % reach)"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_marks_the_length(load: Load, name: str) -> None:
    draw, label = DRAWN[name]
    told = words_of(draw(load(licences())))
    assert label in told
    assert not any(word.startswith("64") and "reach" in word for word in told)


def test_probes_fill_their_length_and_have_no_mark(load: Load) -> None:
    probes = [make_cell(length=n, kind="probe") for n in (64, 20_000)]
    assert not any("reach" in word for word in words_of(memory_by_length(load(probes))))


def test_tables_captions_and_alternatives_say_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path, licences())
    root = report(tmp_path, licences())
    told = "20000 tokens: 0 % of the test texts reach it, the longest has 12610 tokens."
    assert told in section(root, "overview").text
    for anchor in ("accuracy", "density", "parameters", "curves", "memory"):
        assert told in section(root, anchor).all("figcaption")[0].text, anchor
    for anchor in ("accuracy", "density", "parameters", "memory"):
        assert told in section(root, anchor).all("img")[0].attributes["alt"], anchor
    heads = [th.text for th in section(root, "overview").all("th")]
    assert "20000 tokens (0 % reach)" in heads
    assert "64 tokens" in heads
    assert "20000 tokens (0 % reach)" in readme_table(folder)
    rows = list(csv.DictReader(write_csv(folder).read_text(encoding="utf-8").splitlines()))
    assert {(row["length"], row["reach"], row["longest"]) for row in rows} == {
        ("64", "1.0", "64"), ("20000", "0.0", "12610"),
    }  # fmt: skip
    (table,) = section(root, "cells").all("table")
    assert "12610" in table.text


def test_old_files_have_no_mark(load: Load) -> None:
    found = load([make_cell(length=n) for n in (64, 20_000)])
    assert notes_of(found) == {}
    assert reach_caption(short_reach(found)) == ""
    assert [r["reach"] for r in found] == [None, None]
