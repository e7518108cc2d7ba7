"""full | lora | ssmlora | any PEFT configuration: how a backbone is made trainable."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cells import Cell
from harness.errors import BadInput, nearest
from harness.sweep import Method

if TYPE_CHECKING:
    import torch

TARGETS = ("attention",)
"""Which candidate sites an arm may adapt: query and value projections of every layer."""


@dataclass(frozen=True)
class Adapted:
    """A model made trainable, the number of adapted sites, and how many receive a state."""

    model: torch.nn.Module
    sites: int | None
    links: int | None


def check_method(method: Method, where: str) -> None:
    """Check type, target, placement and options without building anything.

    Raises:
        BadInput: naming the key and the nearest valid one.
    """
    if method.type == "full":
        extra = method.model_dump(exclude_defaults=True, exclude={"type", "lr"})
        if extra:
            raise BadInput(f"{where}: {min(extra)}: full fine-tuning takes no settings but lr")
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
    fields = _config_fields(method.type, where)
    for key in method.options:
        if key not in fields:
            own = set(Method.model_fields) - {"type", "options"}
            raise BadInput(f"{where}.{key}: unknown key.{nearest(key, fields | own)}")


def adapt(model: Any, cell: Cell) -> Adapted:
    """Make `model` trainable as the cell says. LoRA and SSMLoRA get the same sites."""
    if cell.method == "full":
        return Adapted(model, None, None)
    from peft import get_peft_model

    from ssmlora import candidate_sites, count_links, select_sites

    assert cell.density is not None
    assert cell.placement is not None
    sites = select_sites(candidate_sites(model), cell.density, cell.placement, seed=cell.seed)
    settings: dict[str, Any] = {
        "target_modules": [site.name for site in sites],
        "modules_to_save": ["classifier"],
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
    linked = cell.method == "ssmlora" and cell.options.get("link_state", True)
    return Adapted(peft_model, len(sites), count_links(sites) if linked else 0)


def _config_class(name: str) -> Any:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    import ssmlora  # noqa: F401  # registers its PEFT type

    known = {str(getattr(k, "value", k)).lower(): v for k, v in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    return known[name.lower()]


def _config_fields(name: str, where: str) -> set[str]:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known = {str(getattr(k, "value", k)).lower() for k in PEFT_TYPE_TO_CONFIG_MAPPING}
    if name.lower() not in known | {"ssmlora"}:
        raise BadInput(
            f"{where}: unknown method '{name}'.{nearest(name, known | {'full', 'ssmlora'})}"
        )
    fields = {field.name for field in dataclasses.fields(_config_class(name))}
    if "target_modules" not in fields:
        raise BadInput(f"{where}: '{name}' is not placed on modules, so it has no density to sweep")
    return fields - {
        "target_modules",
        "task_type",
        "modules_to_save",
        "r",
        "lora_alpha",
        "placement",
        "density",
    }
