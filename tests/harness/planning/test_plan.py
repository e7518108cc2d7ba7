"""From sweep files to cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.main import main
from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import HEAD, TFIDF
from harness.core.result import CellResult, Evaluation
from harness.models.backbones import Backbone
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import Sweep, as_file, load_sweep
from tasks import discover
from tasks.base import TokenCounter
from tests.harness.conftest import SWEEPS


def plan(name: str, *changes: str) -> Plan:
    return make_plan(load_sweep(SWEEPS / name, changes), SWEEPS / name)


def test_the_main_sweep_compares_arms_with_the_control() -> None:
    cells = plan("laptop.yaml").cells
    train = {(c.arm, c.length, c.seed) for c in cells}
    arms, lengths = ("Full", "LoRA 1", "SSMLoRA 1/2"), (256, 1024)
    assert train == {
        *((arm, n, seed) for arm in arms for n in lengths for seed in (0, 1, 2)),
        *(("Base", n, 0) for n in lengths),
    }
    assert {(c.window, c.target_tokens, c.lm_loss, c.dtype) for c in cells} == {
        (1024, 128, "chunked", "float32")
    }
    first = {(c.arm, c.seed) for c in cells[:4]}
    assert first == {("Base", 0), ("LoRA 1", 0)}
    costs = [c.estimated_cost for c in cells[4:]]
    assert costs == sorted(costs, reverse=True)


def test_costs_are_measured_for_all_methods_and_densities() -> None:
    cells = plan("cost.yaml").cells
    arms = {"Full", "LoRA 1", "LoRA 1/2", "SSMLoRA 1", "SSMLoRA 1/2", "SSMLoRA 1/4"}
    assert {c.kind for c in cells} == {"probe"}
    for length in (128, 512, 2048):
        assert arms <= {c.arm for c in cells if c.length == length}


SHIPPED = sorted(
    p.name
    for p in SWEEPS.glob("*.yaml")
    if not p.name.startswith("tuned") and p.name != "paper.yaml"
)


LONG_DATA = (
    "init.yaml", "learned.yaml", "long.yaml", "placement.yaml", "study-rates.yaml",
    "gpu.yaml", "overnight.yaml",
)  # fmt: skip
"""Sweeps whose plan reads much data. On a fresh machine, `overnight` prepares pysource."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG_DATA else n for n in SHIPPED]
)
def test_every_sweep_that_is_shipped_can_be_planned(name: str) -> None:
    assert plan(name).cells


@pytest.mark.parametrize("name", LONG_DATA[:-2])
def test_the_settings_of_long_sweeps_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for check in ("check_examples", "quick_findings", "check_reach"):  # they read the data
        monkeypatch.setattr(f"harness.planning.prepare.{check}", lambda *_: [])
    assert plan(name).cells


def test_the_papers_sweep_says_what_to_fetch() -> None:
    with pytest.raises(BadInput) as refused:
        plan("paper.yaml")
    backbone, head, *lines = refused.value.args
    assert "hf download FacebookAI/roberta-base" in backbone
    sweep = load_sweep(SWEEPS / "paper.yaml")
    assert f"the data of {len(sweep.tasks)} tasks is not on this machine" in head
    assert [line.split()[0] for line in lines[: len(sweep.tasks)]] == sweep.tasks
    assert lines[len(sweep.tasks)].count("hf download --repo-type dataset ") == 3
    assert sweep.train.examples == sweep.train.test_examples == "all"
    assert set(sweep.tasks) <= set(discover())


def test_a_backbone_that_cuts_a_tasks_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def cuts_pink(_: Backbone) -> TokenCounter:
        return lambda words: [1 + (word == "pink") for word in words]

    assert plan("smoke.yaml", "tasks=[needle]", "lengths=[64]").cells
    monkeypatch.setattr("harness.planning.prepare.word_counter", cuts_pink)
    with pytest.raises(BadInput, match=r"tasks: needle: .*'pink' into several"):
        plan("smoke.yaml", "tasks=[needle]", "lengths=[64]")


def test_tuned_rates_come_from_the_study() -> None:
    study = yaml.safe_load((SWEEPS / "tuned.yaml").read_text())
    rates = {(e["arm"]["method"], e["arm"]["density"]): e["lr"] for e in study["entries"]}
    for cell in plan("newsgroups.yaml").cells:
        if cell.kind == "train" and cell.method not in (HEAD, TFIDF):
            assert cell.lr == rates[cell.method, cell.density]
    assert len({len(e["tries"]) for e in study["entries"]}) == 1


