"""The table of cells as a frame and as CSV; the short tables for the terminal and the README."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import pytest

import reports
from reports.frame import COLUMNS, load_results, write_csv
from reports.sections.overview import readme_table, summary_table
from tests.reports.conftest import make_cell, set_validation, tuning_cells, write_run
from tests.reports.test_use import CELLS

# Word for word what the design promises to scripts.
PROMISED = [
    "id",
    "kind",
    "status",
    "task",
    "backbone",
    "method",
    "density",
    "placement",
    "sites",
    "links",
    "rank",
    "length",
    "seed",
    "lr",
    "trainable_params",
    "total_params",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "train_tokens_per_s",
    "eval_tokens_per_s",
    "train_peak_bytes",
    "eval_peak_bytes",
    "wall_s",
    "dtype",
    "attention",
    "device",
]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_promised_columns_come_first(laptop: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path, [make_cell()])
    assert rows_of(write_csv(folder))[0][: len(PROMISED)] == PROMISED
    assert list(COLUMNS) == PROMISED
    assert list(load_results(laptop).columns[: len(PROMISED)]) == PROMISED


def test_the_csv_says_what_the_files_say(tmp_path: Path) -> None:
    cell = make_cell("ssmlora", 0.5, 256)
    path = write_csv(write_run(tmp_path, [cell, make_cell("tfidf", length=256)]))
    head, first, second = rows_of(path)
    row, baseline = (dict(zip(head, values, strict=True)) for values in (first, second))
    assert path == tmp_path / "results.csv"
    assert row["id"] == cell["id"]
    assert (row["density"], row["sites"], row["links"]) == ("0.5", "6", "4")
    assert float(row["accuracy"]) == cell["scores"]["accuracy"]
    assert int(row["train_peak_bytes"]) == cell["cost"]["train_peak_bytes"]
    assert row["attempt"] == "0"
    assert row["in_sweep"] == "True"
    assert {baseline[name] for name in ("density", "sites", "lr", "dtype", "error")} == {""}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cells", "logs", "manifest.json", "results.csv", "sweep.yaml",
    ]  # fmt: skip


def test_the_csv_of_an_empty_run_has_every_column(tmp_path: Path) -> None:
    full = rows_of(write_csv(write_run(tmp_path / "a", [make_cell()])))
    empty = rows_of(write_csv(write_run(tmp_path / "b", [])))
    assert empty == full[:1]


def test_the_same_files_give_the_same_bytes(laptop: Path, tmp_path: Path) -> None:
    cells = [json.loads(p.read_text()) for p in (laptop / "cells").iterdir()]
    again = write_run(tmp_path, cells, name="laptop")
    assert write_csv(again).read_bytes() == write_csv(laptop).read_bytes()


def test_the_frame_has_types_and_names_what_could_not_be_read(tmp_path: Path) -> None:
    write_run(tmp_path, [make_cell(), make_cell("tfidf"), make_cell("full", status="oom")])
    (tmp_path / "cells" / "broken.json").write_text("{")
    frame = load_results(tmp_path)
    assert frame.attrs["unreadable"] == [("broken.json", "not valid JSON")]
    kinds = {name: str(frame[name].dtype) for name in ("id", "links", "accuracy", "in_sweep")}
    assert kinds == {
        "id": "string", "links": "Int64", "accuracy": "float64", "in_sweep": "boolean",
    }  # fmt: skip
    assert frame["links"].isna().tolist() == [True, False, True]
    assert frame["accuracy"].isna().tolist() == [True, False, False]
    back = pd.read_csv(write_csv(tmp_path))
    assert back["accuracy"].equals(frame["accuracy"])


def cell(task: str, backbone: str, method: str, length: int, **more: Any) -> dict[str, Any]:
    made = make_cell(method, length=length, task=task, **more)
    made["cell"]["backbone"] = backbone
    made["id"] = f"{task}{backbone}{method}{length}{more.get('kind', 'train')}"[:40]
    return made


def test_tasks_and_backbones_are_never_mixed_in_a_row(tmp_path: Path) -> None:
    right = {"news": 90, "code": 60}
    cells = [
        cell(task, backbone, method, 64, correct=[i < n + extra for i in range(100)])
        for task, n in right.items()
        for extra, backbone in enumerate(("minilm", "bert"))
        for method in ("full", "lora")
    ]
    tables = summary_table(write_run(tmp_path, cells))
    found = {
        caption.split(":")[0]: [(row["Arm"], row["64 tokens"]) for row in rows]
        for caption, rows in tables
    }
    assert found == {
        "code, bert": [("Full", "0.610"), ("LoRA 1", "0.610")],
        "code, minilm": [("Full", "0.600"), ("LoRA 1", "0.600")],
        "news, bert": [("Full", "0.910"), ("LoRA 1", "0.910")],
        "news, minilm": [("Full", "0.900"), ("LoRA 1", "0.900")],
    }


def test_costs_stand_at_one_length_that_the_heading_names(tmp_path: Path) -> None:
    cells = [make_cell(m, length=64) for m in ("full", "lora", "tfidf")]
    cells += [make_cell(m, length=n, kind="probe") for m in ("full", "lora") for n in (64, 512)]
    cells += [make_cell(length=1024, kind="probe")]
    cells += [make_cell("full", length=1024, kind="probe", status="oom")]
    ((caption, rows),) = summary_table(write_run(tmp_path, cells))
    assert caption == (
        "newsgroups, minilm: test accuracy by length and cost of training at 512 tokens "
        "(from probes)"
    )
    heads = ["Arm", "64 tokens", "Train tokens/s at 512", "Train peak at 512"]
    assert [list(row) for row in rows] == [heads] * 3
    cost = next(c["cost"] for c in cells if c["arm"] == "Full" and c["cell"]["length"] == 512)
    assert rows[0]["Train tokens/s at 512"] == f"{cost['train_tokens_per_s']:,.0f}"
    assert rows[0]["Train peak at 512"] == f"{cost['train_peak_bytes'] / 2**30:.2f} GiB"
    assert [row["Arm"] for row in rows] == ["Full", "LoRA 1", "TF-IDF"]
    assert rows[2]["Train peak at 512"] == ""


def test_seeds_are_averaged_and_failures_shown(tmp_path: Path) -> None:
    cells = [make_cell(seed=s, accuracy=v) for s, v in enumerate((0.80, 0.84))]
    cells += [make_cell(length=256, seed=s, status="diverged") for s in (0, 1)]
    cells += [make_cell(length=512, seed=0), make_cell(length=512, seed=1, status="oom")]
    ((caption, (row,)),) = summary_table(write_run(tmp_path, cells))
    assert "means of up to 2 seeds" in caption
    assert row["128 tokens"] == f"{fmean(c['scores']['score'] for c in cells[:2]):.3f}"
    assert row["256 tokens"] == "diverged ×2"
    assert row["512 tokens"] == f"{cells[4]['scores']['score']:.3f}; 1 of 2 seeds; oom"


def test_of_several_rates_the_best_on_validation_is_shown(tmp_path: Path) -> None:
    cells = [make_cell(lr=1e-3, accuracy=0.9), make_cell(lr=4e-3, accuracy=0.7)]
    set_validation(cells[0], 0.6)
    set_validation(cells[1], 0.8)
    cells.append(make_cell(lr=8e-3, status="diverged"))
    ((_, (row,)),) = summary_table(write_run(tmp_path, cells))
    assert row["128 tokens"] == "0.700"


def test_a_study_shows_its_validation_scores(tmp_path: Path) -> None:
    ((caption, rows),) = summary_table(write_run(tmp_path, tuning_cells()))
    assert "validation accuracy by length (no test text was read)" in caption
    assert "(from the training runs; probes compare arms)" in caption
    assert {row["128 tokens"] for row in rows} == {"0.882"}  # 0.88 - 0.02 * 0.4² + 0.005


def test_probes_alone_make_a_table_of_costs(tmp_path: Path) -> None:
    cells = [make_cell(m, length=64, kind="probe") for m in ("full", "lora")]
    ((caption, rows),) = summary_table(write_run(tmp_path, cells))
    assert caption == "minilm: cost of training at 64 tokens (from probes)"
    assert [list(row) for row in rows] == [["Arm", "Train tokens/s at 64", "Train peak at 64"]] * 2


def test_failures_alone_make_a_table_of_failures(tmp_path: Path) -> None:
    ((caption, rows),) = summary_table(write_run(tmp_path, [make_cell(status="oom")]))
    assert caption == "newsgroups, minilm: nothing was measured"
    assert rows == [{"Arm": "LoRA 1", "128 tokens": "oom"}]


def test_nothing_makes_no_table(tmp_path: Path) -> None:
    assert summary_table(tmp_path) == []
    cells = [make_cell()]
    folder = write_run(tmp_path / "old", cells, ids=["another"])
    assert summary_table(folder) == []  # left from an earlier form of the sweep


def test_another_metric_is_named(tmp_path: Path) -> None:
    made = make_cell()
    scores = {"score": 0.5, "score_low": 0.4, "score_high": 0.6, "validation_score": 0.5}
    made["scores"] = {"metric": "micro_f1", **scores}
    text = readme_table(write_run(tmp_path, [made]))
    assert "test micro-F1 by length (95 % intervals)" in text.replace("\\", "")
    assert "0.500 (0.400 to 0.600)" in text


def test_documents_show_costs_of_probes_alone_with_ratios_of_their_step_times(
    tmp_path: Path,
) -> None:
    text = readme_table(write_run(tmp_path / "trained", [make_cell()]))
    assert "| Arm | Trainable | Sites | Links | 128 tokens |\n" in text
    text = readme_table(write_run(tmp_path / "probed", CELLS))
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert head.endswith(
        "| Train tokens/s at 128 | Train peak at 128 | Step time / LoRA 1 at 128 |"
    )
    assert [row.split("|")[-2].strip() for row in rows] == ["1.000", "1.200"]


def test_the_readme_table_is_markdown(laptop: Path) -> None:
    text = readme_table(laptop)
    caption, _, head, rule, *rows = text.rstrip("\n").split("\n")
    assert caption.startswith("newsgroups, minilm: test accuracy by length (95 % intervals)")
    heads = [entry.strip() for entry in head.strip("|").split("|")]
    assert heads == [
        "Arm", "Trainable", "Sites", "Links", "64 tokens", "128 tokens", "256 tokens",
        "512 tokens", "Train tokens/s at 1024", "Train peak at 1024",
    ]  # fmt: skip
    assert rule.count("---") == len(heads)
    assert len(rows) == 7
    assert all(row.count("|") == len(heads) + 1 for row in rows)
    assert "| SSMLoRA 1/2 | 38.7 k | 6 | 4 | 0.794 (0.756 to 0.827) |" in text
    assert "| LoRA 1 | 75.9 k | 12 |  | 0.810" in text  # LoRA passes no state on
    assert "| diverged |" in text


@pytest.mark.parametrize("name", ["a|b", "<b>x</b>", "*x*", "[x](y)", "a_b_c", "`x`", "a\nb"])
def test_names_cannot_break_the_readme_table(tmp_path: Path, name: str) -> None:
    text = readme_table(write_run(tmp_path, [make_cell(arm=name)]))
    assert text.count("\n") == 5
    row = text.split("\n")[4]
    assert row.replace("\\|", "").count("|") == row.count("|") - name.count("|")
    assert "<b>" not in text
    assert name not in text


def test_the_face_of_the_room_is_lazy_and_closed() -> None:
    assert reports.summary_table is summary_table
    with pytest.raises(AttributeError, match="no attribute 'wrong'"):
        reports.wrong  # noqa: B018
