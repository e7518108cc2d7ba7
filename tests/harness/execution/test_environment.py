"""A full disk and other surroundings: one line that names the folder and what to set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from tests.harness.conftest import ROOT

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_an_output_that_is_full(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "harness", "tasks"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line
    assert f"{tmp_path}; another folder: $TMPDIR" in line


def test_a_report_that_does_not_fit_names_its_file(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from harness.core.folder import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 9999)\n"
        "except OSError as error: print(error.filename)\n"
    )
    path = tmp_path / "index.html"
    call = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == f"{path}\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_weights_that_cannot_be_unpacked_name_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tokenizers library raises on a full disk is no OSError."""
    import harness.models.gguf

    def full(file: Path, folder: Path) -> None:
        folder.mkdir()
        raise Exception("No space left on device (os error 28)")

    monkeypatch.setattr(harness.models.gguf, "_convert", full)
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match=rf"{tmp_path}/backbones: No space.*\$BENCH_LONG_CACHE"):
        harness.models.gguf.unpacked("model", tmp_path / "model.gguf", "0" * 64, "where")
    assert not list((tmp_path / "backbones").iterdir())
