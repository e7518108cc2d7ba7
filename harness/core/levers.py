"""Memory levers: settings of a cell that change what a training step costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Every = Annotated[int, Field(strict=True, ge=2, le=10_000)]
Checkpointing = Literal["off", "full"] | Every
MicroBatch = Annotated[int, Field(strict=True, ge=1, le=65536)]
Devices = Annotated[int, Field(strict=True, ge=1, le=1024)]
Weights = Literal["float32", "bfloat16", "8bit", "4bit"]
Optimizer = Literal["adamw", "adamw8bit", "adafactor"]

ATTENTION = (
    "eager", "sdpa", "math", "flash", "efficient", "cudnn", "flex", "flash_attention_2",
)  # fmt: skip
"""Attention kernels: those of transformers, and the four kinds of PyTorch's sdpa."""

TRAINING = ("weights", "optimizer")
"""Levers that change the result of training. All others keep gradients, within rounding."""

_LABELS = {"8bit": "8-bit", "4bit": "4-bit", "adamw8bit": "8-bit AdamW", "adafactor": "Adafactor"}


class Levers(BaseModel):
    """One setting of all levers; at its default no lever is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpointing: Checkpointing = "off"
    """Which blocks keep their input only and are run again in the backward pass: all, or every
    n-th."""
    micro_batch: MicroBatch | None = None
    """Texts of a forward and backward pass; gradients are summed over the batch."""
    attention: str | None = None
    """A name of `ATTENTION`; None: sdpa where the model has it."""
    offload: bool = False
    """Whether saved activations are kept in main memory until the backward pass."""
    weights: Weights = "float32"
    """Of the frozen backbone. The forward pass computes in bfloat16 unless they are float32."""
    optimizer: Optimizer = "adamw"
    packing: bool = False
    """Whether several short texts of a batch share a row (language models)."""
    devices: Devices = 1
    """Over which the model, its gradients and its optimizer are divided (FSDP)."""

    @property
    def settings(self) -> dict[str, Any]:
        """The levers that are not at their default."""
        return self.model_dump(exclude_defaults=True)

    @property
    def label(self) -> str:
        """A short label of the levers that are not at their default; empty without one."""
        texts = {
            "checkpointing": "checkpointing"
            if self.checkpointing == "full"
            else f"checkpointing 1/{self.checkpointing}",
            "micro_batch": f"micro-batch {self.micro_batch}",
            "attention": f"{self.attention} attention",
            "offload": "offload",
            "weights": f"{_LABELS.get(self.weights, self.weights)} weights",
            "optimizer": _LABELS.get(self.optimizer, ""),
            "packing": "packing",
            "devices": f"{self.devices} devices",
        }
        return " + ".join(texts[name] for name in self.settings)
