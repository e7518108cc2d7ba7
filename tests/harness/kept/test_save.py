"""What a cell has trained is saved, and loads as the report shows it, with the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModel

import harness.kept.save as saving
from harness.core.card import KeptModel, read_kept
from harness.core.cell import Cell
from harness.core.levers import Levers
from harness.core.result import CellResult
from harness.execution.cell_data import read_data
from harness.execution.cell_main import run_cell
from harness.kept.card import licence_of
from harness.kept.load import base_model, trained_model
from harness.kept.rules import Keeping
from harness.planning.plan import Plan
from harness.training.evaluate import evaluate
from tests.harness.tiny_backbones import found, only_arm, plan, short_texts

TEXTS = short_texts(12)


def kept_cell(
    backbone: Path, folder: Path, family: str, arm: str, **changes: Any
) -> tuple[Plan, CellResult]:
    """Train the arm and keep its model in `folder`."""
    more = f"lengths: [48]\nmethods: [{arm}]\ncontrols: []\n"
    made = plan(backbone, folder, family, TEXTS, more)
    cell = only_arm(made)
    cell = cell.model_copy(update={"lr": 0.05, "head_lr": cell.head_lr and 0.05, **changes})
    result = run_cell(cell, made.backbone, made.own_tasks, Keeping(folder, "all", full=True))
    assert result.ok, result.error
    return made, result


def kept_in(folder: Path) -> KeptModel:
    ((model,), broken) = read_kept(folder)
    assert broken == []
    return model


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the model by the lines that the report shows."""
    kept = kept_in(folder)
    lines = kept.lines(f"kept/{kept.id}")
    assert len(lines) <= 3
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    assert not names["model"].training
    return names["model"]


def answers(model: Any, made: Plan, cell: Cell) -> tuple[list[Any], float]:
    _, _, (_, _, test) = read_data(cell, made.backbone, made.own_tasks)
    seen = evaluate(model, cell, test, made.backbone and 1)
    return seen.answers, seen.loss


ARMS = {
    "lora": ("classification", "lora: {density: 0.5}", "adapter"),
    "ssmlora": ("pair", "ssmlora: {rank: 4}", "adapter"),
    "head": ("classification", "head", "head"),
    "full": ("choice", "full", "full"),
    "norms": ("multilabel", "ln_tuning", "adapter"),
    "adalora": ("classification", "adalora: {init_r: 4, target_r: 2, tfinal: 1}", "adapter"),
    "prompts": ("classification", "prompt_tuning: {num_virtual_tokens: 2}", "encoder"),
    "prefixes": ("classification", "prefix_tuning: {num_virtual_tokens: 2}", "encoder"),
    "ssmlora of tokens": ("language_modelling", "ssmlora: {rank: 4}", "adapter"),
    "vera of tokens": ("generation", "vera: {rank: 4}", "adapter"),
    "prompts of tokens": ("language_modelling", "p_tuning: {num_virtual_tokens: 2}", "adapter"),
    "full of tokens": ("language_modelling", "full", "full"),
}  # fmt: skip
QUICK = ("lora", "ssmlora", "head", "ssmlora of tokens")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in ARMS]
)
def test_a_kept_model_gives_the_same_answers(
    name: str,
    tiny_encoder: Path,
    tiny_causal: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, arm, form = ARMS[name]
    backbone = tiny_causal if family in ("language_modelling", "generation") else tiny_encoder
    made, result = kept_cell(backbone, tmp_path, family, arm)
    assert kept_in(tmp_path).form == form
    assert result.predictions is not None
    model = loaded(tmp_path, monkeypatch)
    if form == "adapter":
        assert isinstance(model, PeftModel)
    if name == "prompts of tokens":  # PEFT's own class keeps the outputs of virtual tokens
        model = trained_model(f"kept/{result.id}")
    again, loss = answers(model, made, result.cell)
    kind = made.own_tasks and result.cell.task
    assert kind == "odd"
    if family == "language_modelling":
        assert result.scores is not None
        assert loss == pytest.approx(result.scores.score, abs=1e-5)
    else:
        told = [list(a) if isinstance(a, tuple) else a for a in again]
        kept = [list(a) if isinstance(a, tuple) else a for a in result.predictions.predicted or []]
        assert told == kept
    untrained = answers(base_model(f"kept/{result.id}"), made, result.cell)[1]
    trained = answers(trained_model(f"kept/{result.id}"), made, result.cell)[1]
    assert trained == pytest.approx(loss, abs=1e-6)
    if form == "adapter":
        assert abs(untrained - trained) > 1e-4  # the adapter does something


@pytest.mark.slow
def test_weights_in_bfloat16_are_loaded_as_such(tiny_encoder: Path, tmp_path: Path) -> None:
    levers = Levers(weights="bfloat16")
    made, result = kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}", levers=levers)
    model = trained_model(tmp_path / "kept" / result.id)
    types = {name.split(".")[-3]: p.dtype for name, p in model.named_parameters()}
    assert types["lora_A"] == torch.float32
    assert model.get_base_model().encoder.embeddings.word_embeddings.weight.dtype == torch.bfloat16
    assert result.predictions is not None
    assert answers(model, made, result.cell)[0] == result.predictions.predicted


