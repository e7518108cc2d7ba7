"""A model over two processes has the losses of one process (FSDP with gloo on a CPU)."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.folder import read_run
from harness.core.result import CellResult
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from tests.harness.conftest import bench_long

SWEEP = """\
name: divided
backbone: {backbone}
tasks: [{task}]
lengths: [32]
methods:
  - full
  - lora: {{density: 1}}
  - ssmlora: {{density: 1, state_dropout: 0}}
levers: [default, {{devices: 2}}]
controls: {controls}
dtype: float32
train:
  {{examples: 15, batch_size: 4, validation_examples: 8, test_examples: 8, validations: 2,
   lr: 1.0e-3}}
"""


def _by_arm(folder: Path) -> dict[str, CellResult]:
    return {r.arm: r for r in read_run(folder).results.values() if r.cell.method != "tfidf"}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["newsgroups", "pysource_lm"])
def test_two_devices_have_the_losses_of_one(task: str, tmp_path: Path, causal: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    backbone, controls = ("minilm", "[head]") if task == "newsgroups" else (causal, "[]")
    sweep.write_text(SWEEP.format(task=task, backbone=backbone, controls=controls))
    out = tmp_path / "out"
    done = bench_long("run", sweep, "--out", out, "--workers", 1, "--no-cost")
    assert done.returncode == 0, (
        done.stdout + done.stderr + str([p.read_text()[-2000:] for p in out.glob("logs/*.log")])
    )
    found = _by_arm(out)
    several = [arm for arm in found if arm.endswith("2 devices")]
    assert len(several) == (4 if task == "newsgroups" else 3)
    for arm in several:
        two, one = found[arm], found[arm.removesuffix(" 2 devices").rstrip(" ,")]
        assert one.curve
        assert two.curve
        for here, there in zip(two.curve, one.curve, strict=True):
            assert here.train_loss == pytest.approx(there.train_loss, abs=1e-5)
            assert here.validation_loss == pytest.approx(there.validation_loss, abs=1e-5)
        assert one.model
        assert two.model == one.model.model_copy(update={"shared_blocks": 0})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("methods=[{lora: {}}, {adalora: {}}]", "devices: was tested with"),
        ("train.examples=13", "devices: a batch has 1 texts, and each of 2 devices needs one"),
        ("levers=[{devices: 2, micro_batch: 2}]", "devices: does not go with"),
        ("probe={lengths: [32]}", "devices: probes measure one device"),
    ],
)
def test_what_cannot_be_divided_is_refused(change: str, reason: str, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(SWEEP.format(task="newsgroups", backbone="minilm", controls="[]"))
    with pytest.raises(BadInput, match=reason):
        make_plan(load_sweep(sweep, [change]), sweep)
