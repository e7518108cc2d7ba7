"""Chooses the linear layers to adapt: turns density and placement into module names.

Other methods can use the same sites:
`LoraConfig(target_modules=[site.name for site in select_sites(candidate_sites(model), 0.5)])`.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from peft.utils import AuxiliaryTrainingWrapper
from torch import nn

PLACEMENTS = ("alternate", "even", "first", "last", "random")

DEFAULT_TARGETS = (
    ("q_proj", "v_proj"),  # Llama, Mistral, Qwen, Gemma, OPT, BART, ViT, ...
    ("query", "value"),  # BERT, RoBERTa, ELECTRA, ...
    ("q", "v"),  # T5
    ("q_lin", "v_lin"),  # DistilBERT
    ("query_proj", "value_proj"),  # DeBERTa-v2
    # Query, key and value in one matrix: it is one site, so the key part is adapted too.
    ("c_attn",),  # GPT-2
    ("query_key_value",),  # GPT-NeoX, BLOOM, Falcon
    ("Wqkv",),  # ModernBERT, MPT
    ("qkv_proj",),  # Phi-3
)
"""Names of the query and value projections by model family. The first full match is used."""

_NUMBERED = re.compile(r"(?:(?P<stack>.*?)\.)?(?P<layer>\d+)\.(?P<path>.+)")


@dataclass(frozen=True)
class Site:
    """A linear layer that can be adapted.

    Attributes:
        name: full module name, relative to the model.
        layer: index of its block in the stack, from 0.
        kind: last part of the name, such as `query`.
        stack: name of the list of blocks, such as `encoder.layer`.
        path: name inside the block, such as `attention.self.query`.
    """

    name: str
    layer: int
    kind: str
    stack: str = ""
    path: str = ""

    @classmethod
    def of(cls, name: str) -> Site:
        """Derive stack, layer and kind from a module name; the first number is the layer."""
        kind = name.rpartition(".")[2]
        match = _NUMBERED.fullmatch(name)
        if match is None:
            return cls(name, 0, kind, name.rpartition(".")[0], kind)
        return cls(name, int(match["layer"]), kind, match["stack"] or "", match["path"])

    @property
    def axis(self) -> tuple[str, str]:
        """The axis along which the state is passed: the same place in each block of one stack.

        Queries and values have separate axes; so have encoder, decoder and cross attention.
        """
        return self.stack, self.path

    @property
    def group(self) -> tuple[str, str]:
        """The attention module in its stack. A placement alternates within it."""
        return self.stack, self.path.rpartition(".")[0]


def candidate_sites(model: nn.Module, target_modules: list[str] | None = None) -> list[Site]:
    """Return all candidate sites in depth order, query before value within a layer.

    Args:
        model: any module, with or without adapters.
        target_modules: endings of module names, such as `["query", "value"]`; default: the query
            and value projections of the architecture.

    Raises:
        ValueError: the architecture has no default (says what to pass), or nothing matches.
    """
    names = projections(model)
    targets = target_modules if target_modules is not None else default_targets(names)
    if targets is None:
        raise ValueError(
            f"no default target_modules for {type(model).__name__}: no query and value "
            "projections were recognised. Pass the names of the linear layers to adapt, for "
            f"example target_modules={_suggestion(names)}"
        )
    chosen = [name for name in names if _ends_with(name, targets)]
    if not chosen:
        raise ValueError(f"target_modules={list(targets)} match no linear layer of the model")
    return in_depth_order(chosen)


def default_targets(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return the kinds of the query and value projections among `names`, None if unknown."""
    kinds = {name.rpartition(".")[2] for name in names}
    return next((known for known in DEFAULT_TARGETS if kinds.issuperset(known)), None)


def projections(model: nn.Module) -> list[str]:
    """Return the names of all linear layers, in the order of the model.

    Layers inside an adapted layer, or inside PEFT's copies of modules trained in full, are left
    out.
    """
    names: list[str] = []
    wrapped: list[str] = []
    for name, module in model.named_modules():
        if name.startswith(tuple(wrapped)):
            continue
        adapted = hasattr(module, "base_layer")
        if adapted or isinstance(module, AuxiliaryTrainingWrapper):
            wrapped.append(f"{name}.")
        if adapted or isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
            names.append(name)
    return names


