"""full | head | any method registered with PEFT: how a backbone is made trainable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.cell import Cell
from harness.core.methods import ATTENTION, FULL, HEAD, SSMLORA, ZERO_SHOT
from harness.training.peft_methods import NEEDS_LOGITS, PeftMethod, norm_layers, peft_method

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Adapted:
    """A model made trainable, the number of adapted sites, and how many receive a state.

    None where a method has no sites, or no state.
    """

    model: torch.nn.Module
    sites: int | None
    links: int | None


def adapt(model: Any, cell: Cell) -> Adapted:
    """Make `model` trainable as the cell says. All methods on sites get the same ones.

    Raises:
        ValueError: PEFT cannot build the method on this model, or would adapt other modules.
    """
    if cell.method in (FULL, ZERO_SHOT):
        model.requires_grad_(cell.method == FULL)
        return Adapted(model, None, None)
    if cell.method == HEAD:
        model.requires_grad_(False).classifier.requires_grad_(True)
        return Adapted(model, None, None)
    from harness.models.targets import candidates
    from harness.training.peft_wrap import wrap
    from ssmlora import count_links, select_sites

    kind = peft_method(cell.method)
    if kind.is_prompt:
        return Adapted(_with_prompt(model, kind, cell), None, None)
    if not kind.on_sites:
        targets = norm_layers(model)
        peft_model = wrap(model, kind.config(**kind.settings(cell, targets)))
        _check_adapted(peft_model, targets, cell)
        return Adapted(peft_model, len(targets), None)
    assert cell.density is not None
    assert cell.placement is not None
    found = candidates(model, cell.target, has_state=cell.method == SSMLORA)
    sites = select_sites(found.sites, cell.density, cell.placement, seed=cell.seed)
    targets = [site.name for site in sites]
    settings = kind.settings(cell, targets)
    if cell.method == SSMLORA:
        # The sites are chosen above, by the same rule for every method.
        settings["placement"] = targets
        if cell.target in (None, ATTENTION):  # the default of the package
            del settings["target_modules"]
        if found.plain:
            settings["stateless_modules"] = list(found.plain)
    peft_model = wrap(model, kind.config(**settings))
    if not cell.options.get("stateless_modules"):
        _check_adapted(peft_model, [*targets, *found.plain], cell)
    for name in targets:
        kind.check_built(peft_model.base_model.model.get_submodule(name), settings)
    if cell.method != SSMLORA:
        return Adapted(peft_model, len(sites), None)
    linked = cell.options.get("link_state", True)
    return Adapted(peft_model, len(sites) + len(found.plain), count_links(sites) if linked else 0)


def _with_prompt(model: Any, kind: PeftMethod, cell: Cell) -> Any:
    """Return the model with prompts; of a classifier, the encoder gets them."""
    from harness.training.peft_wrap import wrap_prompt

    model.requires_grad_(False)
    settings = kind.settings(cell, [])
    if settings.get("prompt_tuning_init") == "TEXT":
        settings["tokenizer_name_or_path"] = model.name_or_path
    config = kind.config(**settings)
    if cell.uses_lm_head:
        return wrap_prompt(model, config)
    model.encoder = wrap_prompt(model.encoder, config)
    model.classifier.requires_grad_(True)
    return model


def adapter_of(model: Any) -> Any:
    """Return the PEFT model of an adapted model: of a classifier with prompts, its encoder."""
    return model if hasattr(model, "peft_config") else model.encoder


def chunk_loss(model: Any, cell: Cell) -> bool:
    """Make a language model compute its loss in chunks if the cell says so and it can."""
    if cell.lm_loss != "chunked" or cell.method in NEEDS_LOGITS:
        return False
    from harness.models.chunked_loss import use_chunked_loss

    return use_chunked_loss(model)


def _check_adapted(model: Any, targets: list[str], cell: Cell) -> None:
    """Hold the modules that PEFT adapted against those that the cell names.

    Raises:
        ValueError: they differ, or the classifier is not trained.
    """
    from harness.training.peft_wrap import adapted_modules

    adapted = adapted_modules(model)
    others = sorted(adapted ^ set(targets))
    if others:
        raise ValueError(
            f"{cell.method} adapts {len(adapted)} modules, not the {len(targets)} that the sweep "
            f"names: they differ in {others[0]}"
        )
    head = [p for n, p in model.base_model.model.named_parameters() if n.startswith("classifier.")]
    if not cell.uses_lm_head and not any(p.requires_grad for p in head):
        raise ValueError(f"{cell.method} does not train the classifier")


def is_head(name: str) -> bool:
    """Whether a parameter belongs to the classifier, also where PEFT has wrapped it."""
    return "classifier" in name.split(".")


def after_step(model: Any) -> Callable[[int], None] | None:
    """What the method has to do in every training step, if anything.

    AdaLoRA and AdaMSS move their budget between sites. PEFT leaves the call to the training loop:
    after the optimizer's step, before the gradients are cleared, with step numbers from 1.
    """
    tuner = getattr(model, "base_model", None) if hasattr(model, "peft_config") else None
    hook: Callable[[int], None] | None = getattr(tuner, "update_and_allocate", None)
    return hook


@contextmanager
def task_loss_only(model: Any) -> Iterator[None]:
    """Within it, the loss is the task's alone: AdaLoRA adds a penalty in every forward pass."""
    configs = [
        config
        for config in getattr(model, "peft_config", {}).values()
        if hasattr(config, "orth_reg_weight")
    ]
    weights = [config.orth_reg_weight for config in configs]
    for config in configs:
        config.orth_reg_weight = 0.0
    try:
        yield
    finally:
        for config, weight in zip(configs, weights, strict=True):
            config.orth_reg_weight = weight
