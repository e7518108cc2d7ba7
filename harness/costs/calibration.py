"""A short calibration of this machine: a few real steps of small models with random weights.

The result is cached by machine, libraries, number format and device.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.core.cell import Cell
from harness.costs import cache
from harness.costs.pool import workers
from harness.costs.rates import Calibration, Point
from harness.costs.shapes import shape_cost, shape_of
from harness.models.backbones import RANDOM, Backbone

_ENCODER: dict[str, Any] = {
    "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 30522, "hidden_size": 384,
    "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
    "max_position_embeddings": 512,
}  # fmt: skip
_DECODER: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152,
    "hidden_size": 576, "num_hidden_layers": 4, "num_attention_heads": 9, "num_key_value_heads": 3,
    "intermediate_size": 1536, "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
_MEASURED = (
    (_ENCODER, "lora", (64, 256, 1024)), (_ENCODER, "full", (64, 512)),
    (_DECODER, "lora", (64, 256)), (_DECODER, "full", (128,)),
)  # fmt: skip
"""Model, method, lengths: of an encoder with a classifier, and of a language model."""

_ON_GPU = 8
"""Factor of the lengths on a GPU, where short steps are all overhead."""

_REPEATS = 2
"""Steps, after a first one, of which the fastest counts."""


def calibration(
    dtype: str, device: str, machine: dict[str, Any], measure: bool = True
) -> Calibration | None:
    """Return the calibration of this machine from the cache, or measure it in a new process.

    None if that fails.

    Args:
        dtype: of cells.
        device: of cells.
        machine: describes this machine (`describe_machine`).
        measure: False returns None if it is not in the cache.
    """
    facts = {name: machine[name] for name in ("host", "cpu", "cores")}
    key = cache.key_of("calibration", facts, dtype, device)
    found = cache.read("calibration", key, Calibration)
    if found is None and measure:
        with workers(1) as pool:
            try:
                found = pool.submit(measured, dtype, device).result()
            except (RuntimeError, OSError, MemoryError):  # a lost process is a RuntimeError
                return None
        cache.keep("calibration", key, found)
    return found


def measured(dtype: str, device: str) -> Calibration:
    """Run the steps here, on one thread, as cells do."""
    import torch

    torch.set_num_threads(1)
    points: list[Point] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (config, method, lengths) in enumerate(_MEASURED):
            place = Path(folder) / str(number)
            place.mkdir()
            (place / "config.json").write_text(json.dumps(config))
            backbone = Backbone(config["model_type"], place, "calibration", RANDOM)
            for length in lengths:
                factor = _ON_GPU if device == "cuda" else 1
                points += _points(_cell(config, method, length * factor, dtype, device), backbone)
    return Calibration(points=points)


def _cell(config: dict[str, Any], method: str, length: int, dtype: str, device: str) -> Cell:
    causal = config is _DECODER
    adapter: dict[str, Any] = {}
    if method == "lora":
        adapter = {"density": 1.0, "placement": "alternate", "rank": 8, "alpha": 16.0}
        adapter["target"] = "attention"
    return Cell.model_validate({
        "kind": "probe", "task": None, "backbone": config["model_type"], "method": method,
        "length": length, "seed": 0, "lr": 1e-4, "batch_size": 1, "dtype": dtype, "device": device,
        "uses_lm_head": causal, "lm_loss": "chunked" if causal else None, **adapter,
    })  # fmt: skip


def _points(cell: Cell, backbone: Backbone) -> Iterator[Point]:
    """Yield a training step and a forward pass: the work of a dry run, and the fastest step."""
    import torch

    from harness.core.timing import PHASES
    from harness.models.chunked_loss import use_chunked_loss
    from harness.models.load import load_classifier, load_language_model
    from harness.models.quiet import quiet
    from harness.training.methods import adapt
    from harness.training.timing import Probe

    cost = shape_cost(shape_of(cell), backbone)
    if cost.train is None or cost.eval is None:
        raise RuntimeError(cost.reason)
    torch.manual_seed(0)
    with quiet(), torch.device(cell.device):
        model: Any
        if cell.uses_lm_head:
            model = load_language_model(backbone, cell.length, 0.0, 0)
            use_chunked_loss(model)
        else:
            model = load_classifier(backbone, 2, cell.length, 0.0, 0)
        model = adapt(model, cell).model
    probe = Probe(model, cell)
    for phase in PHASES:
        probe.run(phase)
        readings = [reading for _ in range(_REPEATS) if (reading := probe.timed(phase))]
        step = cost.train if phase == "train" else cost.eval
        yield Point(
            work=step.work,
            wall=min(reading.wall for reading in readings),
            cpu=min(reading.cpu for reading in readings),
        )
