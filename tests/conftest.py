"""Settings and fixtures of all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine fails no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["BENCH_LONG_NO_COST"] = "1"  # a dry run takes seconds: tests of costs ask for it
os.environ.pop("COLUMNS", None)  # tests read whole lines, as files and pipes get them


@pytest.fixture(scope="session", autouse=True)
def _imported_objects_are_not_collected() -> None:
    """Exclude the objects of imported libraries from garbage collections.

    Otherwise each reset of the memory meter in this process takes half a second.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of pytest, which all workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def _files_are_read_once() -> Iterator[None]:
    """Read embedded data, examples, tokenizers and studies once, as long as they do not change."""
    from tests.read_once import read_files_once

    with pytest.MonkeyPatch.context() as patch:
        read_files_once(patch)
        yield
