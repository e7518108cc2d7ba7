"""The entries of `methods`: checked against PEFT, and expanded into the settings of cells."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from itertools import product
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from harness.core.cell import Cell
from harness.core.errors import BadInput, nearest
from harness.core.methods import (
    ATTENTION,
    BASELINES,
    FULL,
    HEAD,
    LORA,
    PLACEMENTS,
    RANK,
    SSMLORA,
)
from harness.planning.keys.method import Method
from harness.planning.sweep import Sweep
from harness.planning.validation import meant_key
from harness.training.peft_methods import KNOWN, NO_RANK, PeftMethod, peft_method

_WITHOUT_ADAPTER = {FULL: "full fine-tuning", HEAD: "training only the head"}
"""Methods that add no parameters to the backbone, so they have no settings of an adapter."""

_BY_HARNESS = {
    "adalora": {"total_step": "the number of training steps follows from train"},
    "adaption_prompt": {"target_modules": "the attention modules follow from the backbone"},
    "cpt": {"num_virtual_tokens": "it is the number of cpt_token_ids"},
    "multitask_prompt_tuning": {"num_tasks": "a cell trains one task"},
}
"""Options that the harness sets."""

_FROM_BACKBONE = (
    "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers",
    "tokenizer_name_or_path",
)  # fmt: skip
"""Options of prompt methods that follow from the backbone."""

_MOST_TOKENS = 65_536
"""The most virtual tokens of a prompt."""

_DATA = "a pass over data before training"
_TRAINED = "a prompt that was trained before"
_NEEDED = {
    "init_lora_weights": dict.fromkeys(("eva", "corda", "lora_ga"), _DATA),
    "prompt_tuning_init": dict.fromkeys(
        ("average_source_tasks", "exact_source_task", "only_source_shared"), _TRAINED
    ),
}
"""Values that need what a sweep does not have."""

_NO_EFFECT = {
    **dict.fromkeys(
        ("use_qalora", "qalora_group_size", "loftq_config"), "it acts on quantised weights only"
    ),
    **dict.fromkeys(
        ("megatron_config", "megatron_core", "runtime_config"), "it acts on distributed models only"
    ),
    **dict.fromkeys(
        ("eva_config", "corda_config", "lora_ga_config"),
        "it needs a pass over data before training",
    ),
}
"""Options without effect in a cell; the label of the arm would claim one."""

_SWEEP_KEYS = {
    "r": "rank",
    "target_modules": "target, density and placement",
    "placement_seed": "seeds",
    "target_parameters": "target, density and placement",
    "layer_replication": "density and placement",
    "exclude_modules": "density and placement",
    "layers_to_transform": "density and placement",
    "layers_pattern": "density and placement",
}
"""Fields of PEFT configurations that keys of the sweep set."""


def check_method(method: Method, where: str) -> None:
    """Check type, target, placement and options without building anything.

    Raises:
        BadInput: naming the key and the nearest valid one.
    """
    if method.type in _WITHOUT_ADAPTER:
        extra = method.model_dump(exclude_defaults=True, exclude={"type", "lr", "options"})
        for key in [*extra, *method.options]:
            what = _WITHOUT_ADAPTER[method.type]
            raise BadInput(f"{where}.{key}: {what} takes no settings but lr")
        return
    for placement in method.placement:
        if placement not in PLACEMENTS:
            raise BadInput(
                f"{where}.placement: unknown: '{placement}'.{nearest(placement, PLACEMENTS)}"
            )
    if method.type in KNOWN and not method.options:
        return  # nothing to look up, and importing PEFT takes seconds
    kind = peft_method(method.type, where)
    _check_keys(kind, method, where)
    options = _options(kind)
    for key, value in method.options.items():
        if key in options:
            _check_option(kind.config, key, value, where)
            continue
        ours = _sweep_key(kind, key)
        if ours is not None:
            raise BadInput(f"{where}.{key}: set by the sweep's own keys: use {ours}")
        own = set(Method.model_fields) - {"type", "options"}
        raise BadInput(f"{where}.{key}: unknown key.{meant_key(key, options | own, Sweep)}")


def arms(method: Method) -> Iterator[dict[str, Any]]:
    """Yield the method fields of the cells of an entry that `check_method` accepts.

    Settings that the sweep leaves out have the default of the method; fields that the method does
    not have are None.
    """
    if method.type in _WITHOUT_ADAPTER:
        yield {"method": method.type}
        return
    kind = None if method.type in KNOWN else peft_method(method.type)
    on_sites = kind is None or kind.on_sites
    densities = (method.density or [1.0]) if on_sites else [None]
    placements = (method.placement or ["alternate"]) if on_sites else [None]
    targets = (method.target or [ATTENTION]) if on_sites else [None]
    ranks: list[int | None] = [*method.rank] or [RANK if kind is None else kind.rank()]
    for density, placement, target, rank in product(densities, placements, targets, ranks):
        alpha = method.alpha
        if alpha is None:
            alpha = 2.0 * (rank or RANK) if kind is None else kind.alpha()
        yield {
            "method": method.type,
            "density": density,
            "placement": placement,
            "rank": rank,
            "alpha": alpha,
            "target": target,
            "options": method.options,
        }


def reference_arm(sweep: Sweep) -> dict[str, Any]:
    """Return the first arm of the sweep's first LoRA entry, otherwise LoRA at density 1."""
    lora = [entry for entry in sweep.methods if entry.type == LORA]
    return next(arms(lora[0] if lora else Method(type=LORA)))