def test_full_models_are_in_the_format_of_the_hub(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, result = kept_cell(tiny_encoder, tmp_path, "classification", "full")
    folder = tmp_path / "kept" / result.id
    model = trained_model(folder)
    plain = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, model.encoder.state_dict()[name]), name
    ids = torch.tensor([[5, 6, 7]])
    one = model(ids, torch.ones_like(ids))
    assert one.logits.shape == (1, 2)
    assert torch.isnan(one.loss)


def test_another_backbone_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    _, result = kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    file = tmp_path / "kept" / result.id / "kept.json"
    content = json.loads(file.read_text())
    content["cell"]["revisions"]["backbone"] = "sha256:0"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"weights of the backbone .* have changed"):
        base_model(file.parent)
    with pytest.raises(ValueError, match=r"kept\.json: No such file"):
        base_model(tmp_path)


def test_nothing_of_the_machine_is_in_the_files(tiny_encoder: Path, tmp_path: Path) -> None:
    _, result = kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    folder = tmp_path / "kept" / result.id
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "kept.json",
    }  # fmt: skip
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == result.cell.backbone == str(tiny_encoder)


def test_the_card_says_what_the_model_is(tiny_encoder: Path, tmp_path: Path) -> None:
    _, result = kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    text = (tmp_path / "kept" / result.id / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["library_name"] == "peft"
    assert front["base_model"] == str(tiny_encoder)
    assert front["tags"] == ["bench-long", "lora"]
    scores = result.scores
    assert scores is not None
    low, high = scores.score_low or 0.0, scores.score_high or 0.0
    assert f"| {scores.score:.4f} | {low:.4f} to {high:.4f} |" in text
    for known in ("| task | odd: odd |", "| lr | 0.05 |", "| licence | none |", "| seed | 0 |"):
        assert known in text
    assert f"| version | {result.cell.revisions['task']} |" in text


def test_the_licence_is_that_of_the_model_card(tmp_path: Path) -> None:
    assert licence_of(found(tmp_path)) is None
    (tmp_path / "README.md").write_text('---\ntags: [a]\nlicense: "mit"\nlanguage: en\n---\n# x\n')
    assert licence_of(found(tmp_path)) == "mit"
    (tmp_path / "README.md").write_text("# x\nlicense: mit\n")
    assert licence_of(found(tmp_path)) is None


@pytest.mark.parametrize("rule", ["best", "none"])
def test_what_is_not_to_be_kept_leaves_nothing(
    rule: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    made = plan(tiny_encoder, tmp_path, "classification", TEXTS, "lengths: [16]\nmethods: [full]\n")
    keeping = Keeping(tmp_path, rule)  # type: ignore[arg-type]
    for cell in made.cells:
        if cell.method == "full" or rule == "none":
            assert run_cell(cell, made.backbone, made.own_tasks, keeping).ok
    assert not (tmp_path / "kept").exists()


def test_a_model_that_cannot_be_saved_fails_no_cell(
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_atomically", full)
    kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    assert list((tmp_path / "kept").iterdir()) == []
    assert "the model is not kept: [Errno 28] No space left" in capsys.readouterr().err


def test_a_machine_without_the_run_folder_keeps_nothing(
    tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan(
        tiny_encoder, tmp_path, "classification", TEXTS, "lengths: [16]\nmethods: [lora: {}]\n"
    )
    keeping = Keeping(tmp_path / "elsewhere", "all", checkpoint_seconds=1e-9)
    (cell,) = (c for c in made.cells if c.method == "lora")
    assert run_cell(cell, made.backbone, made.own_tasks, keeping).ok
    assert not (tmp_path / "elsewhere").exists()
    log = capsys.readouterr().err
    assert "the model is not kept: " in log
    assert "no checkpoint at step 1: " in log


def test_a_cell_that_fails_later_keeps_no_model(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("later")

    monkeypatch.setattr("harness.execution.cell_main.at_other_lengths", fails)
    with pytest.raises(AssertionError):
        kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_second_attempt_replaces_the_model(tiny_encoder: Path, tmp_path: Path) -> None:
    _, result = kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    (tmp_path / "kept" / result.id / "old").write_text("x")
    kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    assert kept_in(tmp_path).validation_loss is not None
    assert not (tmp_path / "kept" / result.id / "old").exists()
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_the_lines_in_the_documents_are_those_of_the_report(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    kept_cell(tiny_encoder, tmp_path, "classification", "lora: {}")
    lines = kept_in(tmp_path).lines("runs/mine/kept/0123456789ab")
    text = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text()
    assert "\n".join(["```", *lines, "```"]) in text
