"""The linear layers that an arm may adapt: the targets of a sweep, on any architecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.methods import ALL_LINEAR, ATTENTION, ATTENTION_ALL, JOINED, MLP, PAPER, TARGETS
from ssmlora import Site, candidate_sites
from ssmlora.placement import in_depth_order, projections

if TYPE_CHECKING:
    from torch import nn


_KEY = re.compile("k(ey)?(_proj|_lin)?")
"""Names of key projections."""


@dataclass(frozen=True)
class Candidates:
    """What density and placement choose from, and layers that are adapted in any case.

    Attributes:
        sites: candidate sites in depth order.
        plain: names of layers that get a pair of low-rank matrices without a state.
    """

    sites: list[Site]
    plain: tuple[str, ...] = ()


def candidates(model: nn.Module, target: str | None, has_state: bool = False) -> Candidates:
    """Return the candidates of a target.

    Args:
        model: a model without adapters.
        target: a name of `TARGETS`, or module names joined by `+`. None: `attention`.
        has_state: whether the method passes a state (SSMLoRA). With target `paper` its sites are
            the query and value projections, and all other layers but the key projections are
            plain. Without a state, `paper` is all linear layers, as in the paper's LoRA.

    Raises:
        ValueError: the model has no such layers.
    """
    if target is None or target == ATTENTION:
        return Candidates(_queries_and_values(model))
    if target not in TARGETS:
        return Candidates(candidate_sites(model, target.split(JOINED)))
    linear = [site for site in in_depth_order(projections(model)) if _in_block(site)]
    attention = [site for site in linear if _is_attention(site)]
    wanted = {
        ATTENTION_ALL: attention,
        MLP: [site for site in linear if site not in attention],
        ALL_LINEAR: linear,
        PAPER: linear,
    }[target]
    if not wanted:
        raise ValueError(f"target '{target}': {_kind(model)} has no such linear layers")
    if target != PAPER or not has_state:
        return Candidates(wanted)
    sites = _queries_and_values(model)
    plain = [site for site in linear if site not in sites and not _KEY.fullmatch(site.kind)]
    return Candidates(sites, tuple(site.name for site in plain))


def _queries_and_values(model: nn.Module) -> list[Site]:
    try:
        return candidate_sites(model)
    except ValueError:  # its remedy is for users of the package
        raise ValueError(
            f"no query and value projections were recognised in {_kind(model)}: name the linear "
            f"layers to adapt, for example target: [{_some_name(model)}], or use only `full`"
        ) from None


def _in_block(site: Site) -> bool:
    return any(part.isdigit() for part in site.name.split("."))


def _is_attention(site: Site) -> bool:
    """Whether a layer is inside an attention module of its block."""
    return any("att" in part.lower() for part in site.path.split(".")[:-1])


def _kind(model: nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))


def _some_name(model: nn.Module) -> str:
    return next((Site.of(n).kind for n in projections(model) if _in_block(Site.of(n))), "...")
