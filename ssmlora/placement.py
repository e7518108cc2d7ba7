"""Which modules are adapted: candidates of a model, and the rule from density to sites.

LoRA can use the same rule: `LoraConfig(target_modules=[s.name for s in select_sites(...)])`.

The placement `alternate` on six layers (q: query, v: value, .: not adapted):

    layer        0   1   2   3   4   5    links
    density 1    qv  qv  qv  qv  qv  qv   10
    density 1/2  q   v   q   v   q   v     4
    density 1/4  q   .   v   .   q   .     1
    density 1/8  q   .   .   v   .   .     0
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

PLACEMENTS = ("alternate", "even", "first", "last", "random")

QUERY_VALUE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "electra", "deit", "vit"),
        ("query", "value"),
    ),
    **dict.fromkeys(
        ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "opt"),
        ("q_proj", "v_proj"),
    ),
    **dict.fromkeys(("t5", "mt5", "umt5"), ("q", "v")),
    "distilbert": ("q_lin", "v_lin"),
}
"""Query and value projections by architecture (`config.model_type`)."""

_FUSED = {"gpt2": "c_attn", "gpt_neox": "query_key_value", "modernbert": "Wqkv"}


@dataclass(frozen=True)
class Site:
    """A module that can be adapted.

    `name` is the full module name, `layer` its depth, `kind` the name's last part, and `axis` what
    shares one time axis: the name with its layer number left open, so that query and value, and
    encoder and decoder, each have their own.
    """

    name: str
    layer: int
    kind: str
    axis: str


def candidate_sites(model: nn.Module, target_modules: Sequence[str] | None = None) -> list[Site]:
    """List the modules that may carry a state, in depth order.

    Args:
        model: Any model; with `target_modules=None` its `config.model_type` is looked up.
        target_modules: Name suffixes, in the order they have within a layer.

    Raises:
        ValueError: no default for the architecture, or nothing in the model has such a name.
    """
    kinds = tuple(target_modules) if target_modules is not None else _default_kinds(model)
    sites = []
    for name, module in model.named_modules():
        kind = next((k for k in kinds if name == k or name.endswith(f".{k}")), None)
        base: Any = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
        if kind is None or not hasattr(base, "weight"):
            continue
        number = re.search(r"\.(\d+)\.", f".{name}.")
        layer = int(number[1]) if number else 0
        axis = re.sub(r"(^|\.)\d+(\.|$)", r"\1*\2", name, count=1)
        sites.append(Site(name, layer, kind, axis))
    if not sites:
        raise ValueError(f"no module of this model is named {' or '.join(kinds)}")
    stacks = {stack: i for i, stack in enumerate(dict.fromkeys(_stack(s) for s in sites))}
    return sorted(sites, key=lambda s: (stacks[_stack(s)], s.layer, kinds.index(s.kind)))


def select_sites(
    candidates: Sequence[Site],
    density: float = 1.0,
    placement: str | Sequence[str] = "alternate",
    seed: int = 0,
) -> list[Site]:
    """Choose round(density x candidates) sites (to the nearest, ties up, at least one).

    `alternate` spreads them evenly over depth with alternating kinds (the paper's at 1/2; see the
    drawing above); `even` takes evenly spaced candidates; `first` and `last` the shallowest and
    the deepest; `random` a seeded sample; a sequence of full names takes exactly those.

    Raises:
        ValueError: a density outside (0, 1], an unknown placement, a name that is no candidate.
    """
    if not isinstance(placement, str):
        by_name = {site.name: site for site in candidates}
        missing = [name for name in placement if name not in by_name]
        if missing:
            raise ValueError(f"placement names {missing[0]!r}, which is no candidate")
        chosen = set(placement)
        return [site for site in candidates if site.name in chosen]
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1, found {density}")
    count = min(len(candidates), max(1, math.floor(density * len(candidates) + 0.5)))
    if placement == "alternate":
        return _alternate(candidates, count)
    if placement == "even":
        return [candidates[i * len(candidates) // count] for i in range(count)]
    if placement == "first":
        return list(candidates[:count])
    if placement == "last":
        return list(candidates[-count:])
    if placement == "random":
        picked = sorted(random.Random(seed).sample(range(len(candidates)), count))
        return [candidates[i] for i in picked]
    raise ValueError(f"placement must be one of {', '.join(PLACEMENTS)}, found {placement!r}")


def count_links(sites: Sequence[Site]) -> int:
    """Count the sites that receive another site's state: all but the first on each axis."""
    return len(sites) - len({site.axis for site in sites})


def _alternate(candidates: Sequence[Site], count: int) -> list[Site]:
    layers: dict[tuple[str, int], list[Site]] = {}
    for site in candidates:
        layers.setdefault((_stack(site), site.layer), []).append(site)
    rows = list(layers.values())
    chosen: set[str] = set()
    turn = 0
    while len(chosen) < count:
        # One round gives every layer a kind it does not have yet; the last may be partial, and
        # is then spread evenly. In a partial first round the kinds alternate over what is chosen.
        left = min(count - len(chosen), len(rows))
        for order in range(left):
            depth = order * len(rows) // left
            row = rows[depth]
            start = (order if turn == 0 else depth) + turn
            free = [row[(start + k) % len(row)] for k in range(len(row))]
            site = next((s for s in free if s.name not in chosen), None)
            if site is not None:
                chosen.add(site.name)
        turn += 1
    return [site for site in candidates if site.name in chosen]


def _stack(site: Site) -> str:
    return site.axis.split("*")[0]


def _default_kinds(model: nn.Module) -> tuple[str, ...]:
    kind = str(getattr(getattr(model, "config", None), "model_type", "unknown"))
    if kind in QUERY_VALUE:
        return QUERY_VALUE[kind]
    if kind in _FUSED:
        raise ValueError(
            f"'{kind}' computes query, key and value in one module ({_FUSED[kind]}), so query and "
            f"value alone cannot be adapted: pass target_modules=['{_FUSED[kind]}'] to adapt all"
        )
    raise ValueError(
        f"no default for the architecture '{kind}': pass target_modules with the names of its "
        f"query and value projections, for example ['q_proj', 'v_proj']"
    )
