"""What jobs ask Ray for. Needs no Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.execution.executor import Job, Settings
from harness.execution.executors.ray import demands
from tests.harness.planning.test_plan import BASE, NO_BACKBONE

GIB = 2**30
SMALL = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 8.0 * GIB}}
LARGE = {"Alive": True, "Resources": {"CPU": 16.0, "memory": 64.0 * GIB, "GPU": 2.0}}
LOST = {"Alive": False, "Resources": {"CPU": 64.0, "memory": 512.0 * GIB, "GPU": 8.0}}


def _demands(device: str = "cpu", **changes: Any) -> dict[str, float]:
    nodes = changes.pop("nodes", [SMALL, LARGE, LOST])
    settings = Settings(changes.pop("slots", 2), 60, changes.pop("limit", None))
    cells = (BASE.model_copy(update={"device": device}),) * changes.pop("cells", 1)
    return demands(Job(cells, NO_BACKBONE, Path(), **changes), settings, nodes)


def test_a_job_asks_for_its_predicted_memory() -> None:
    assert _demands() == {"num_cpus": 1}
    assert _demands(memory=3 * GIB, threads=4) == {"num_cpus": 4, "memory": 3 * GIB}
    assert _demands(limit=GIB, cells=3) == {"num_cpus": 1, "memory": 3 * GIB}


def test_a_job_asks_for_no_more_than_the_largest_node_has() -> None:
    assert _demands(memory=100 * GIB, threads=32) == {"num_cpus": 16, "memory": 64 * GIB}
    assert _demands(memory=100 * GIB, nodes=[SMALL]) == {"num_cpus": 1, "memory": 8 * GIB}


def test_gpus_are_shared_by_the_cells_that_run_at_a_time() -> None:
    assert _demands("cuda") == {"num_cpus": 1, "num_gpus": 1.0}
    assert _demands("cuda", slots=4) == {"num_cpus": 1, "num_gpus": 0.5}
    with pytest.raises(BadInput, match="no node has a GPU"):
        _demands("cuda", nodes=[SMALL, LOST])
