"""A cell that was killed in training continues from its checkpoint, as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core.cell import Cell
from harness.execution.cell_main import run_cell
from harness.kept.rules import Keeping
from harness.planning.plan import Plan
from harness.training import checkpoint, loop, meter
from tests.harness.tiny_backbones import only_arm, plan, short_texts

TEXTS = short_texts(14)
STEPS = 14
"""Two epochs of 14 texts in batches of 2."""


class Killed(BaseException):
    """Ends a cell as a signal would: nothing in it catches this."""


def planned(backbone: Path, folder: Path, family: str, arm: str, levers: str = "default") -> Plan:
    """Two epochs with dropout, so that random numbers decide the outcome."""
    more = (
        f"lengths: [48]\nmethods: [{arm}]\ncontrols: []\nlevers: [{levers}]\n"
        "seeds: [3]\nlimits: {checkpoint_seconds: 1}\n"
    )
    made = plan(backbone, folder, family, TEXTS, more)
    return made


def trained(made: Plan) -> Cell:
    return only_arm(made).model_copy(update={"epochs": 2, "validations": 3, "dropout": 0.2})


def outcome(made: Plan, keeping: Keeping | None = None) -> dict[str, Any]:
    result = run_cell(trained(made), made.backbone, made.own_tasks, keeping)
    assert result.ok, result.error
    fields = result.model_dump(include={"curve", "predictions", "scores"})
    return fields | {"tokens": result.data}


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[float]]:
    """Let the next cell be killed in the step after `most`; returns the losses of its steps.

    A cell writes a checkpoint after every fourth step that it does.
    """
    real = loop.train_step

    def watch(most: int) -> list[float]:
        losses: list[float] = []

        def step(*given: Any) -> float:
            if len(losses) == most:
                raise Killed
            losses.append(real(*given))
            return losses[-1]

        monkeypatch.setattr(loop, "train_step", step)
        due = property(lambda _: len(losses) % 4 == 0)
        monkeypatch.setattr(checkpoint.Checkpoints, "due", due)
        return losses

    monkeypatch.setattr(meter.MemoryMeter, "reset", lambda _: None)  # half a second each
    watch(-1)
    return watch


CASES = {
    "full": ("classification", "full", "default"),
    "lora": ("classification", "lora: {}", "{checkpointing: full, micro_batch: 1}"),
    "ssmlora": ("choice", "ssmlora: {}", "default"),
    "adafactor": ("pair", "ssmlora: {density: 0.5}", "{optimizer: adafactor}"),
    "packing": ("language_modelling", "lora: {}", "{packing: true, checkpointing: full}"),
    "vera": ("generation", "vera: {rank: 4}", "{optimizer: adafactor, micro_batch: 1}"),
    "prompt": ("language_modelling", "prompt_tuning: {num_virtual_tokens: 2}", "default"),
}


QUICK = ("ssmlora", "packing")


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in CASES]
)
def test_a_killed_cell_continues_as_if_nothing_had_happened(
    case: str,
    tiny_encoder: Path,
    tiny_causal: Path,
    tmp_path: Path,
    steps: Callable[[int], list[float]],
) -> None:
    family, arm, levers = CASES[case]
    backbone = tiny_causal if family in ("language_modelling", "generation") else tiny_encoder
    made = planned(backbone, tmp_path, family, arm, levers)
    whole = steps(-1)
    expected = outcome(made)
    keeping = Keeping(tmp_path, "none", checkpoint_seconds=1)
    for most in (6, 5):  # after checkpoints in the first and in the second epoch
        steps(most)
        with pytest.raises(Killed):
            outcome(made, keeping)
    last = steps(-1)
    assert outcome(made, keeping) == expected
    assert last == whole[-len(last) :]
    assert len(last) == STEPS - 8


def test_the_end_of_training_is_kept_too(
    tiny_encoder: Path, tmp_path: Path, steps: Callable[[int], list[float]]
) -> None:
    made = planned(tiny_encoder, tmp_path, "classification", "lora: {}")
    keeping = Keeping(tmp_path, "none", checkpoint_seconds=1)
    expected = outcome(made, keeping)
    again = steps(0)
    assert outcome(made, keeping) == expected
    assert again == []


def test_times_and_tokens_of_all_parts_count(
    tiny_encoder: Path, tmp_path: Path, steps: Callable[[int], list[float]]
) -> None:
    made = planned(tiny_encoder, tmp_path, "classification", "lora: {}")
    keeping = Keeping(tmp_path, "none", checkpoint_seconds=1)
    steps(9)
    with pytest.raises(Killed):
        outcome(made, keeping)
    content = checkpoint._read(keeping.checkpoint(trained(made).id))
    steps(-1)
    result = run_cell(trained(made), made.backbone, made.own_tasks, keeping)
    seconds = result.seconds
    assert seconds.train is not None
    assert seconds.wall is not None
    own = (seconds.load or 0) + (seconds.data or 0) + seconds.train - content["seconds"]["train"]
    assert own > (seconds.load or 0) + (seconds.data or 0) > 0
    assert seconds.wall > content["wall"] + own
    assert content["wall"] > content["seconds"]["train"] > 0
    assert len(content["progress"]["tokens"]) == 8


@pytest.mark.parametrize("damage", ["torn", "foreign", "other cell", "other version"])
def test_a_checkpoint_that_does_not_fit_is_not_used(
    damage: str,
    tiny_encoder: Path,
    tmp_path: Path,
    steps: Callable[[int], list[float]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = planned(tiny_encoder, tmp_path, "classification", "lora: {}")
    expected = outcome(made)
    keeping = Keeping(tmp_path, "none", checkpoint_seconds=1)
    steps(4)
    with pytest.raises(Killed):
        outcome(made, keeping)
    path = keeping.checkpoint(trained(made).id)
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        path.write_text("not safetensors")
    elif damage == "other version":
        changed = {**checkpoint.describe_machine(), "torch": "1.0"}
        monkeypatch.setattr(checkpoint, "describe_machine", lambda: changed)
    else:
        other = trained(made).model_copy(update={"seed": 9})
        path.rename(keeping.checkpoint(other.id))
        made.cells[:] = [other]
        steps(-1)
        expected = outcome(made)
    capsys.readouterr()
    anew = steps(-1)
    assert outcome(made, keeping) == expected
    assert len(anew) == STEPS
    assert "the checkpoint cannot be used" in capsys.readouterr().err


def test_methods_with_a_state_of_their_own_have_no_checkpoints(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    made = planned(tiny_encoder, tmp_path, "classification", "adalora: {init_r: 4, target_r: 2}")
    outcome(made, Keeping(tmp_path, "none", checkpoint_seconds=1))
    assert not (tmp_path / "checkpoints").exists()


def test_a_full_disk_ends_no_cell(
    tiny_encoder: Path,
    tmp_path: Path,
    steps: Callable[[int], list[float]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = planned(tiny_encoder, tmp_path, "classification", "lora: {}")
    expected = outcome(made)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    steps(-1)
    assert outcome(made, Keeping(tmp_path, "none", checkpoint_seconds=1)) == expected
    assert "no checkpoint at step 4: " in capsys.readouterr().err
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_values_of_all_kinds_come_back() -> None:
    shared = torch.arange(6.0)
    value = {
        "a": [1, None, True, 0.1, "x"],
        3: (shared, shared[2:4]),
        "b": {"c": torch.ones(2, 2).T, "d": ()},
    }
    tensors: dict[str, torch.Tensor] = {}
    plain = checkpoint._plain(value, "state", tensors)
    again = checkpoint._value(plain, checkpoint._unshared(tensors))
    assert again.keys() == value.keys()
    assert again["a"] == value["a"]
    assert [t.tolist() for t in again[3]] == [shared.tolist(), [2.0, 3.0]]
    assert again["b"]["d"] == ()
