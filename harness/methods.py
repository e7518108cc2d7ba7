"""full | lora | ssmlora | any PEFT configuration: how a backbone is made trainable."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from harness.cells import BASE, Cell
from harness.errors import BadInput, nearest
from harness.sweep import Method

if TYPE_CHECKING:
    import torch

TARGETS = ("attention",)
"""Which candidate sites an arm may adapt: query and value projections of every layer."""

_OURS = {
    "target_modules", "modules_to_save", "r", "lora_alpha", "density",
    "placement", "placement_seed", "exclude_modules", "layers_to_transform", "layers_pattern",
}  # fmt: skip
"""Fields of PEFT configurations that say what is adapted: here density and placement do."""


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
    if method.type in ("lora", "ssmlora") and not method.options:
        return  # nothing to look up, and importing PEFT takes seconds
    config_class, fields = _config_fields(method.type, where)
    for key, value in method.options.items():
        if key not in fields:
            own = set(Method.model_fields) - {"type", "options"}
            raise BadInput(f"{where}.{key}: unknown key.{nearest(key, fields | own)}")
        _check_option(config_class, key, value, where)


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
            raise BadInput(f"{where}.{key}: {reason} (found {value!r})") from None


def adapt(model: Any, cell: Cell) -> Adapted:
    """Make `model` trainable as the cell says. LoRA and SSMLoRA get the same sites."""
    if cell.method in ("full", BASE):
        model.requires_grad_(cell.method == "full")
        return Adapted(model, None, None)
    from peft import get_peft_model

    from ssmlora import candidate_sites, count_links, select_sites

    assert cell.density is not None
    assert cell.placement is not None
    sites = select_sites(candidate_sites(model), cell.density, cell.placement, seed=cell.seed)
    settings: dict[str, Any] = {
        "target_modules": [site.name for site in sites],
        # PEFT's class for causal language models brings `generate`.
        **({"task_type": "CAUSAL_LM"} if cell.writes else {"modules_to_save": ["classifier"]}),
        **cell.options,
    }
    config_class = _config_class(cell.method)
    fields = {field.name for field in dataclasses.fields(config_class)}
    if "r" in fields:
        settings.setdefault("r", cell.rank)
    if "lora_alpha" in fields:
        settings.setdefault("lora_alpha", cell.alpha)
    if cell.method == "ssmlora":
        # The sites are chosen above, by the same rule for every method.
        settings["placement"] = settings.pop("target_modules")
    peft_model = get_peft_model(model, config_class(**settings))
    if cell.method != "ssmlora":
        return Adapted(peft_model, len(sites), None)
    linked = cell.options.get("link_state", True)
    return Adapted(peft_model, len(sites), count_links(sites) if linked else 0)


def _config_class(name: str) -> Any:
    return _config_classes()[name]


def _config_classes() -> dict[str, Any]:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    import ssmlora  # noqa: F401  # registers its PEFT type

    return {str(getattr(k, "value", k)).lower(): v for k, v in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


def _config_fields(name: str, where: str) -> tuple[Any, set[str]]:
    """The configuration of a method and the fields of it that a sweep may set."""
    from peft import PeftConfig

    known = _config_classes()
    if name not in known:
        raise BadInput(f"{where}: unknown method '{name}'.{nearest(name, {*known, 'full'})}")
    fields = {field.name for field in dataclasses.fields(known[name])}
    if "target_modules" not in fields:
        raise BadInput(f"{where}: '{name}' is not placed on modules, so it has no density to sweep")
    return known[name], fields - _OURS - {field.name for field in dataclasses.fields(PeftConfig)}
