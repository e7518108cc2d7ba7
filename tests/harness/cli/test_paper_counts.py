"""The parameter counts of the SSMLoRA paper, printed by `plan`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.conftest import bench_long

SWEEP = Path(__file__).parents[3] / "sweeps" / "paper-shapes.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "counts"),
    [("llama-2-7b", ("19,988,480", "15,798,272")), ("roberta-base", ("1,327,104", "1,033,728"))],
)
def test_counts(config: str, counts: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_LONG_NO_COST", raising=False)
    shape = f"backbone={{config: {config}, weights: random}}"
    sizes = ("--set", shape, "--set", "probe.lengths=[64]", "--set", "dtype=float32")
    done = bench_long("plan", SWEEP, *sizes, "--device", "h100")
    assert done.returncode == 0, done.stderr
    for count in counts:
        assert count in done.stdout
