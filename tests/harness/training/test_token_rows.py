"""Token ids on disk come back as they were, or not at all."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.training.token_rows import TokenRows


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), max_size=9))
@settings(max_examples=50, deadline=None)
def test_rows_on_disk_come_back(rows: list[list[int]]) -> None:
    kept = TokenRows()
    for start in range(0, len(rows), 2):
        kept.extend(rows[start : start + 2])
    assert list(kept) == rows == kept[:]
    assert kept.sizes() == [len(row) for row in rows]
    with pytest.raises(IndexError):
        kept[len(rows)]


def test_a_disk_that_takes_a_part_is_an_error() -> None:
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "from harness.training.token_rows import TokenRows\n"
        "TokenRows().extend([[7] * 1000])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert f"{tempfile.gettempdir()}: temporary files cannot be written" in done.stderr
    assert "$TMPDIR" in done.stderr