def _check_option(config_class: Any, key: str, value: Any, where: str) -> None:
    """Check a value against the declared type of its field; PEFT itself accepts `maybe` as true."""
    kind: Any = TypeAdapter(get_type_hints(config_class)[key])
    try:
        kind.validate_python(value, strict=True)
    except ValidationError as error:
        reasons = [e for e in error.errors() if e["type"] != "literal_error"]
        if len(reasons) == error.error_count():  # PEFT checks which words are allowed
            reason = reasons[0]["msg"].replace("Input should be", "expected")
            reason = reason.replace("a valid boolean", "true or false")
            remedy = ": remove the quotes" if _is_quoted_number(value) else ""
            raise BadInput(f"{where}.{key}: {reason} (found {value!r}){remedy}") from None


def _is_quoted_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _check_keys(kind: PeftMethod, method: Method, where: str) -> None:
    """Check that the method uses every key of its entry.

    Raises:
        BadInput: naming the key that it does not use.
    """
    if not kind.on_sites:
        what = "prompts, and adapts no layers" if kind.is_prompt else "all normalisation layers"
        for key in ("density", "placement", "target"):
            if getattr(method, key):
                raise BadInput(f"{where}.{key}: '{kind.name}' trains {what}: leave {key} out")
    for key, field in (("rank", kind.rank_field), ("alpha", kind.alpha_field)):
        if getattr(method, key) and field is None:
            why = NO_RANK.get(kind.name) if key == "rank" else None
            raise BadInput(
                f"{where}.{key}: '{kind.name}' has no {key}"
                + (f"; {why}" if why else f": leave {key} out")
            )
    if method.alpha is not None and kind.rank_field and not (method.rank or kind.rank()):
        raise BadInput(f"{where}.alpha: '{kind.name}' has no alpha without a rank: give rank")
    for key, value in method.options.items():
        if key in _BY_HARNESS.get(kind.name, {}):
            raise BadInput(f"{where}.{key}: not set by hand: {_BY_HARNESS[kind.name][key]}")
        if (kind.name, key) == ("boft", "boft_n_butterfly_factor") and value != 1:
            raise BadInput(
                f"{where}.{key}: needs a CUDA extension of PEFT, without which PEFT uses 1: leave "
                f"{key} out"
            )
        if kind.is_prompt and key in _FROM_BACKBONE:
            raise BadInput(f"{where}.{key}: not set by hand: it follows from the backbone")
        if key in _NO_EFFECT:
            raise BadInput(f"{where}.{key}: has no effect here, {_NO_EFFECT[key]}: leave {key} out")
        if need := _NEEDED.get(key, {}).get(str(value).lower()):
            raise BadInput(
                f"{where}.{key}: '{value}' needs {need}, which is not supported: choose another "
                f"value"
            )
    _check_prompt(kind, method, where)


def _check_prompt(kind: PeftMethod, method: Method, where: str) -> None:
    """Check the size of a prompt."""
    for key, example in kind.must_set.items():
        value = method.options.get(key)
        if value is None or value == []:
            raise BadInput(f"{where}.{key}: missing: '{kind.name}' needs it, for example {example}")
        size = len(value) if isinstance(value, list) else value
        if type(size) is int and not 1 <= size <= _MOST_TOKENS:
            raise BadInput(f"{where}.{key}: expected 1 to {_MOST_TOKENS:,} (found {size})")


def _sweep_key(kind: PeftMethod, field: str) -> str | None:
    """The key of the sweep that sets a field of the configuration; None for an option."""
    if field == kind.alpha_field and field != "alpha":
        return "alpha"
    if field not in kind.fields:
        return None
    return {**_SWEEP_KEYS, "density": "density", "placement": "placement"}.get(field)


def foreign_arms(cells: list[Cell]) -> list[Cell]:
    """One cell of each method and set of options that PEFT alone defines."""
    fields = ("method", "options", "uses_lm_head")
    known = (FULL, HEAD, SSMLORA, *BASELINES)
    foreign = [c for c in cells if c.method not in known and (c.method != LORA or c.options)]
    found = {json.dumps([getattr(c, f) for f in fields], sort_keys=True): c for c in foreign}
    return list(found.values())


def _options(kind: PeftMethod) -> set[str]:
    """The fields of a configuration that an entry may set as options."""
    from peft import PeftConfig

    common = {field.name for field in dataclasses.fields(PeftConfig)} | {"modules_to_save"}
    ours = {field for field in kind.fields if _sweep_key(kind, field) is not None}
    unused = {"r"} - {kind.rank_field}  # PEFT ignores it
    return set(kind.fields) - common - ours - unused
