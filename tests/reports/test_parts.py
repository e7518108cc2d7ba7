"""The parts of live memory: stacked bars, a table, and a caption from the data."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

from matplotlib.colors import to_rgb
from matplotlib.text import Text as Label

from harness.core.result import LIVE_PARTS
from reports.blocks import Picture
from reports.figures.printed import drawn
from reports.sections.parts import PARTS, memory_parts, parts_figure
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import group, load_run, loaded, rows_of
from tests.reports.test_memory import CELLS, MIB, probe


def lightness(colour: str) -> float:
    """CIE L*, which is what is left of a colour in grey."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    y = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))
    return 116 * y ** (1 / 3) - 16


def test_parts_differ_in_grey() -> None:
    shades = [lightness(part.colour) for part in PARTS.values()]
    assert all(abs(a - b) >= 20 for a, b in pairwise(shades))
    assert all(abs(a - b) >= 6 for a, b in combinations(shades, 2))
    assert sorted(PARTS) == sorted(LIVE_PARTS)


def test_the_table_has_every_length(tmp_path: Path) -> None:
    rows = rows_of(memory_parts(loaded(write_run(tmp_path / "run", CELLS))), "Live peak")
    assert [(r["Arm"], r["Length"]) for r in rows] == [
        ("LoRA 1", "128"), ("LoRA 1", "256"), ("SSMLoRA 1", "128"), ("SSMLoRA 1", "256"),
    ]  # fmt: skip
    assert rows[1] == {
        "Arm": "LoRA 1", "Length": "256", "Live peak": "108.0", "Weights": "10.0",
        "Gradients": "11.0", "Optimizer": "12.0", "Saved: backbone": "13.0",
        "Saved: adapter": "14.0", "Saved: head and loss": "15.0", "Saved: attention": "16.0",
        "Transient": "17.0", "Resident": "300.0",
    }  # fmt: skip
    assert rows[3]["Saved: adapter"] == "14.3"


def test_the_caption_names_the_largest_part(tmp_path: Path) -> None:
    more = [probe("full", None, length, 30 * (length == 256)) for length in (128, 256)]
    blocks = memory_parts(loaded(write_run(tmp_path / "run", [*CELLS, *more])))
    (figure,) = (block for block in blocks if isinstance(block, Picture))
    assert (
        "The largest part at 256 tokens: what the adapter saves in Full (31.9 %) and transient "
        "tensors in LoRA 1 and SSMLoRA 1 (15.7 %)."
    ) in figure.caption
    assert "LoRA 1: 128 tokens: Weights 10 MiB, Gradients 11 MiB" in figure.alt


def test_a_bar_for_each_arm_and_length_on_one_scale(tmp_path: Path) -> None:
    failed = make_cell("full", None, 256, kind="probe", lr=1e-4, status="oom")
    cells = [*CELLS, probe("full", None, 128), failed]
    figure = drawn(parts_figure(group(load_run(write_run(tmp_path / "run", cells)).results)))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes, title in zip(figure.axes, ("Full", "LoRA 1", "SSMLoRA 1"), strict=True):
        assert axes.get_title() == title
        bars = [bar for bar in axes.patches if str(bar.get_gid()).startswith("part:")]
        assert len(bars) == len(PARTS) * (1 if title == "Full" else 2)
        top = max(bar.get_y() + bar.get_height() for bar in bars)
        assert abs(top - (108.3 if title == "SSMLoRA 1" else 108)) < 1e-6 * MIB
    texts = [text.get_text() for text in figure.axes[0].findobj(Label)]
    assert "× oom" in texts
    assert "108" in texts
