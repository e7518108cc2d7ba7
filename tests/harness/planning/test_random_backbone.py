"""Sweeps whose backbone is a configuration with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.execution.cell_main import run_cell
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import as_file, load_sweep

SWEEP = """\
name: shapes
backbone: {config: mine, weights: random}
methods: [full, {lora: {density: 0.5}}]
probe: {lengths: [16], steps: 2, seconds: 0}
dtype: float32
"""


def write(folder: Path, text: str = SWEEP) -> Path:
    (folder / "mine").mkdir(exist_ok=True)
    settings = {
        "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 64,
    }  # fmt: skip
    (folder / "mine" / "config.json").write_text(json.dumps(settings))
    (folder / "sweep.yaml").write_text(text)
    return folder / "sweep.yaml"


def planned(path: Path, *overrides: str) -> Plan:
    return make_plan(load_sweep(path, overrides), path)


def test_probes_run_on_random_weights(tmp_path: Path) -> None:
    plan = planned(write(tmp_path))
    assert {cell.backbone for cell in plan.cells} == {"mine"}
    assert all(cell.revisions["backbone"].startswith("config:") for cell in plan.cells)
    result = run_cell(plan.cells[0], plan.backbone)
    assert result.ok, result.error
    assert result.model
    assert "random" in (result.model.weights or "")


def test_the_sweep_is_written_as_it_was_read(tmp_path: Path) -> None:
    given = {"config": "mine", "weights": "random"}
    assert as_file(load_sweep(write(tmp_path)))["backbone"] == given


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(BadInput) as error:
        planned(path, *overrides)
    return "\n".join(error.value.args)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = refused(path, "tasks=[newsgroups]", "lengths=[64]")
    assert "random weights has costs, but no scores" in found
    assert "Did you mean" in refused(path, "backbone.config=llama-2-7")
    wrong = refused(path, "backbone={config: mine, weight: random}")
    assert f"{path}: backbone.weights: is missing" in wrong
    assert "backbone.weight: unknown key. Did you mean 'backbone.weights'?" in wrong
    assert "backbone: expected a text: put it in quotes (found 3)" in refused(path, "backbone=3")
