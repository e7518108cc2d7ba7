"""Control arms that are added to a sweep: they show what its adapters gain, and from what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from harness.core.errors import BadInput
from harness.core.methods import (
    ATTENTION,
    FULL,
    HEAD,
    LORA,
    PAPER,
    RANK,
    SSMLORA,
    WITHOUT_STATE,
)
from harness.planning.keys.method import Method
from harness.planning.sweep import MECHANISM, Sweep


def methods_of(sweep: Sweep, has_classifier: bool) -> list[Method]:
    """Return the entries of a sweep and of its controls for one task or for its probes.

    `head` needs a classifier. Without one, the control is the untrained backbone. Entries may
    repeat arms of the sweep: equal cells are run once.
    """
    methods = [entry for entry in sweep.methods if has_classifier or entry.type != HEAD]
    adapters = [entry for entry in methods if entry.type not in (FULL, HEAD)]
    if has_classifier and adapters and HEAD in sweep.controls and not _has(HEAD, methods):
        methods.append(Method(type=HEAD))
    if MECHANISM in sweep.controls:
        of_lora = next((entry for entry in sweep.methods if entry.type == LORA), None)
        for entry in sweep.methods:
            without = {**entry.options, **WITHOUT_STATE.get(entry.type, {})}
            if without == entry.options:  # it has no state
                continue
            methods.append(entry.model_copy(update={"options": without}))
            if entry.type == SSMLORA:
                methods += _of_mechanism(entry, of_lora)
    return methods


def _of_mechanism(entry: Method, of_lora: Method | None) -> Iterator[Method]:
    """Yield further controls of an SSMLoRA entry: LoRA in three forms.

    The state of SSMLoRA has a large constant part, which a bias has too. LoRA gets the learning
    rates of the sweep's own LoRA entry.
    """
    targets = [target for target in entry.target or [ATTENTION] if target != PAPER]
    if not targets:  # with `paper`, LoRA adapts other sites: no control of the state
        return
    rates = {"lr": entry.lr if of_lora is None else of_lora.lr, "target": targets}
    lora = entry.model_copy(update={"type": LORA, "alpha": None, "options": {}, **rates})
    yield lora
    yield lora.model_copy(update={"options": {"bias": "lora_only"}})
    ranks = {
        matching_rank(density, rank)
        for density, rank in product(entry.density or [1.0], entry.rank or [RANK])
    }
    everywhere = {"density": [1.0], "placement": [], "rank": sorted(ranks)}
    yield lora.model_copy(update=everywhere)


def matching_rank(density: float, rank: int) -> int:
    """Return the rank of LoRA at all sites with about as many parameters as SSMLoRA.

    An SSMLoRA site has (d_in + d_out) r + 2 r² parameters, a LoRA site (d_in + d_out) r. The 2 r²
    (2 % at rank 8 and width 384) are less than the step between two ranks, and are left out.
    """
    return max(1, round(density * rank))


def check_head(sweep: Sweep, has_classifier: bool, where: str) -> None:
    """Check that a `head` entry under `methods` can run on some task of the sweep.

    Raises:
        BadInput: none of its tasks has a classifier.
    """
    if not has_classifier and _has(HEAD, sweep.methods):
        raise BadInput(
            f"{where}: methods.{HEAD}: no task of this sweep has a classifier: remove it (the "
            f"control of language models is the untrained backbone, which runs without an entry)"
        )


def _has(method: str, entries: list[Method]) -> bool:
    return any(entry.type == method for entry in entries)
