"""Sections of a result: model, data, training, cost, machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from harness.core.values import Amount, Count, Real, Share, Text

LIVE_PARTS = (
    "weights", "gradients", "optimizer", "saved_base", "saved_adapter", "saved_logits",
    "saved_attention", "transient",
)  # fmt: skip
"""Parts of the live memory of a training step: the fields `live_<part>_bytes` of `Cost`."""


class Part(BaseModel):
    """A section of a result. Unknown keys are ignored, so that later versions can be read."""

    model_config = ConfigDict(extra="ignore")


class ModelInfo(Part):
    """The adapted model. `links` counts sites that receive a state from the site before."""

    sites: Count = None
    links: Count = None
    lowest_layer: Count = None
    """Index of the lowest block with trained parameters: the backward pass stops there."""
    trainable_params: Count = None
    total_params: Count = None
    attention: Text = None
    """The kernel that a forward pass reaches."""
    dropout: Text = None
    lm_loss: Text = None
    """How the loss of a language model was computed: `chunked` or `full`."""
    weights: Text = None
    """How the backbone's weights are stored; training starts from their float32 values."""
    dtype: Text = None
    device: Text = None
    shared_blocks: Count = None
    """Blocks whose output the cell read from the store of its run. Then it has no cost."""


class DataInfo(Part):
    """The texts of a cell. `truncated` and `reach` are shares of texts, `longest` is in tokens."""

    truncated: Share = None
    """Share of the training texts that were cut at the cell's length."""
    tokens_median: Amount = None
    reach: Share = None
    """Share of the test texts that fill the cell's length."""
    longest: Count = None
    whole_texts: Annotated[bool, BeforeValidator(lambda v: v is True)] = False
    """Whether the task declares that its texts are whole and may be shorter than the length."""
    task_revision: Text = None


class CurvePoint(Part):
    """One validation during training."""

    step: Count = None
    examples: Count = None
    train_loss: Real = None
    validation_loss: Real = None
    validation_score: Real = None
    validation_accuracy: Real = None


class Cost(Part):
    """Tokens per second and peaks of memory in bytes.

    `_low` and `_high` are quartiles over steps, of a probe over rounds.
    """

    base_bytes: Count = None
    train_tokens_per_s: Amount = None
    train_tokens_per_s_low: Amount = None
    train_tokens_per_s_high: Amount = None
    eval_tokens_per_s: Amount = None
    eval_tokens_per_s_low: Amount = None
    eval_tokens_per_s_high: Amount = None
    prefill_tokens_per_s: Amount = None
    prefill_tokens_per_s_low: Amount = None
    prefill_tokens_per_s_high: Amount = None
    decode_tokens_per_s: Amount = None
    decode_tokens_per_s_low: Amount = None
    decode_tokens_per_s_high: Amount = None
    prefill_merged_tokens_per_s: Amount = None
    prefill_merged_tokens_per_s_low: Amount = None
    prefill_merged_tokens_per_s_high: Amount = None
    decode_merged_tokens_per_s: Amount = None
    decode_merged_tokens_per_s_low: Amount = None
    decode_merged_tokens_per_s_high: Amount = None
    kv_cache_bytes: Count = None
    """After the prefill: the keys and values of `length` tokens in every layer."""
    merge_note: Text = None
    """Why the adapter cannot be merged into the weights."""
    train_peak_bytes: Count = None
    eval_peak_bytes: Count = None
    train_live_peak_bytes: Count = None
    """Peak of live tensors in an untimed training step; the `live_` fields are its parts."""
    eval_live_peak_bytes: Count = None
    live_weights_bytes: Count = None
    live_gradients_bytes: Count = None
    live_optimizer_bytes: Count = None
    live_saved_base_bytes: Count = None
    live_saved_adapter_bytes: Count = None
    live_saved_logits_bytes: Count = None
    live_saved_attention_bytes: Count = None
    live_transient_bytes: Count = None
    train_resident_bytes: Count = None
    """Resident peak of the same step above `base_bytes`, with a fixed mmap threshold."""
    eval_resident_bytes: Count = None
    memory_note: Text = None
    """Why a peak was not measured."""


class Seconds(Part):
    """Wall-clock seconds of each phase, and of the whole cell."""

    load: Amount = None
    data: Amount = None
    train: Amount = None
    eval: Amount = None
    probe: Amount = None
    wall: Amount = None


class Environment(BaseModel):
    """The machine and the versions that a cell ran with. Further keys are kept."""

    model_config = ConfigDict(extra="allow")

    started: Text = None
    python: Text = None
    torch: Text = None
    transformers: Text = None
    peft: Text = None
    platform: Text = None
    cpu: Text = None
    gpu: Text = None
    commit: Text = None
    cores: Count = None
    memory_gib: Amount = None
    host: Text = None
    threads: Count = None


class ErrorInfo(Part):
    """Why a cell failed: the type of the exception, one line, and the log beside the results."""

    type: Text = None
    message: Text = None
    log: Text = None
