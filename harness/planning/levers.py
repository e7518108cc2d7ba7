"""The key `levers` of a sweep file, and the refusal of levers that cannot be used here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from harness.core.cell import Cell
from harness.core.errors import BadInput, nearest, one_line
from harness.core.levers import (
    ATTENTION,
    Checkpointing,
    Devices,
    Levers,
    MicroBatch,
    Optimizer,
    Weights,
)
from harness.core.methods import DIVISIBLE, FULL, TFIDF, ZERO_SHOT
from harness.costs.dividing import is_divisible
from harness.models.backbones import RANDOM, Backbone
from harness.models.quiet import quiet
from harness.system.resources import visible_gpus
from harness.training.peft_methods import refused_lever
from tasks.lib.encoding import IGNORED

if TYPE_CHECKING:
    from harness.planning.sweep import Sweep

DEFAULT = "default"
"""The entry without a lever."""

AUTO = "auto"
"""As many devices as the model needs."""

_ON_CUDA = ("efficient", "cudnn", "flex", "flash_attention_2")
"""Attention kernels whose backward pass needs CUDA."""

_HALF = ("flash", "cudnn", "flash_attention_2")
"""Attention kernels that on CUDA need bfloat16."""

_TRIED = ("checkpointing", "attention", "packing", "optimizer")
"""Levers that depend on a model's code or on a kernel: a small model is trained with them."""

_BLOCKS, _TOKENS = 2, 14
"""Of the model and the texts that are tried."""

_TEXT = ("attention_mask", "input_ids")

_TOLERANCE = 1e-4
"""Largest relative difference between the losses of packed and padded texts."""

Loss = Literal["chunked", "full"]


class Setting(NamedTuple):
    """Levers, and the loss of language models; None: `train.loss`.

    Attributes:
        divided: whether the plan chooses the number of devices; that of `levers` is 1 then.
    """

    levers: Levers
    loss: Loss | None = None
    divided: bool = False


def _attention(name: str) -> str:
    if name not in ATTENTION:
        raise ValueError(
            f"unknown kernel '{name}': one of {', '.join(ATTENTION)}.{nearest(name, ATTENTION)}"
        )
    return name


def _checkpointing(value: Any) -> Any:
    if value in ("off", "full") or (type(value) is int and 2 <= value <= 10_000):
        return value
    raise ValueError("expected off, full or a whole number from 2: every n-th block")


