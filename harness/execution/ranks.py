"""Several processes for one cell, one for each device (lever `devices`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import torch
import torch.distributed as dist

from harness.core.cell import Cell
from harness.core.errors import log_traceback
from harness.core.result import OK, CellResult

_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


def run_in_ranks(cell: Cell, run: Callable[[Cell], CellResult]) -> CellResult:
    """Run a cell in as many processes as it has devices; return the first one's result.

    The others are forks of this process. If one fails, the connection of all breaks, and the
    failure that is more than a broken connection is returned.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        pipes, processes = [], []
        for rank in range(1, cell.levers.devices):
            outer, inner = Pipe(duplex=False)
            process = os.fork()
            if not process:
                try:
                    inner.send_bytes(_run(cell, run, rank, store).model_dump_json().encode())
                except BaseException:
                    log_traceback()
                finally:
                    os._exit(0)
            inner.close()
            pipes.append(outer)
            processes.append(process)
        result = _run(cell, run, 0, store)
        others = []
        for pipe, process in zip(pipes, processes, strict=True):
            with suppress(EOFError):  # it died: the first one's connection is broken, too
                others.append(CellResult.model_validate_json(pipe.recv_bytes()))
            pipe.close()
            os.waitpid(process, 0)
    failed = [one for one in (result, *others) if one.status not in (OK, "error")]
    return failed[0] if failed else result


def _run(cell: Cell, run: Callable[[Cell], CellResult], rank: int, store: Path) -> CellResult:
    """Run the cell as one of its processes."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all processes are on this machine
    world = cell.levers.devices
    if cell.device == "cuda":
        torch.cuda.set_device(rank)
    dist.init_process_group(
        _BACKENDS[cell.device],
        init_method=store.as_uri(),
        rank=rank,
        world_size=world,
    )
    try:
        return run(cell)
    finally:
        dist.destroy_process_group()
