"""Reading a run folder: every field, every kind of damage, retries, and what the sweep lists."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.core.cell import density_label
from harness.core.columns import CORE_COLUMNS as HOUSE
from harness.core.columns import EXTRA_COLUMNS as EXTRAS
from harness.core.folder import write_atomically
from harness.core.values import LONGEST_TEXT as LONGEST
from harness.core.values import clean, number
from reports.frame import Run, as_frame
from tests.reports.conftest import laptop_cells, make_cell, write_run
from tests.reports.faces import load_run

GOOD = make_cell()


def changed(part: str, key: str, value: Any) -> dict[str, Any]:
    cell = copy.deepcopy(GOOD)
    (cell[part] if part else cell)[key] = value
    return cell


def run_of(folder: Path, text: str | bytes, name: str = f"{GOOD['id']}.json") -> Run:
    """A run with one good cell, and one file of this content."""
    write_run(folder, [make_cell("full")])
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "cells" / name).write_bytes(content)
    return load_run(folder)


def test_every_column_comes_from_its_place(tmp_path: Path) -> None:
    cell = make_cell("ssmlora", 0.5, 256)
    (result,) = load_run(write_run(tmp_path, [cell])).results
    for name, place, kind in HOUSE + EXTRAS:
        expected: Any = cell
        for key in place.split("."):
            expected = expected.get(key) if isinstance(expected, dict) else None
        if name not in ("options", "levers", "error"):  # made of several values
            assert result[name] == expected, name
        assert result[name] is None or type(result[name]) is kind, name
    assert result["arm"] == "SSMLoRA 1/2"
    assert (result["sites"], result["links"], result["rank"]) == (6, 4, 8)
    assert result["texts"].values["t0"] == cell["predictions"]["predicted"][0]
    assert len(result["texts"].values) == 500
    assert [point["examples"] for point in result["curve"]] == [176, 344, 512]


def test_the_baseline_has_no_model_settings(tmp_path: Path) -> None:
    (result,) = load_run(write_run(tmp_path, [make_cell("tfidf")])).results
    empty = (
        "density sites links rank lr trainable_params total_params attention "
        "train_tokens_per_s train_peak_bytes"
    )
    for name in empty.split():
        assert result[name] is None, name
    assert result["accuracy"] is not None


def test_a_cell_that_failed_early_keeps_what_was_asked(tmp_path: Path) -> None:
    cell = make_cell(status="oom", model=None, cost=None, seconds={})
    cell["seconds"] = {"wall": 1.5}
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert (result["status"], result["dtype"], result["device"]) == ("oom", "bfloat16", "cpu")
    assert result["wall_s"] == 1.5
    assert result["error"] == "OutOfMemory: the cell ended with oom"
    assert result["log"] == f"logs/{cell['id']}.log"
    assert not result.ok


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ('{"format": 1, "id": "0123', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("[1, 2]", "not a JSON object"),
        ("{}", "id Field required"),
        (changed("", "format", 9), "format 9 is not known here"),
        (changed("", "format", None), "format None is not known here"),
        (changed("", "cell", [1]), "cell "),
        (changed("", "scores", "0.9"), "scores "),
        (changed("", "predictions", [1]), "predictions "),
        (changed("predictions", "ids", "ab"), "predictions.ids "),
        (changed("", "status", "fine"), "status "),
        (changed("", "kind", None), "kind "),
        (changed("", "id", None), "id "),
        (changed("", "id", "fedcba987654"), "it has the id fedcba987654, not the id in its name"),
        (changed("cell", "method", None), "cell.method "),
        (changed("cell", "length", 0), "cell.length "),
        (changed("cell", "length", -64), "cell.length "),
        (changed("cell", "length", 64.5), "cell.length "),
        (changed("cell", "length", 10**400), "cell.length "),
        (changed("cell", "length", True), "cell.length "),
        (changed("cell", "density", 1.5), "cell.density "),
        (changed("scores", "accuracy", "0.9"), "scores.accuracy is not a number"),
        (changed("scores", "accuracy", 87.5), "scores.accuracy is more than 1"),
        (changed("cost", "train_peak_bytes", {"a": 1}), "cost.train_peak_bytes is not a number"),
        (changed("cost", "train_tokens_per_s", -1.0), "cost.train_tokens_per_s is negative"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_the_rest_is_read(
    tmp_path: Path, text: Any, reason: str
) -> None:
    run = run_of(tmp_path, json.dumps(text) if isinstance(text, dict) else text)
    ((name, told),) = run.unreadable
    assert name == f"{GOOD['id']}.json"
    assert reason in told
    assert [result["method"] for result in run.results] == ["full"]


def test_other_things_in_the_folder_do_no_harm(tmp_path: Path) -> None:
    run = run_of(tmp_path, json.dumps(GOOD), name="a.b.json")
    assert run.unreadable == [("a.b.json", "its name is not <id>.json or <id>.retry<n>.json")]
    (tmp_path / "cells" / "a.b.json").unlink()
    (tmp_path / "cells" / "folder.json").mkdir()
    (tmp_path / "cells" / "half.json.tmp").write_text("{")
    (tmp_path / "cells" / "notes.txt").write_text("hello")
    run = load_run(tmp_path)
    assert run.unreadable == [("folder.json", "Is a directory")]
    assert len(run.results) == 1


def test_an_empty_or_missing_folder_is_an_empty_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        run = load_run(folder)
        assert (run.results, run.unreadable, run.ids) == ([], [], None)
        assert run.name == folder.name


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    cell = copy.deepcopy(GOOD)
    cell["scores"] |= {"validation_loss": float("nan"), "secondary": {"macro_f1": float("inf")}}
    cell["curve"] = [{"examples": 8, "validation_score": float("nan")}]
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert result["validation_loss"] is None
    assert result["macro_f1"] is None
    assert result["curve"] == [{"examples": 8, "validation_score": None}]


def test_files_that_know_accuracies_alone_are_read_as_well(tmp_path: Path) -> None:
    cell = copy.deepcopy(GOOD) | {"format": 1}
    scores = cell["scores"]
    scores["macro_f1"] = scores.pop("secondary")["macro_f1"]
    for name in ("metric", "score", "score_low", "score_high", "validation_score"):
        del scores[name]
    cell["curve"] = [{"examples": 8, "validation_accuracy": 0.7}]
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert result["metric"] == "accuracy"
    for name in ("score", "score_low", "score_high", "validation_score"):
        assert result[name] == scores[name.replace("score", "accuracy")]
    assert result["curve"][0]["validation_score"] == 0.7
    assert result["macro_f1"] == scores["macro_f1"]
    assert len(result["texts"].values) == 500


def test_another_metric_is_no_accuracy(tmp_path: Path) -> None:
    cell = copy.deepcopy(GOOD)
    about = {"score": 0.6, "score_low": 0.55, "score_high": 0.65, "test_examples": 500}
    cell["scores"] = {"metric": "micro_f1", "validation_score": 0.6, **about}
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert (result["metric"], result["score"], result["accuracy"]) == ("micro_f1", 0.6, None)
    right = cell["predictions"]["predicted"]
    assert fmean(result["texts"].values.values()) == pytest.approx(fmean(right))


def test_the_last_readable_attempt_counts(tmp_path: Path) -> None:
    cell = make_cell(status="error")
    write_run(tmp_path, [cell])
    folder = tmp_path / "cells"
    for attempt, status in ((1, "oom"), (2, "timeout"), (9, "diverged"), (10, "ok")):
        text = json.dumps(make_cell(status=status))
        (folder / f"{cell['id']}.retry{attempt}.json").write_text(text)
    run = load_run(tmp_path)
    assert [(r["status"], r["attempt"]) for r in run.results] == [("ok", 10)]
    (folder / f"{cell['id']}.retry10.json").write_text("{")
    run = load_run(tmp_path)
    assert [(r["status"], r["attempt"]) for r in run.results] == [("diverged", 9)]
    assert run.unreadable == [(f"{cell['id']}.retry10.json", "not valid JSON")]


def test_the_manifest_says_what_belongs_to_the_sweep(tmp_path: Path) -> None:
    cells = [make_cell(length=64), make_cell(length=128)]
    write_run(tmp_path, cells, missing=3)
    run = load_run(tmp_path)
    assert len(run.ids or ()) == 5
    assert [r["in_sweep"] for r in run.results] == [True, True]
    manifest = {"name": "later", "ids": [cells[1]["id"]]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    run = load_run(tmp_path)
    assert (run.name, run.ids) == ("later", [cells[1]["id"]])
    assert [(r["length"], r["in_sweep"]) for r in run.results] == [(64, False), (128, True)]
    assert {r["run"] for r in run.results} == {"later"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ids": 3, "name": 0}', "[" * 200_000])
def test_without_a_manifest_every_cell_counts(tmp_path: Path, text: str) -> None:
    write_run(tmp_path, [make_cell()])
    (tmp_path / "manifest.json").write_text(text)
    run = load_run(tmp_path)
    assert run.ids is None
    assert run.name == tmp_path.name
    assert [r["in_sweep"] for r in run.results] == [True]


def test_the_order_is_that_of_the_arms_whatever_the_files(tmp_path: Path) -> None:
    cells = laptop_cells()
    run = load_run(write_run(tmp_path / "a", cells))
    back = load_run(write_run(tmp_path / "b", reversed(cells)))
    assert [r["id"] for r in run.results] == [r["id"] for r in back.results]
    arms = list(dict.fromkeys(r["arm"] for r in run.results))
    assert arms == [
        "Full", "LoRA 1", "LoRA 1/2", "SSMLoRA 1", "SSMLoRA 1/2", "SSMLoRA 1/4", "TF-IDF",
    ]  # fmt: skip
    kinds = [r["kind"] for r in run.results]
    assert kinds == sorted(kinds, key=["train", "probe"].index)
    full = [r["length"] for r in run.results if r["arm"] == "Full" and r["kind"] == "train"]
    assert full == [64, 128, 256, 512]


@pytest.mark.parametrize(
    "predictions",
    [
        None,
        {"ids": ["a"], "labels": [1]},
        {"ids": ["a", "b"], "labels": [1, 1], "predicted": [1]},
        {"ids": ["a", "a"], "labels": [1, 1], "predicted": [1, 0]},
    ],
)
def test_predictions_that_do_not_match_are_not_used(tmp_path: Path, predictions: Any) -> None:
    (result,) = load_run(write_run(tmp_path, [changed("", "predictions", predictions)])).results
    assert result["texts"].values == {}
    assert result.ok


def test_texts_are_made_harmless(tmp_path: Path) -> None:
    cell = changed("", "arm", "a\x00b\ud800c\u202ed\ne" + "x" * 10_000)
    cell["environment"] = {"cpu": "\ud800", "torch": None, "odd\nkey": {"a": 1}}
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert result["arm"].startswith("a b c d exx")
    assert len(result["arm"]) == LONGEST
    assert result["arm"].endswith("…")
    assert result["environment"]["cpu"] == " "
    assert result["environment"]["odd key"] == "{'a': 1}"
    assert "torch" not in result["environment"]
    assert clean("naïve 长文本 →") == "naïve 长文本 →"


def test_numbers_of_the_manifest_are_checked() -> None:
    assert number(3) == 3.0
    for value in (True, "3", None, float("inf"), float("nan"), 10**400, [1]):
        assert number(value) is None


@pytest.mark.parametrize(
    ("density", "text"), [(1.0, "1"), (0.5, "1/2"), (0.25, "1/4"), (1 / 3, "1/3"), (0.75, "3/4")]
)
def test_densities_read_as_fractions(density: float, text: str) -> None:
    assert density_label(density) == text


def test_writing_leaves_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.csv"
    write_atomically(path, b"old")

    def refuse(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["results.csv"]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.just(10**400),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
PLACES = [
    (part, key)
    for part, value in GOOD.items()
    for key in ("", *(value if isinstance(value, dict) else ()))
]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=3))
@example(changes=[(("cell", "steps"), 10**400)])
@example(changes=[(("cell", "rank"), 10**400)])
def test_no_content_of_a_cell_stops_the_reading(tmp_path: Path, changes: list[Any]) -> None:
    cell = copy.deepcopy(GOOD)
    for (part, key), value in changes:
        if not key:
            cell[part] = value
        elif isinstance(cell[part], dict):
            cell[part][key] = value
    run = run_of(tmp_path, json.dumps(cell))
    assert len(run.results) + len(run.unreadable) == 2
    assert len(as_frame(run.results)) == len(run.results)
