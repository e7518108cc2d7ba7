"""Tables of `bench-long fit`: what they show, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.fits import Fit, Fits, Memory, read_fits

GIB = 2**30
MEMORIES = [Memory(name="8GiB", bytes=8 * GIB, reserve_bytes=GIB)]


def table(*rows: Fit, lengths: Sequence[int] = ()) -> Fits:
    return Fits(
        model="tiny", revision="r", memories=MEMORIES, task_type="lm", batch_size=1,
        dtype="float32", lengths=[*lengths], environment={"torch": "2.13"}, rows=list(rows),
    )  # fmt: skip


def row(method: str = "LoRA 1", **more: object) -> Fit:
    parts = {"weights": GIB, "saved_base": 3 * GIB}
    known = {"length": 2048, "fits": True, "live_peak_bytes": 4 * GIB, "parts": parts}
    return Fit.model_validate(
        {"method": method, "lever": "default", "memory": "8GiB", **known, **more}
    )


def test_row_names_length_and_largest_part() -> None:
    assert table(row()).table()[1] == ["LoRA 1", "default", "2,048", "saved: backbone 75%"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"positions": 2048}, "2,048"),
        ({"positions": 2047}, "2,048*"),
        ({"more": True}, "≥ 2,048"),
        ({"length": None, "fits": False}, "none"),
        ({"reason": "no sites", "length": None, "parts": {}}, "no answer"),
    ],
)
def test_marks_of_lengths(more: dict[str, object], text: str) -> None:
    assert row(**more).text == text


def test_notes_say_what_the_marks_mean() -> None:
    learned = table(row(positions=512, learned_positions=True))
    assert "* The model's table of 512 positions is repeated." in learned.notes()
    assert any("Beyond the 512 positions" in note for note in table(row(positions=512)).notes())
    none = table(row("A", reason="no sites"), row("B", reason="no sites"))
    assert "No answer for A, default; B, default: no sites" in none.notes()
    assert "after the reserve: 8GiB: 7.00 GiB." in table(row()).notes()[0]


def test_table_at_a_length_has_all_parts() -> None:
    head, line = table(row(), lengths=[2048]).table()
    assert dict(zip(head, line, strict=True)) == {
        "Method": "LoRA 1", "Lever": "default", "Tokens": "2,048", "GiB": "4.00", "weights": "1.00",
        "gradients": "",
        "optimizer": "", "saved: backbone": "3.00", "saved: adapter": "", "saved: logits": "",
        "saved: attention": "", "transient": "", "8GiB": "yes",
    }  # fmt: skip


def test_an_arm_without_an_answer_has_one_row_that_says_neither_yes_nor_no() -> None:
    none = {"reason": "no sites", "fits": False, "live_peak_bytes": None, "parts": {}}
    found = table(row(**none), row(length=4096, **none), row("Full"), lengths=[2048, 4096]).table()
    assert [(line[0], line[2], line[-1]) for line in found[1:]] == [
        ("LoRA 1", "no answer", ""), ("Full", "2,048", "yes"),
    ]  # fmt: skip


def test_file_is_read_again(tmp_path: Path) -> None:
    made = table(row(), row("Full", length=None, fits=False))
    path = tmp_path / "fit.json"
    path.write_text(made.model_dump_json())
    assert read_fits(path) == made
    path.write_text("{}")
    with pytest.raises(BadInput, match="not a table of bench-long fit"):
        read_fits(path)


def test_csv_has_a_line_for_each_answer() -> None:
    head, line = table(row()).csv().splitlines()
    values = dict(zip(head.split(","), line.split(","), strict=True))
    assert values["length"] == "2048"
    assert values["live_saved_base_bytes"] == str(3 * GIB)
