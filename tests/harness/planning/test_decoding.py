"""Methods with a state over tokens are refused where a model decodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep

SWEEP = "name: s\nbackbone: smollm2\nmethods: [{hrm: {rank: 4, target: mlp}}]\n"
USES = {
    "probe.decode": "probe: {lengths: [16], decode: 4}\n",
    "task needle_written": "tasks: [needle_written]\nlengths: [96]\ntrain: {test_examples: 4}\n",
}


@pytest.mark.parametrize("use", USES)
def test_a_state_over_tokens_cannot_decode(tmp_path: Path, use: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP + USES[use])
    with pytest.raises(BadInput, match=rf"s.yaml: methods.hrm: .* cannot decode; {use} needs it"):
        make_plan(load_sweep(path), path)
    path.write_text(SWEEP.replace("hrm", "lora") + USES[use])
    make_plan(load_sweep(path), path)
