"""The configuration of an HRM adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from peft.config import PeftConfig

from hrm.names import METHOD
from ssmlora.register import peft_type


@dataclass
class HrmConfig(PeftConfig):  # type: ignore[misc]
    """Configuration of the HRM adapter (Thapliyal, HiLD workshop at ICML 2026, arXiv 2606.26290).

    Args:
        r: width of the state, `d` in the paper.
        target_modules: names or a regular expression of the modules that are adapted: linear
            layers, or whole feed-forward modules as in the paper (such as `mlp` of Llama). Default:
            the feed-forward module of the architecture, if it has one.
        gate_init: initial value of the gate. At 0 the model starts as the base model, and only the
            gate has a gradient in the first step.
        dt_min: smallest step size; with `dt_max`, the initial step sizes are log-uniform between
            them.
        dt_max: largest step size.
        memory: False: no token receives the state of the tokens before it. This is the control that
            shows whether a gain comes from the memory.
        modules_to_save: modules trained in full and saved with the adapter.
        exclude_modules: names or a regular expression of modules never adapted.
        layers_to_transform: only these layer indices.
        layers_pattern: name of the list of layers, if PEFT cannot find it.

    Raises:
        ValueError: a value is outside its range.
    """

    scans_tokens: ClassVar[bool] = True
    """Tokens depend on those before them through the adapter; bench-long reads this."""

    r: int = field(default=8, metadata={"help": "Width of the state."})
    target_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Modules that are adapted."}
    )
    gate_init: float = field(default=0.0, metadata={"help": "Initial value of the gate."})
    dt_min: float = field(default=1e-4, metadata={"help": "Smallest step size."})
    dt_max: float = field(default=0.1, metadata={"help": "Largest step size."})
    memory: bool = field(default=True, metadata={"help": "Tokens receive the state before them."})
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Modules trained in full."}
    )
    exclude_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Modules never adapted."}
    )
    layers_to_transform: list[int] | int | None = field(
        default=None, metadata={"help": "Only these layer indices."}
    )
    layers_pattern: list[str] | str | None = field(
        default=None, metadata={"help": "Name of the list of layers."}
    )

    def __post_init__(self) -> None:
        """Set the PEFT type and check every value."""
        super().__post_init__()
        self.peft_type = peft_type(METHOD)
        for name in ("target_modules", "exclude_modules"):
            value = getattr(self, name)
            if isinstance(value, (set, tuple)):
                setattr(self, name, sorted(value))
        if not isinstance(self.r, int) or isinstance(self.r, bool) or self.r < 1:
            raise ValueError(f"r must be a whole number of at least 1, not {self.r!r}")
        if not 0 < self.dt_min <= self.dt_max:
            raise ValueError(
                f"dt_min and dt_max must be positive and in this order, "
                f"not {self.dt_min!r} and {self.dt_max!r}"
            )
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError("layers_pattern needs layers_to_transform")
        if isinstance(self.target_modules, str) and self.layers_to_transform is not None:
            raise ValueError("layers_to_transform cannot be used with a regular expression")
