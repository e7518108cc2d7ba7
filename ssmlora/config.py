"""The configuration: what PEFT users know, and what the state adds."""

from __future__ import annotations

from dataclasses import dataclass, field

from peft.config import PeftConfig

from ssmlora.register import peft_type

INITS = ("small_random", "paper")


@dataclass
class SSMLoraConfig(PeftConfig):
    """Configuration of SSMLoRA.

    Args:
        r: Rank, and size of the state.
        lora_alpha: Scale is lora_alpha / r (lora_alpha / sqrt(r) with `use_rslora`).
        lora_dropout: Dropout on a layer's input, as in LoRA.
        state_dropout: Dropout on the state where it enters the output; 0.1 in the released code.
        target_modules: Names of the candidate modules that may carry a state, by suffix; None
            takes the query and value projections of a known architecture.
        exclude_modules: Names left out of the candidates, by suffix.
        layers_to_transform: Layer indices the candidates are restricted to.
        stateless_modules: Modules (by suffix) that get a plain low-rank pair without a state.
        density: Share of the candidates that are adapted, in (0, 1].
        placement: `alternate` (the paper's), `even`, `first`, `last`, `random`, or a list of full
            module names, which overrides `density`. See `ssmlora.placement.select_sites`.
        placement_seed: Seed of the placement `random`.
        init: `small_random` (W_d normal with std 0.02; ours, and the default by the measurement in
            the folder's README) or `paper` (W_d = 0).
        epsilon: Added to the range in the min-max step (1e-8 in the paper).
        detach_state: Cut gradients where the state passes to the next layer (the paper's).
        link_state: False makes every layer start from a zero state: the control without a chain.
        use_rslora: Scale by 1 / sqrt(r) instead of 1 / r.
        bias: Only `none` is supported.
        modules_to_save: Modules trained and saved beside the adapter, such as a new head.
        sites: Filled in at injection: the full names of the modules that carry a state, in order.
    """

    r: int = 8
    lora_alpha: float = 16
    lora_dropout: float = 0.0
    state_dropout: float = 0.1
    target_modules: list[str] | None = None
    exclude_modules: list[str] | None = None
    layers_to_transform: list[int] | None = None
    stateless_modules: list[str] | None = None
    density: float = 0.5
    placement: str | list[str] = "alternate"
    placement_seed: int = 0
    init: str = "small_random"
    epsilon: float = 1e-8
    detach_state: bool = True
    link_state: bool = True
    use_rslora: bool = False
    bias: str = "none"
    modules_to_save: list[str] | None = None
    sites: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        """Check what can be checked without a model.

        Raises:
            ValueError: naming the field and what was expected.
        """
        super().__post_init__()
        self.peft_type = peft_type()
        if self.r < 1:
            raise ValueError(f"r must be at least 1, found {self.r}")
        if not 0 < self.density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, found {self.density}")
        if self.init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, found {self.init!r}")
        if self.bias != "none":
            raise ValueError(f"bias: only 'none' is supported, found {self.bias!r}")
        for name in ("lora_dropout", "state_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), found {getattr(self, name)}")
