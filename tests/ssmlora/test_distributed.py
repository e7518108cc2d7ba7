"""Two processes on half a batch each train to the weights of one process on the whole batch."""

from __future__ import annotations

import faulthandler
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel

from tests.ssmlora.tiny import adapted, bert, distance, furthest, tokens


def train(rank: int, world: int, folder: str, settings: dict[str, Any]) -> None:
    """Three steps on rows rank, rank + world, ...; the weights end up in a file."""
    torch.set_num_threads(1)
    if world > 1:  # a process that hangs prints where, and ends
        faulthandler.dump_traceback_later(100, exit=True)
    model: Any = adapted(bert(layers=3), modules_to_save=["classifier"], **settings).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    wrapped = model
    if world > 1:
        store = f"file://{folder}/store"
        dist.init_process_group(
            "gloo", init_method=store, rank=rank, world_size=world, timeout=timedelta(seconds=90)
        )
        wrapped = DistributedDataParallel(model)  # find_unused_parameters stays off
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for step in range(3):
        ids = tokens(rows=4, seed=step)[rank::world]
        labels = (torch.arange(4) % 3)[rank::world]
        wrapped(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    weights = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    save_file(weights, Path(folder, f"{world}-{rank}.safetensors"))
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


@pytest.mark.parametrize(
    "settings", [{}, pytest.param({"link_state": False}, marks=pytest.mark.slow)]
)
def test_two_processes(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = str(tmp_path)
    train(0, 1, folder, settings)
    # New processes: a fork of one whose backward passes have started threads can hang, and a
    # connection that hangs must not stop the other tests.
    both = [
        get_context("spawn").Process(target=train, args=(r, 2, folder, settings)) for r in (0, 1)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(110)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    one, first, second = (
        load_file(tmp_path / f"{name}.safetensors") for name in ("1-0", "2-0", "2-1")
    )
    assert furthest(first, second) == 0.0
    assert furthest(first, one) < 1e-8
    start = dict(adapted(bert(layers=3), **settings).named_parameters())
    name = next(iter(one))
    assert distance(one[name], start[name]) > 1e-2  # it did train
