"""Numbers of a sweep: YAML 1.2 at every place, in the file and in `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.planning.sweep import Sweep, load_sweep
from tests.harness.conftest import TINY

FORMS = """\
name: 2026-11-28
backbone: minilm
tasks: [newsgroups]
lengths: [0032, 0064]
methods:
  - lora: {density: 5e-1, rank: 008, alpha: 1e1, lr: [1e-3, '2e-3']}
  - ssmlora: {epsilon: 1e-2}
seeds: [007]
train: {warmup: 1e-1, weight_decay: 1e-2, clip: 1e0, dropout: 0e0, lr: 1e-4}
limits: {cell_seconds: 1e3, cell_gib: 25e-1}
lm_eval: {seconds: 1e1}
"""


def check(sweep: Sweep) -> None:
    lora, ssmlora = sweep.methods
    assert (lora.density, lora.rank, lora.alpha, lora.lr) == ([0.5], [8], 10.0, [1e-3, 2e-3])
    assert ssmlora.options == {"epsilon": 0.01}
    assert (sweep.name, sweep.lengths, sweep.seeds) == ("2026-11-28", [32, 64], [7])
    train = sweep.train
    assert (train.warmup, train.weight_decay, train.clip, train.lr) == (0.1, 0.01, 1.0, 1e-4)
    assert (sweep.limits.cell_seconds, sweep.limits.cell_gib) == (1000.0, 2.5)
    assert sweep.lm_eval.seconds == 10.0


def test_numbers_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "forms.yaml"
    path.write_text(FORMS)
    check(load_sweep(path))


def test_numbers_in_overrides(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    check(
        load_sweep(
            path,
            [
                "name=2026-11-28",
                "lengths=[0032, 0064]",
                "seeds=[007]",
                "methods=[{lora: {density: 5e-1, rank: 008, alpha: 1e1, lr: [1e-3, '2e-3']}}, "
                "{ssmlora: {epsilon: 1e-2}}]",
                "train.warmup=1e-1",
                "train.weight_decay=1e-2",
                "train.clip=1e0",
                "train.lr=1e-4",
                "limits={cell_seconds: 1e3, cell_gib: 25e-1}",
                "lm_eval.seconds=1e1",
            ],
        )
    )


@pytest.mark.parametrize("name", ["on", "no", "yes", "2026-11-28"])
def test_words_of_yaml_1_1_are_texts(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace("tiny", name))
    assert load_sweep(path).name == name