class LeverEntry(BaseModel):
    """One entry of `levers`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpointing: list[Annotated[Checkpointing, BeforeValidator(_checkpointing)]] = Field(
        default=["off"], min_length=1
    )
    micro_batch: list[MicroBatch | None] = Field(default=[None], min_length=1)
    attention: list[Annotated[str, AfterValidator(_attention)] | None] = Field(
        default=[None], min_length=1
    )
    offload: list[StrictBool] = Field(default=[False], min_length=1)
    weights: list[Weights] = Field(default=["float32"], min_length=1)
    optimizer: list[Optimizer] = Field(default=["adamw"], min_length=1)
    packing: list[StrictBool] = Field(default=[False], min_length=1)
    devices: list[Devices | Literal["auto"]] = Field(default=[1], min_length=1)
    loss: list[Loss | None] = Field(default=[None], min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, entry: Any) -> Any:
        if entry == DEFAULT:
            return {}
        if not isinstance(entry, dict):
            raise ValueError(f"expected {DEFAULT}, or levers such as {{checkpointing: full}}")
        return {key: v if isinstance(v, list) else [v] for key, v in entry.items()}

    def settings(self) -> Iterator[Setting]:
        """Yield every combination of the listed values."""
        fields = dict(self)
        for values in product(*fields.values()):
            own = dict(zip(fields, values, strict=True))
            loss = own.pop("loss")
            divided = own["devices"] == AUTO
            yield Setting(Levers(**own | ({"devices": 1} if divided else {})), loss, divided)


def _one_entry(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


LeverEntries = Annotated[list[LeverEntry], Field(min_length=1), BeforeValidator(_one_entry)]
"""The key `levers` of a sweep."""


def lever_settings(sweep: Sweep) -> list[Setting]:
    """Return the settings of all entries, each once."""
    return [*dict.fromkeys(setting for entry in sweep.levers for setting in entry.settings())]


def check_levers(sweep: Sweep, cells: list[Cell], backbone: Backbone, where: str) -> None:
    """Check every lever of the sweep on its cells.

    Raises:
        BadInput: a lever has no effect or cannot be used, with the reason, one line each.
    """
    reasons = dict.fromkeys(_general(sweep, cells))
    used = [cell for cell in cells if cell.levers != Levers() and cell.method != TFIDF]
    for cell in used:
        reasons.update(dict.fromkeys(_static(cell, backbone)))
    if reasons:
        raise BadInput(*(f"{where}.{reason}" for reason in reasons))
    # On CUDA nothing is tried: this process would keep memory of the device while cells run.
    kinds: dict[Any, Cell] = {}
    for cell in used:
        if cell.device == "cpu" and cell.method != ZERO_SHOT:
            cell = cell.model_copy(update={"levers": cell.levers.model_copy(update={"devices": 1})})
            tried = tuple(getattr(cell.levers, name) for name in _TRIED)
            kinds.setdefault((tried, cell.uses_lm_head), cell)
    for cell in kinds.values():
        try:
            with quiet():
                _try(cell, backbone)
        except Exception as error:  # the code of a model may raise anything
            raise BadInput(
                f"{where}: {cell.levers.label}: does not work on {backbone.name}: {one_line(error)}"
            ) from None


def _general(sweep: Sweep, cells: list[Cell]) -> Iterator[str]:
    """Yield levers that no cell, or not every cell, can use."""
    settings = lever_settings(sweep)
    language = any(cell.uses_lm_head for cell in cells)
    if any(setting.loss for setting in settings) and not language:
        yield "loss: only language models have it, and this sweep has classifiers: remove it"
    if any(setting.levers.packing for setting in settings):
        if not sweep.tasks:
            yield (
                "packing: the texts of a probe fill their rows, so nothing can be packed: add a "
                "language-modelling task, or remove it"
            )
        elif any(cell.task and not cell.uses_lm_head for cell in cells):
            yield (
                "packing: a classifier reads one text per row: use it with language modelling and "
                "generation only"
            )


def _static(cell: Cell, backbone: Backbone) -> Iterator[str]:
    """Yield why a cell cannot use its levers, without running anything."""
    levers, cuda = cell.levers, cell.device == "cuda"
    if levers.micro_batch is not None and levers.micro_batch >= cell.batch_size:
        key = "probe" if cell.kind == "probe" else "train"
        yield (
            f"micro_batch: {levers.micro_batch} has no effect: {key}.batch_size is "
            f"{cell.batch_size}; raise it, or lower micro_batch"
        )
    if levers.offload and not cuda:
        yield (
            "offload: activations are in main memory already on a CPU: remove it, or use a GPU "
            "(device: cuda)"
        )
    if levers.weights != "float32" and cell.method == FULL:
        yield (
            f"weights: {levers.weights} is for a frozen backbone, and full fine-tuning trains it "
            f"in float32: remove the lever, or `full` from methods"
        )
    for name, value in (("weights", levers.weights), ("optimizer", levers.optimizer)):
        if value in ("8bit", "4bit", "adamw8bit") and not _installed("bitsandbytes"):
            yield (
                f"{name}: {value} needs bitsandbytes, which is not installed: pip install "
                f"bitsandbytes"
            )
    if levers.weights in ("8bit", "4bit") and backbone.stored_as == RANDOM:
        yield f"weights: {levers.weights} needs the weights of a model: this backbone has none"
    if reason := refused_lever(cell):
        yield f"{reason}: remove the lever, or `{cell.method}` from methods"
    if levers.devices > 1:
        yield from _on_several(cell)
    kernel = levers.attention or ""
    if kernel in _ON_CUDA and not cuda:
        yield f"attention: {kernel} needs a GPU (device: cuda): use eager, sdpa, math or flash"
    elif kernel in _HALF and cuda and cell.compute_dtype == "float32":
        yield f"attention: {kernel} computes in bfloat16 on a GPU: set dtype: bfloat16"
    elif kernel == "flash_attention_2" and not _installed("flash_attn"):
        yield "attention: flash_attention_2 needs flash-attn: pip install flash-attn, or use flash"


def _on_several(cell: Cell) -> Iterator[str]:
    """Yield why the model of a cell cannot be divided over devices."""
    number = cell.levers.devices
    if cell.kind == "probe":
        yield "devices: probes measure one device: remove `probe`, or the lever"
    if cell.method not in DIVISIBLE:
        yield f"devices: was tested with {', '.join(DIVISIBLE)} only, not with {cell.method}"
    elif not is_divisible(cell):
        yield "devices: does not go with 8-bit or 4-bit weights, micro_batch or packing"
    rest = (cell.examples or 0) % cell.batch_size or cell.batch_size
    if rest < number:
        yield f"devices: a batch has {rest} texts, and each of {number} devices needs one"
    if cell.device == "cuda" and number > len(gpus := visible_gpus()):
        yield f"devices: the lever needs {number} GPUs, and this machine has {len(gpus)}"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _try(cell: Cell, backbone: Backbone) -> None:
    """Train the first blocks of the backbone, with random weights, for one step.

    Raises:
        Exception: an error of the model's code or of a kernel, or packed texts see each other.
    """
    import torch

    from harness.models.load import load_skeleton
    from harness.training.batches import random_batch
    from harness.training.levers import packed, use_levers
    from harness.training.loop import optimizer_of, train_step
    from harness.training.methods import adapt

    blocks = max(_BLOCKS, cell.options.get("adapter_layers", 0))
    model = load_skeleton(
        backbone, cell.positions, cell.uses_lm_head, blocks, cell.levers.attention, "cpu"
    )
    vocabulary = int(model.config.vocab_size)
    inputs = random_batch(vocabulary, 2, _TOKENS, 0, cell.uses_lm_head)
    if cell.levers.packing:
        short = random_batch(vocabulary, 2, _TOKENS // 2, 1, True)
        padding = _TOKENS - _TOKENS // 2
        mask, ids = (torch.nn.functional.pad(short[n], (0, padding)) for n in _TEXT)
        labels = torch.nn.functional.pad(short["labels"], (0, padding), value=IGNORED)
        padded = {"input_ids": ids, "labels": labels}
        model.eval()
        with torch.no_grad():
            inputs = packed({**padded, "attention_mask": mask})
            one, other = (float(model(**batch).loss) for batch in (padded, inputs))
        if abs(one - other) > _TOLERANCE * abs(one):
            raise ValueError("texts in one row see each other in this model")
    model = adapt(model, cell).model
    use_levers(model, cell)
    model.train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    train_step(model, inputs, optimizer_of(model, cell), trainable, cell)
