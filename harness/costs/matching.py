"""Ranks that give arms the same number of trainable parameters (`match: parameters`)."""

from __future__ import annotations

import json
from typing import Any

from harness.core.cell import Cell
from harness.core.errors import BadInput, one_line
from harness.models.backbones import Backbone
from harness.models.load import load_skeleton
from harness.models.quiet import quiet
from harness.training.methods import adapt, is_head
from harness.training.peft_methods import peft_method

_HIGHEST = 65536
"""The highest rank of a sweep."""

RESIDUAL = 0.02
"""Relative difference of parameters above which an arm is named."""

_SHAPE: dict[str, Any] = {
    "kind": "probe", "task": None, "backbone": "", "length": 8, "seed": 0, "lr": 1e-4,
    "batch_size": 1, "steps": 2, "dtype": "float32", "device": "cpu",
}  # fmt: skip
"""Settings of a cell that its parameters do not depend on."""


class Matching:
    """Chooses the rank of each arm so that its parameters are close to those of a reference.

    Attributes:
        warnings: arms whose parameters differ by more than 2 %, one line each.
    """

    def __init__(self, reference: dict[str, Any], backbone: Backbone, where: str) -> None:
        self._reference, self._backbone, self._where = reference, backbone, where
        self._known: dict[str, int] = {}
        self.warnings: dict[str, None] = {}

    def matched(self, arm: dict[str, Any], has_alpha: bool, uses_lm_head: bool) -> dict[str, Any]:
        """Return the settings of an arm with the matching rank.

        Args:
            arm: settings of a cell (`planning/arms.py`).
            has_alpha: whether the sweep sets alpha; otherwise it stays twice the rank.
            uses_lm_head: whether the task has no classifier.

        Raises:
            BadInput: the arm cannot be built, or trains prompts.
        """
        if "options" in arm and peft_method(arm["method"]).is_prompt:
            raise BadInput(
                f"{self._where}: match: parameters chooses ranks, and {arm['method']} has none: "
                f"remove match, or the method"
            )
        rank = arm.get("rank")
        if rank is None or arm == self._reference:
            return arm
        wanted = self._of(self._reference, uses_lm_head)

        def distance(rank: int) -> int:
            return abs(self._of({**arm, "rank": rank}, uses_lm_head) - wanted)

        low, high = 1, 2
        while high < _HIGHEST and self._of({**arm, "rank": high}, uses_lm_head) < wanted:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            below = self._of({**arm, "rank": middle}, uses_lm_head) < wanted
            low, high = (middle, high) if below else (low, middle)
        chosen = min((low, high), key=distance)
        share = self._of({**arm, "rank": chosen}, uses_lm_head) / wanted - 1
        if abs(share) > RESIDUAL:
            name = Cell.model_validate({**_SHAPE, **arm, "rank": chosen}).arm
            self.warnings[f"match: parameters: {name} has {share:+.1%} parameters"] = None
        doubled = arm["alpha"] is not None and not has_alpha and arm["alpha"] == 2 * rank
        return {**arm, "rank": chosen, **({"alpha": 2.0 * chosen} if doubled else {})}

    def _of(self, arm: dict[str, Any], uses_lm_head: bool) -> int:
        key = json.dumps([arm, uses_lm_head], sort_keys=True)
        if key not in self._known:
            self._known[key] = self._counted(arm, uses_lm_head)
        return self._known[key]

    def _counted(self, arm: dict[str, Any], uses_lm_head: bool) -> int:
        shape = {**_SHAPE, "backbone": self._backbone.name, "uses_lm_head": uses_lm_head}
        cell = Cell.model_validate({**shape, **arm})
        try:
            return adapter_parameters(cell, self._backbone)
        except Exception as error:  # PEFT raises many kinds
            raise BadInput(
                f"{self._where}: methods.{cell.method}: cannot be built on {self._backbone.name}: "
                f"{one_line(error)}"
            ) from None


def adapter_parameters(cell: Cell, backbone: Backbone) -> int:
    """Return the trainable parameters of an arm without the classifier; no weights are read."""
    with quiet():
        model = adapt(load_skeleton(backbone, cell.positions, cell.uses_lm_head), cell).model
    return sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and not is_head(n))
