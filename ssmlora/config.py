"""The configuration: the fields that PEFT users know, and those of the state."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft.config import PeftConfig

from ssmlora.card import explain_loading
from ssmlora.placement import PLACEMENTS
from ssmlora.register import peft_type

FORMAT = 1
"""Version of the checkpoint layout: tensor names, orientation of matrices, placement rule."""

INITS = ("paper", "small_random", "lora_scale")


@dataclass
class SSMLoraConfig(PeftConfig):  # type: ignore[misc]
    """Configuration of SSMLoRA (Yu et al., NAACL 2025, arXiv 2502.04958).

    Args:
        r: rank of the low-rank pair and width of the state.
        lora_alpha: the update is scaled by `lora_alpha / r`.
        use_rslora: scale by `lora_alpha / sqrt(r)` instead.
        lora_dropout: dropout on the input of W_a, as in LoRA; not in the paper.
        state_dropout: dropout on the state where it enters the output (0.1 in the released code).
            The next layer gets the state before dropout.
        target_modules: names or a regular expression of the candidate modules; default: the query
            and value projections of the architecture.
        density: share of the candidates that are adapted, in (0, 1].
        placement: which candidates: `alternate` (as in the paper), `even`, `first`, `last`,
            `random`, or a list of full module names. See `ssmlora.select_sites`.
        placement_seed: seed of the `random` placement.
        stateless_modules: names or a regular expression of modules that get a plain low-rank pair.
        init: `paper`, `small_random` or `lora_scale`; the README compares them.
        epsilon: added to the range in the min-max; default: 1e-8, as in the paper.
        detach_state: no gradient flows through the state to earlier layers (as in the paper).
        link_state: False: every layer starts from h = 0. This is the control that shows whether a
            gain comes from the state.
        bias: `none`, `all` or `ssmlora_only`.
        modules_to_save: modules trained in full and saved with the adapter.
        exclude_modules: names or a regular expression of modules never adapted.
        layers_to_transform: only these layer indices.
        layers_pattern: name of the list of layers, if PEFT cannot find it.
        checkpoint_format: version of the checkpoint layout; set automatically.

    Raises:
        ValueError: a value is outside its range, or the checkpoint has another format.
    """

    r: int = field(default=8, metadata={"help": "Rank of the update and width of the state."})
    lora_alpha: float = field(default=8, metadata={"help": "Scale numerator."})
    use_rslora: bool = field(default=False, metadata={"help": "Scale by alpha / sqrt(r)."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout on the input of W_a."})
    state_dropout: float = field(default=0.1, metadata={"help": "Dropout on the state."})
    target_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Candidate modules."}
    )
    density: float = field(
        default=1.0, metadata={"help": "Share of the candidates that are adapted."}
    )
    placement: str | list[str] = field(
        default="alternate", metadata={"help": "Which candidates are adapted."}
    )
    placement_seed: int = field(default=0, metadata={"help": "Seed of placement `random`."})
    stateless_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Modules with a plain low-rank pair."}
    )
    init: str = field(default="lora_scale", metadata={"help": f"One of {INITS}."})
    epsilon: float | None = field(
        default=None, metadata={"help": "Added to the range in the min-max."}
    )
    detach_state: bool = field(
        default=True, metadata={"help": "No gradient through the state to earlier layers."}
    )
    link_state: bool = field(default=True, metadata={"help": "Layers pass their state on."})
    bias: str = field(default="none", metadata={"help": "none, all or ssmlora_only."})
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
    checkpoint_format: int = field(default=FORMAT, metadata={"help": "Set automatically."})

    def __post_init__(self) -> None:
        """Set the PEFT type and check every value."""
        super().__post_init__()
        self.peft_type = peft_type()
        for name in ("target_modules", "stateless_modules", "exclude_modules", "placement"):
            value = getattr(self, name)
            if isinstance(value, (set, tuple)):
                setattr(self, name, sorted(value) if isinstance(value, set) else list(value))
        self._check()

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """Write the configuration, and add the loading code to PEFT's model card."""
        super().save_pretrained(save_directory, **kwargs)
        explain_loading(Path(save_directory), getattr(self.task_type, "value", self.task_type))

    def _check(self) -> None:
        if self.checkpoint_format != FORMAT:
            raise ValueError(
                f"checkpoint_format is {self.checkpoint_format!r}, but this version of ssmlora "
                f"reads format {FORMAT} only"
            )
        if not isinstance(self.r, int) or isinstance(self.r, bool) or self.r < 1:
            raise ValueError(f"r must be a whole number of at least 1, not {self.r!r}")
        if not 0 < self.density <= 1:
            raise ValueError(f"density must lie in (0, 1], not {self.density!r}")
        for name in ("lora_dropout", "state_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)!r}")
        if isinstance(self.placement, str) and self.placement not in PLACEMENTS:
            raise ValueError(
                f"placement must be one of {PLACEMENTS} or a list of module names, "
                f"not {self.placement!r}"
            )
        if self.init not in INITS:
            raise ValueError(f"init must be one of {INITS}, not {self.init!r}")
        if self.epsilon is not None and not self.epsilon > 0:
            raise ValueError(f"epsilon must be positive, not {self.epsilon!r}")
        if self.bias not in ("none", "all", "ssmlora_only"):
            raise ValueError(f"bias must be none, all or ssmlora_only, not {self.bias!r}")
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError("layers_pattern needs layers_to_transform")
        if isinstance(self.target_modules, str) and self.layers_to_transform is not None:
            raise ValueError("layers_to_transform cannot be used with a regular expression")

    @property
    def scaling(self) -> float:
        """Factor of the update: alpha / r, or alpha / sqrt(r) with rsLoRA."""
        return self.lora_alpha / (self.r**0.5 if self.use_rslora else self.r)
