"""Arms of several folders are compared with the reference that was trained alike."""

from __future__ import annotations

from pathlib import Path

from reports.compare import declared
from tests.reports.test_joining import cell, runs_of, training_groups


def test_an_arm_with_one_rate_is_paired_with_the_arm_of_that_rate(tmp_path: Path) -> None:
    for single, several in (("ssmlora", "lora"), ("lora", "ssmlora")):
        parts = [
            [cell(64, m, lr=1e-3, accuracy=0.7) for m in (single, several)],
            [cell(64, several, lr=1e-4, accuracy=0.7)],
        ]
        (group,) = training_groups(runs_of(tmp_path / single, *parts))
        lora, chained = ("LoRA 1", "SSMLoRA 1")
        lora += " (lr 0.001)" if several == "lora" else ""
        chained += " (lr 0.001)" if several == "ssmlora" else ""
        found = [(one.arm, one.other) for one in declared(group)]
        assert (chained, lora) in found
        assert all(other == lora for _, other in found)