def test_longest_first_and_probes_last() -> None:
    cells = plan("smoke.yaml").cells
    kinds = [c.kind for c in cells]
    assert kinds == sorted(kinds, reverse=True)
    train = [c.estimated_cost for c in cells if c.kind == "train" and c.method != "head"]
    assert [c.method for c in cells[:2]] == ["head"] * 2
    assert train == sorted(train, reverse=True)


def test_an_override_reaches_the_cells() -> None:
    cells = plan("smoke.yaml", "train.examples=24", "seeds=[3, 4]", "probe=null").cells
    assert {c.examples for c in cells} == {24}
    assert {c.seed for c in cells} == {3, 4}
    assert {c.kind for c in cells} == {"train"}


def test_options_of_the_method_make_an_arm_of_their_own() -> None:
    change = "methods=[{ssmlora: {density: 0.5}}, {ssmlora: {density: 0.5, link_state: false}}]"
    arms = {c.arm for c in plan("smoke.yaml", change, "probe=null").cells}
    assert arms == {"SSMLoRA 1/2", "SSMLoRA 1/2 link_state=False", "Head only", "TF-IDF"}


def test_arms_that_differ_have_names_and_rates_of_their_own() -> None:
    settings = ["density: 0.5", "density: 0.505", "alpha: 4", "rank: 4", "alpha: 16.0", ""]
    methods = ", ".join(f"{{lora: {{{text}}}}}" for text in settings)
    cells = plan("smoke.yaml", f"methods=[{methods}]", "probe=null", "lengths=[32]").cells
    arms = {c.arm: c.arm_key for c in cells if c.method != TFIDF}
    assert set(arms) == {
        "LoRA 1/2", "LoRA 0.505", "LoRA 1 alpha=4", "LoRA 1 r4", "LoRA 1", "Head only",
    }  # fmt: skip
    assert "alpha" not in arms["LoRA 1"]
    assert arms["LoRA 1 alpha=4"] == {**arms["LoRA 1"], "alpha": 4.0}


BASE = Cell(
    kind="train", task="newsgroups", backbone="minilm", method="lora", density=0.5,
    placement="alternate", rank=8, alpha=16.0, target="attention", length=64, seed=0, lr=1e-3,
    batch_size=8, examples=32, validation_examples=8, test_examples=8, epochs=1, validations=1,
    dtype="float32", device="cpu", revisions={"task": "a"},
)  # fmt: skip
NO_BACKBONE = Backbone("minilm", Path(), "")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "probe"}, {"task": "listops"}, {"backbone": "x/y"}, {"method": "ssmlora"},
        {"density": 0.25}, {"placement": "even"}, {"rank": 4}, {"alpha": 8.0},
        {"options": {"use_rslora": True}}, {"length": 65}, {"seed": 1}, {"lr": 2e-3},
        {"batch_size": 4}, {"examples": 33}, {"epochs": 2}, {"dropout": 0.1},
        {"dtype": "bfloat16"}, {"device": "cuda"}, {"revisions": {"task": "b"}},
    ],
    ids=str,
)  # fmt: skip
def test_the_id_changes_with_whatever_decides_the_outcome(change: dict[str, object]) -> None:
    assert BASE.model_copy(update=change).id != BASE.id
    assert Cell.model_validate(BASE.model_dump()).id == BASE.id


@settings(max_examples=50)
@given(
    lengths=st.lists(st.integers(8, 4096), min_size=1, max_size=4, unique=True),
    densities=st.lists(
        st.floats(0.01, 1, allow_subnormal=False), min_size=1, max_size=3, unique=True
    ),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
)
def test_a_sweep_survives_its_own_file(
    lengths: list[int], densities: list[float], seeds: list[int]
) -> None:
    sweep = Sweep.model_validate(
        {
            "name": "x",
            "backbone": "minilm",
            "methods": ["full", {"lora": {"density": densities}}, {"vera": {"save_projection": 1}}],
            "tasks": ["newsgroups"],
            "lengths": lengths,
            "seeds": seeds,
        }
    )
    again = Sweep.model_validate(yaml.safe_load(yaml.safe_dump(as_file(sweep))))
    assert again == sweep


