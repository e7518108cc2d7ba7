"""Control arms that are added to a sweep: they show what its adapters gain, and from what."""

from __future__ import annotations

from harness.core.errors import BadInput
from harness.core.methods import FULL, HEAD
from harness.planning.sweep import Method, Sweep


def methods_of(sweep: Sweep, has_classifier: bool) -> list[Method]:
    """Return the entries of a sweep and of its controls for one task or for its probes.

    `head` needs a classifier. Without one, the control is the untrained backbone.
    """
    methods = [entry for entry in sweep.methods if has_classifier or entry.type != HEAD]
    adapters = [entry for entry in methods if entry.type not in (FULL, HEAD)]
    if has_classifier and adapters and HEAD in sweep.controls and not _has(HEAD, methods):
        methods.append(Method(type=HEAD))
    return methods


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
