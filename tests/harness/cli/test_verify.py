"""`bench-long verify` runs a claim's sweep and compares with the published results."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from reports import claims
from tests.harness.conftest import TINY, results_here

CLAIM = """\
title: Tiny
words: as good
source: Nobody
link: https://example.org
sweep: sweeps/tiny.yaml
published: published/tiny
tests:
  - {arm: LoRA 1/2, other: Head only, expects: comparable}
not_tested: all else
"""


def test_a_claim_without_results_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "CLAIMS", tmp_path)
    about = CLAIM.partition("sweep:")[0] + "not_tested: A test needs a hundred GPUs.\n"
    (tmp_path / "dear.yaml").write_text(about)
    assert main(["verify", "dear"]) == 2
    assert "there is no published result. A test needs a hundred GPUs" in capsys.readouterr().err


@pytest.mark.slow
def test_this_machine_reproduces_its_own_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_LONG_NO_COST", "1")
    monkeypatch.setattr(claims, "CLAIMS", tmp_path / "claims")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "tiny.yaml").write_text(CLAIM)
    sweep = tmp_path / "sweeps" / "tiny.yaml"
    sweep.parent.mkdir()
    sweep.write_text(TINY.replace("controls: []", "controls: [head]\nseeds: [0, 1, 2]"))
    run = tmp_path / "run"
    assert results_here(sweep, "--out", run) == 0
    assert (
        main(["publish", str(run), "--partial", "--to", str(tmp_path / "published" / "tiny")]) == 0
    )
    assert main(["verify", "tiny", "--run", str(tmp_path / "again")]) == 0
    out = capsys.readouterr().out
    assert "LoRA 1/2 minus Head only at 32 tokens: here" in out
    assert ": inside" in out
    assert "claim tiny: reproduced on this machine" in out