def in_depth_order(names: Sequence[str]) -> list[Site]:
    """Sort sites by stack, then layer, then their order in `names` (that of the forward pass)."""
    sites = [Site.of(name) for name in names]
    stacks = list(dict.fromkeys(site.stack for site in sites))
    return sorted(sites, key=lambda site: (stacks.index(site.stack), site.layer))


def select_sites(
    candidates: Sequence[Site],
    density: float = 1.0,
    placement: str | Sequence[str] = "alternate",
    seed: int = 0,
) -> list[Site]:
    """Choose round(density x candidates) sites (ties up, at least one), in depth order.

    `alternate` spreads them evenly over depth and alternates the kinds (as in the paper). `even`
    adapts all kinds of evenly spread layers. `first` and `last` take the lowest and the highest
    layers. `random` draws with `seed`. A list of full module names is used as it is. Adapted
    projections of 6 layers at density 1/2:

        layer       0    1    2    3    4    5
        alternate   q    v    q    v    q    v
        even        qv        qv        qv
        first       qv   qv   qv
        last                       qv   qv   qv

    and `alternate` at 1, 1/4 and 1/8:

        1           qv   qv   qv   qv   qv   qv
        1/4         q         v         q
        1/8         q              v

    Encoder, decoder and cross attention each get their share of the sites.

    Raises:
        ValueError: density outside (0, 1], unknown placement or name, or no candidates.
    """
    if not candidates:
        raise ValueError("no candidate sites")
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1], not {density!r}")
    if not isinstance(placement, str):
        if density != 1:
            raise ValueError("a list of module names decides the sites: leave density at 1")
        return _by_name(candidates, placement)
    if placement not in PLACEMENTS:
        raise ValueError(f"placement must be one of {PLACEMENTS} or a list, not {placement!r}")
    # Exact decimals: 0.29 x 50 is a tie, which binary fractions miss.
    count = max(1, int(Fraction(str(density)) * len(candidates) + Fraction(1, 2)))
    if placement == "random":
        drawn = set(random.Random(seed).sample(range(len(candidates)), count))
        return [site for i, site in enumerate(candidates) if i in drawn]
    chosen: set[str] = set()
    seen = 0
    for group in _groups(candidates):
        share = _ceil((seen + len(group)) * count, len(candidates)) - _ceil(
            seen * count, len(candidates)
        )
        seen += len(group)
        chosen.update(site.name for site in _pick(group, share, placement))
    return [site for site in candidates if site.name in chosen]


def count_links(sites: Iterable[Site]) -> int:
    """Count the links: all sites but the first on each axis receive a state."""
    sites = list(sites)
    return len(sites) - len({site.axis for site in sites})


def _pick(group: Sequence[Site], count: int, placement: str) -> list[Site]:
    if placement == "first":
        return list(group[:count])
    if placement == "last":
        return list(group[len(group) - count :])
    layers = sorted({site.layer for site in group})
    kinds = list(dict.fromkeys(site.kind for site in group))
    free = {(site.layer, site.kind): site for site in group}
    step = len(kinds) if placement == "even" else 1
    rounds = _ceil(count, step)
    picked = []
    for i in range(count):
        layer, kind = layers[i // step * len(layers) // rounds], kinds[i % len(kinds)]
        if (layer, kind) not in free:  # some layers of the stack do not have this kind
            layer, kind = next((key for key in free if key[0] >= layer), next(iter(free)))
        picked.append(free.pop((layer, kind)))
    return picked


def _groups(candidates: Sequence[Site]) -> list[list[Site]]:
    groups: dict[tuple[str, str], list[Site]] = {}
    for site in candidates:
        groups.setdefault(site.group, []).append(site)
    return list(groups.values())


def _by_name(candidates: Sequence[Site], names: Sequence[str]) -> list[Site]:
    known = [site.name for site in candidates]
    for name in names:
        if name not in known:
            near = "".join(f"; nearest: {n}" for n in difflib.get_close_matches(name, known, 1))
            raise ValueError(f"placement: '{name}' is not a candidate site{near}")
    if not names or len(set(names)) != len(names):
        raise ValueError("placement: a list needs at least one name, and each name once")
    return [site for site in candidates if site.name in set(names)]


def _ends_with(name: str, targets: Iterable[str]) -> bool:
    return any(name == target or name.endswith("." + target) for target in targets)


def _suggestion(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))[:2] or ["..."]


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
