"""PEFT methods by name: which keys of a sweep they accept, and the PEFT configuration of a cell.

The keys come from the fields of the method's PEFT configuration class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.core.errors import BadInput, nearest, one_line
from harness.core.methods import FULL, HEAD

if TYPE_CHECKING:
    from torch import nn

    from harness.core.cell import Cell

GROUP = "bench_long.methods"
"""Entry-point group in which other packages name a module that registers methods with PEFT."""

KNOWN = ("lora", "ssmlora")
"""Methods whose keys are known without importing PEFT (the import takes seconds)."""

NORM_LAYERS = ("ln_tuning",)
"""Methods that train the normalisation layers instead of adapting linear ones."""

REFUSED = {
    "poly": "it needs the task of every text (task_ids), and a cell trains one task",
    "shadow": "it wraps whole decoder blocks, not linear layers",
    "trainable_tokens": "it trains rows of the token embedding, not linear layers",
    "xlora": "it mixes LoRA adapters that were trained before (adapters)",
}
"""Methods that are not supported, with the reason."""

ADAPTION_PROMPT = "adaption_prompt"
"""Its prompts are inside the upper attention modules; those of all other methods precede a text."""

IN_CACHE = ("prefix_tuning", "cartridge")
"""Methods whose virtual tokens are keys and values of every block, not inputs."""

NEEDS_LOGITS = ("cpt",)
"""Methods that compute their own loss from all logits."""

AVERAGES_TOKENS = ("lily",)
"""Methods whose update of a token depends on all other tokens of the forward pass."""

MUST_SET: dict[str, dict[str, Any]] = {
    ADAPTION_PROMPT: {"adapter_len": 8, "adapter_layers": 2},
    "cpt": {"cpt_token_ids": [1, 2, 3, 4], "cpt_tokens_type_mask": [1, 2, 3, 4]},
}
"""Options of a prompt method that have no default, with examples."""

_TOKENS = {"num_virtual_tokens": 8}
"""The same for all other prompt methods."""

NO_RANK = {"adalora": "its ranks are init_r and target_r"}
"""Methods whose configuration has an `r` that PEFT ignores, with the fields to set instead."""

_EITHER = {
    "oft": (("r", "oft_block_size"),),
    "boft": (("boft_block_num", "boft_block_size"),),
}
"""Pairs of fields of which PEFT accepts only one: if a sweep sets the first, the second is 0."""

_LONG_SCHEDULE = 1_000_000
"""Number of training steps for the schedules of a probe, whose real number is not known."""


@dataclass(frozen=True)
class PeftMethod:
    """A PEFT method.

    Attributes:
        name: name in a sweep, such as `vera`.
        config: PEFT configuration class.
        fields: names of the fields of that class.
    """

    name: str
    config: Any
    fields: frozenset[str]

    @property
    def on_sites(self) -> bool:
        """Whether density, placement and target select the modules that it adapts."""
        return self.name not in NORM_LAYERS and not self.is_prompt

    @property
    def is_prompt(self) -> bool:
        """Whether it trains prompts and adapts no linear layer."""
        return self.name == ADAPTION_PROMPT or "num_virtual_tokens" in self.fields

    @property
    def must_set(self) -> dict[str, Any]:
        """Options without a default, each with an example."""
        return MUST_SET.get(self.name, _TOKENS) if self.is_prompt else {}

    @property
    def rank_field(self) -> str | None:
        """The field that `rank` of a sweep sets; None if it has no rank."""
        return "r" if "r" in self.fields and self.name not in NO_RANK else None

    @property
    def alpha_field(self) -> str | None:
        """The field that `alpha` of a sweep sets; None if it has no alpha."""
        known = ("lora_alpha", "alpha", f"{self.name}_alpha")
        return next((field for field in known if field in self.fields), None)

    def rank(self) -> int | None:
        """The default rank; None if the method has no rank or derives it from another field."""
        return self._default(self.rank_field) or None

    def alpha(self) -> float | None:
        """The default alpha; None if the method has no alpha."""
        value: float | None = self._default(self.alpha_field)
        return value

    def _default(self, field: str | None) -> Any:
        return None if field is None else self.config.__dataclass_fields__[field].default

    def settings(self, cell: Cell, targets: list[str]) -> dict[str, Any]:
        """Return the arguments of the configuration class for a cell.

        Args:
            cell: the cell.
            targets: names of the modules to adapt.

        Raises:
            ValueError: with these settings the method would not do what its name says.
        """
        if self.is_prompt:
            task_type = "CAUSAL_LM" if cell.uses_lm_head else "FEATURE_EXTRACTION"
            return {"task_type": task_type, **cell.options}
        settings: dict[str, Any] = {"target_modules": targets}
        if cell.uses_lm_head:
            settings["task_type"] = "CAUSAL_LM"  # gives the PEFT model `generate`
        else:
            settings["modules_to_save"] = ["classifier"]
        if self.name == "ia3":
            settings["feedforward_modules"] = []  # no target module is one
        if "progressbar" in self.fields:
            settings["progressbar"] = False
        if self.name == "adalora":
            settings["total_step"] = training_steps(cell)
        for field, value in ((self.rank_field, cell.rank), (self.alpha_field, cell.alpha)):
            if field is not None and value is not None:
                settings[field] = value
        settings |= cell.options
        for one, other in _EITHER.get(self.name, ()):
            if settings.get(one) and other not in cell.options:
                settings[other] = 0
        self._check_schedule(settings, training_steps(cell))
        return settings

    def check_built(self, layer: Any, settings: Mapping[str, Any]) -> None:
        """Check that PEFT built a layer with the requested ranks and block sizes.

        PEFT silently replaces a size that does not divide the layer width by one that does.

        Raises:
            ValueError: PEFT replaced a size.
        """
        for field in ("r", "oft_block_size", "boft_block_size", "boft_block_num"):
            built: Any = getattr(layer, field, None)
            asked = settings.get(field)
            if asked and hasattr(built, "get") and built.get("default", asked) != asked:
                key = "rank" if field == self.rank_field else field
                raise ValueError(
                    f"{key}: {asked} does not fit layers of width {layer.in_features}: PEFT would "
                    f"use {built['default']} instead; set that, or another divisor of the width"
                )

    def _check_schedule(self, settings: dict[str, Any], steps: int) -> None:
        """Check that AdaLoRA, and AdaMSS with `use_asa`, reallocate ranks during training.

        Raises:
            ValueError: no training step would reallocate them.
        """
        if self.name == "adalora":
            start, end = (settings.get(k, self._default(k)) for k in ("init_r", "target_r"))
            if end >= start:
                raise ValueError(
                    f"target_r: {end} must be less than init_r: {start}: AdaLoRA lowers ranks to it"
                )
        if self.name == "adalora" and steps - settings.get("tfinal", 0) < 2:
            raise ValueError(
                f"AdaLoRA needs two training steps before its last tfinal steps, but training has "
                f"{steps} steps: raise train.examples or train.epochs, or lower tfinal"
            )
        if not (self.name == "adamss" and settings.get("use_asa")):
            return
        first, last, every = (
            settings.get(key, self._default(key))
            for key in ("init_warmup", "final_warmup", "mask_interval")
        )
        if not any(step % every == 0 for step in range(first, min(last, steps) + 1)):
            raise ValueError(
                f"use_asa has no effect in {steps} training steps: it runs every mask_interval="
                f"{every} steps from init_warmup={first} to final_warmup={last}; lower these"
            )


def refused_lever(cell: Cell) -> str | None:
    """Return why the method excludes a lever of the cell, beginning with its key, or None."""
    if cell.levers.checkpointing != "off" and cell.method in IN_CACHE:
        return (
            f"checkpointing: {cell.method} puts its prefix into the key-value cache, which "
            f"transformers leaves out of checkpointed blocks"
        )
    if cell.levers.packing and cell.virtual_tokens:
        return (
            f"packing: {cell.method} puts its virtual tokens before a row, not before each text in "
            f"it"
        )
    if cell.method in AVERAGES_TOKENS:
        for name in ("micro_batch", "packing"):
            if getattr(cell.levers, name):
                return f"{name}: {cell.method} averages over all tokens of a forward pass"
    if cell.levers.packing and scans_tokens(cell.method):
        return f"packing: {cell.method} would carry its state from one text of a row into the next"
    return None


def scans_tokens(method: str) -> bool:
    """Whether an update of a token depends on the tokens before it in its row.

    Configuration classes of such methods have an attribute `scans_tokens`.
    """
    known = {} if method in (*KNOWN, FULL, HEAD) else peft_classes()
    return bool(getattr(known.get(method), "scans_tokens", False))


def refused_decoding(method: str) -> str | None:
    """Return why a method cannot write text token by token, or None."""
    if scans_tokens(method):
        return f"{method} has a state over tokens that is not in the KV cache, so it cannot decode"
    return None


def training_steps(cell: Cell) -> int:
    """Return the number of optimizer steps of a training cell; a large number for a probe."""
    if cell.kind == "probe" or cell.examples is None or cell.epochs is None:
        return _LONG_SCHEDULE
    return -(-cell.examples // cell.batch_size) * cell.epochs


def _fields(config: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(config))


@cache
def register_methods() -> dict[str, str]:
    """Import the packages that register methods with PEFT: those of this project, then others.

    Returns:
        Names of methods whose package cannot be imported, with the reason.
    """
    import hrm  # noqa: F401
    import ssmlora  # noqa: F401

    broken = {}
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else "another package"
            broken[entry.name] = (
                f"its module {entry.value} of the package {package} cannot be imported "
                f"({type(error).__name__}: {one_line(error)})"
            )
    return broken


def peft_classes() -> dict[str, Any]:
    """Return the configuration classes of PEFT and of all other methods by lower-case name."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    register_methods()
    return {str(getattr(k, "value", k)).lower(): v for k, v in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


def peft_method(name: str, where: str = "methods") -> PeftMethod:
    """Return the method of a name.

    Args:
        name: lower-case name, such as `vera`.
        where: file and key, for messages.

    Raises:
        BadInput: PEFT has no such method, or it is not supported here.
    """
    known = peft_classes()
    if name not in known and name in register_methods():
        raise BadInput(f"{where}: '{name}': {register_methods()[name]}: repair that package")
    if name not in known:
        names = {*known, FULL, HEAD} - {*REFUSED}
        raise BadInput(f"{where}: unknown method '{name}'.{nearest(name, names)}")
    if name in REFUSED:
        raise BadInput(f"{where}: '{name}' is not supported: {REFUSED[name]}")
    method = PeftMethod(name, known[name], _fields(known[name]))
    if "target_modules" not in method.fields and not method.is_prompt:
        raise BadInput(f"{where}: '{name}' is not supported: it has neither layers nor prompts")
    return method


def norm_layers(model: nn.Module) -> list[str]:
    """Return the names of the LayerNorm and RMSNorm layers (and variants) that have a weight."""
    return [
        name
        for name, module in model.named_modules()
        if any(kind in type(module).__name__ for kind in ("LayerNorm", "RMSNorm"))
        and not list(module.children())
        and getattr(module, "weight", None) is not None
    ]
