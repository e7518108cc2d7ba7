"""full | lora | ssmlora | any PEFT configuration: how a backbone is made trainable."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from harness.core.cell import Cell
from harness.core.errors import BadInput, nearest
from harness.core.methods import TFIDF, ZERO_SHOT
from harness.planning.sweep import Method, Sweep
from harness.planning.validation import meant_key
from harness.training.peft_methods import (
    KNOWN,
    RANK,
    PeftMethod,
    check_keys,
    norm_layers,
    peft_method,
    sweep_key,
)

if TYPE_CHECKING:
    import torch

TARGETS = ("attention",)
"""Which candidate sites an arm may adapt: query and value projections of every layer."""


@dataclass(frozen=True)
class Adapted:
    """A model made trainable, the number of adapted sites, and how many receive a state.

    None where a method has no sites, or no state.
    """

    model: torch.nn.Module
    sites: int | None
    links: int | None


def check_method(method: Method, where: str) -> None:
    """Check type, target, placement and options without building anything.

    Raises:
        BadInput: naming the key and the nearest valid one.
    """
    if method.type == "full":
        extra = method.model_dump(exclude_defaults=True, exclude={"type", "lr", "options"})
        for key in [*extra, *method.options]:
            raise BadInput(f"{where}.{key}: full fine-tuning takes no settings but lr")
        return
    if method.target not in (None, *TARGETS):
        raise BadInput(
            f"{where}.target: unknown: '{method.target}'.{nearest(method.target, TARGETS)}"
        )
    placements = ("alternate", "even", "first", "last", "random")
    for placement in method.placement:
        if placement not in placements:
            raise BadInput(
                f"{where}.placement: unknown: '{placement}'.{nearest(placement, placements)}"
            )
    if method.type in KNOWN and not method.options:
        return  # nothing to look up, and importing PEFT takes seconds
    kind = peft_method(method.type, where)
    check_keys(kind, method, where)
    options = _options(kind)
    for key, value in method.options.items():
        if key in options:
            _check_option(kind.config, key, value, where)
            continue
        ours = sweep_key(kind, key)
        if ours is not None:
            raise BadInput(f"{where}.{key}: set by the sweep's own keys: use {ours}")
        own = set(Method.model_fields) - {"type", "options"}
        raise BadInput(f"{where}.{key}: unknown key.{meant_key(key, options | own, Sweep)}")


def arms(method: Method) -> Iterator[dict[str, Any]]:
    """The fields of the cells that an entry of `methods` sweeps over.

    What the sweep does not set is the method's own default; fields that the method does not have
    are left out. For an entry that `check_method` accepts.
    """
    if method.type == "full":
        yield {"method": "full"}
        return
    kind = None if method.type in KNOWN else peft_method(method.type)
    on_sites = kind is None or kind.on_sites
    densities = (method.density or [1.0]) if on_sites else [None]
    placements = (method.placement or ["alternate"]) if on_sites else [None]
    ranks: list[int | None] = [*method.rank] or [RANK if kind is None else kind.rank()]
    for density, placement, rank in product(densities, placements, ranks):
        alpha = method.alpha
        if alpha is None:
            alpha = 2.0 * (rank or RANK) if kind is None else kind.alpha()
        yield {
            "method": method.type,
            "density": density,
            "placement": placement,
            "rank": rank,
            "alpha": alpha,
            "target": (method.target or "attention") if on_sites else None,
            "options": method.options,
        }


def _check_option(config_class: Any, key: str, value: Any, where: str) -> None:
    """Hold a value against the type that its field declares: PEFT itself takes `maybe` for true."""
    kind: Any = TypeAdapter(get_type_hints(config_class)[key])
    try:
        kind.validate_python(value, strict=True)
    except ValidationError as error:
        reasons = [e for e in error.errors() if e["type"] != "literal_error"]
        if len(reasons) == error.error_count():  # which words are allowed, PEFT knows better
            reason = reasons[0]["msg"].replace("Input should be", "expected")
            reason = reason.replace("a valid boolean", "true or false")
            remedy = ": remove the quotes" if _is_quoted_number(value) else ""
            raise BadInput(f"{where}.{key}: {reason} (found {value!r}){remedy}") from None


def _is_quoted_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def adapt(model: Any, cell: Cell) -> Adapted:
    """Make `model` trainable as the cell says. All methods on sites get the same ones.

    Raises:
        ValueError: PEFT cannot build the method on this model, or would adapt other modules.
    """
    if cell.method in ("full", ZERO_SHOT):
        model.requires_grad_(cell.method == "full")
        return Adapted(model, None, None)
    from harness.training.peft_wrap import wrap
    from ssmlora import candidate_sites, count_links, select_sites

    kind = peft_method(cell.method)
    if not kind.on_sites:
        targets = norm_layers(model)
        peft_model = wrap(model, kind.config(**kind.settings(cell, targets)))
        _check_adapted(peft_model, targets, cell)
        return Adapted(peft_model, len(targets), None)
    assert cell.density is not None
    assert cell.placement is not None
    try:
        candidates = candidate_sites(model)
    except ValueError:  # its remedy is for users of the package
        raise ValueError(
            f"no query and value projections were recognised in {model.config.model_type}, so "
            f"{cell.method} has no sites there: only full fine-tuning runs on it"
        ) from None
    sites = select_sites(candidates, cell.density, cell.placement, seed=cell.seed)
    targets = [site.name for site in sites]
    settings = kind.settings(cell, targets)
    if cell.method == "ssmlora":
        # The sites are chosen above, by the same rule for every method.
        settings["placement"] = settings.pop("target_modules")
    peft_model = wrap(model, kind.config(**settings))
    if not cell.options.get("stateless_modules"):
        _check_adapted(peft_model, targets, cell)
    for name in targets:
        kind.check_built(peft_model.base_model.model.get_submodule(name), settings)
    if cell.method != "ssmlora":
        return Adapted(peft_model, len(sites), None)
    linked = cell.options.get("link_state", True)
    return Adapted(peft_model, len(sites), count_links(sites) if linked else 0)


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


def foreign_arms(cells: list[Cell]) -> list[Cell]:
    """One cell of each method and set of options that only PEFT knows."""
    fields = ("method", "options", "uses_lm_head")
    known = ("full", "ssmlora", TFIDF, ZERO_SHOT)
    foreign = [c for c in cells if c.method not in known and (c.method != "lora" or c.options)]
    found = {json.dumps([getattr(c, f) for f in fields], sort_keys=True): c for c in foreign}
    return list(found.values())


def after_step(model: Any) -> Callable[[int], None] | None:
    """What the method has to do in every training step, if anything.

    AdaLoRA and AdaMSS move their budget between sites. PEFT leaves the call to the training loop:
    after the optimizer's step, before the gradients are dropped, with the step's number from 1.
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


def _options(kind: PeftMethod) -> set[str]:
    """The fields of a configuration that a sweep may set as options."""
    from peft import PeftConfig

    common = {field.name for field in dataclasses.fields(PeftConfig)} | {"modules_to_save"}
    ours = {field for field in kind.fields if sweep_key(kind, field) is not None}
    unused = {"r"} - {kind.rank_field}  # PEFT ignores it
    return set(kind.fields) - common - ours - unused