def test_a_task_may_refuse_a_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "long_only.py").write_text(
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class LongOnly(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(\n"
        "        update={'name': 'long_only', 'min_length': 100})\n"
    )
    from harness.cli.main import main

    words = ["plan", str(SWEEPS / "smoke.yaml"), "--tasks-dir", str(tmp_path)]
    assert main([*words, "--set", "tasks=[long_only]", "--set", "lengths=[128]"]) == 0
    assert main([*words, "--set", "tasks=[long_only]"]) == 2
    assert "32 tokens is too short for the task 'long_only'" in capsys.readouterr().err


def test_a_plan_says_which_cells_a_folder_has(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [str(tiny), "--out", str(out), "--set", "lengths=[32, 48]"]
    assert main(["plan", *words]) == 0
    new = capsys.readouterr()
    assert str(out) in new.err
    assert "to run" not in new.out
    planned = make_plan(load_sweep(tiny, ["lengths=[32, 48]"]), tiny).cells
    (out / "cells").mkdir(parents=True)
    for cell, status in zip(planned, ("ok", "oom"), strict=False):
        found = CellResult.begun(cell).model_copy(update={"status": status})
        (out / "cells" / f"{cell.id}.json").write_text(found.model_dump_json())
    assert main(["plan", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    states = {line.split()[0]: line for line in lines if line[:12].isalnum()}
    for cell, state in zip(planned, ("done", "failed: oom", "to run", "to run"), strict=True):
        assert states[cell.id].rstrip().endswith(state)
    assert f"{out}: 1 done, 1 failed, 2 to run" in lines
    assert lines[-1].endswith("--retry oom")


def test_a_plan_beside_another_sweeps_results(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "[old] a"
    (out / "cells").mkdir(parents=True)
    (out / "manifest.json").write_text(json.dumps({"name": "other", "ids": ["x"]}))
    first, second = make_plan(load_sweep(tiny), tiny).cells
    evaluations = [
        Evaluation(task="t", value=0.5, status="ok"),
        Evaluation(task="t", status="timeout"),
    ]
    done = {"status": "ok", "evaluations": evaluations}
    found = CellResult.begun(first).model_copy(update=done)
    (out / "cells" / f"{first.id}.json").write_text(found.model_dump_json())
    text = CellResult.begun(second).model_dump_json().replace('"error"', '"[/red]\\u001b"', 1)
    (out / "cells" / f"{second.id}.json").write_text(text)
    before = sorted(p.name for p in out.rglob("*"))
    assert main(["plan", str(tiny), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "done, evaluations: timeout" in told
    # No run writes such a status: the file is damaged, and the cell is run again beside it.
    assert "[/red]" not in told
    assert f"{out}: 1 done, 0 failed, 1 to run" in told
    assert "--retry timeout" in told
    assert "holds the sweep 'other'" in told
    assert before == sorted(p.name for p in out.rglob("*"))


def test_a_plan_in_a_folder_of_other_files(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(tiny), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "0 done, 0 failed, 2 to run" in printed
    assert f"{tmp_path} is not a result folder" in printed
    assert main(["plan", str(tiny), "--out", str(tiny)]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_plan_names_the_arms_whose_rates_are_defaults(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = "methods=[{lora: {density: [0.5, 0.25]}}]"
    assert main(["plan", str(tiny), "--set", "train.lr=null", "--set", methods]) == 0
    assert (
        "not tuned: LoRA 1/2 on newsgroups, LoRA 1/4 on newsgroups"
        in capsys.readouterr().out.splitlines()[-1]
    )


def test_a_plan_writes_a_line_a_cell_where_there_is_no_terminal(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "methods=[{lora: {density: 0.5, use_rslora: true, init_lora_weights: gaussian}}]"
    assert main(["plan", str(tiny), "--set", long]) == 0
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "kind", "cell", "lr", "lr", "from"]
    assert len(rows) == 2
    assert rows[0].rstrip().endswith("seed 0  0.001  sweep")


def test_a_reference_is_a_method_or_an_arm_of_the_sweep() -> None:
    assert plan("smoke.yaml", "comparisons.reference=SSMLoRA 1/2").sweep.comparisons.margin == 0.02
    with pytest.raises(BadInput, match=r"comparisons.reference: no method or arm 'lorra'.*lora"):
        plan("smoke.yaml", "comparisons.reference=lorra")
    with pytest.raises(BadInput, match=r"comparisons\.margin"):
        plan("smoke.yaml", "comparisons.margin=0")
