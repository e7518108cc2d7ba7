"""The learning rate of a cell: from the sweep, from a study, or the default of the method."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import HEAD, TFIDF, ZERO_SHOT
from harness.planning import tuned
from harness.planning.sweep import Sweep

STUDIES = "tuned*.yaml"
"""Files with the learning rates that studies chose; `tuned.yaml` is read first."""

DEFAULTS = {
    "full": 5e-5, "ia3": 3e-3, "vera": 4e-3, "prompt_tuning": 3e-2, "prefix_tuning": 1e-2,
}  # fmt: skip
"""Published rates: the default of transformers' Trainer for full fine-tuning; Liu et al., 2022, for
IA3; Kopiczko et al., ICLR 2024, for VeRA; PEFT's examples for prompt and prefix tuning."""

ADAPTER_DEFAULT = 1e-3
"""The rate of all other adapters, as in PEFT's LoRA examples. LoRA and SSMLoRA share it, so that
neither has an advantage without a study."""

HEAD_DEFAULT = 1e-2
"""The rate of the classifier in all arms, chosen by validation loss on two tasks
(docs/log/2026-11-28-controls.md)."""


_SHOWN = 8
"""The most names that a message lists."""


class Rates:
    """Learning rates for the cells of one sweep.

    Order: the number in the sweep; a study with the same settings (`tuned*.yaml` beside the sweep
    file, then those in the `sweeps/` folder of this checkout); the default of the method. With
    `lr: tuned` an arm that no study has, or has with other settings, is an error instead.
    """

    def __init__(self, sweep: Sweep, source: Path, backbone: str) -> None:
        self._asked = sweep.train.lr
        self._head_lr = sweep.train.head_lr
        self._backbone = backbone
        self._source = source
        self._missing: dict[str, None] = {}
        self._differing: dict[str, dict[str, None]] = {}

    def given_to(self, cell: Cell) -> Cell:
        """Return the cell with its learning rate and the source of the rate.

        With `lr: tuned` and no study for the arm the cell is returned as it is; `check` reports it.

        Raises:
            BadInput: a study cannot be read.
        """
        if cell.method in (TFIDF, ZERO_SHOT):
            return cell
        if not cell.uses_lm_head:
            head = self._of_head(cell)
            if cell.method == HEAD:
                return head
            cell = cell.model_copy(update={"head_lr": head.lr})
        if cell.lr is not None:  # set in the entry of the method
            return _with(cell, cell.lr, "sweep")
        if isinstance(self._asked, float):
            return _with(cell, self._asked, "sweep")
        if found := self._studied(cell):
            return found
        if self._asked is not None:
            self._missing[f"{cell.arm} on {cell.task}"] = None
            return cell
        return _with(cell, DEFAULTS.get(cell.method, ADAPTER_DEFAULT), "default")

    def _studied(self, cell: Cell) -> Cell | None:
        """Return the cell with the rate of a study; None if none has its arm and its settings.

        With `lr: {tuned: transfer}` the settings may differ: the most similar ones are used. With
        `lr: tuned` the differences are kept for `check`.
        """
        own = [entry for entry in self._entries if entry.arm == cell.arm_key]
        if not own:
            return None
        entry = min(own, key=lambda one: one.distance(cell))
        differences = entry.differences(cell)
        if not differences:
            return _with(cell, entry.lr, "tuned")
        if isinstance(self._asked, dict):
            return _with(cell, entry.lr, "transferred")
        if self._asked == "tuned":
            self._differing.setdefault(f"{cell.arm} on {cell.task}", {}).update(
                dict.fromkeys(differences)
            )
        return None

    def _of_head(self, cell: Cell) -> Cell:
        """Return the `head` arm beside a cell: its rate is that of the classifier in all arms.

        `train.lr` is for the backbone, so it is not used here.
        """
        if cell.method == HEAD and cell.lr is not None:  # set in the entry of the method
            return _with(cell, cell.lr, "sweep")
        head = cell.model_copy(update={**_HEAD_ARM, "lr": None})
        if self._head_lr is not None:
            return _with(head, self._head_lr, "sweep")
        return self._studied(head) or _with(head, HEAD_DEFAULT, "default")

    def check(self) -> None:
        """Check that studies have a rate for every arm where the sweep says `lr: tuned`.

        Raises:
            BadInput: naming the arms, what studies have instead, and what to do.
        """
        lines = []
        if self._differing:
            lines.append(self._other_settings())
        if missing := [arm for arm in self._missing if arm not in self._differing]:
            lines.append(self._no_entry(missing))
        if lines:
            raise BadInput(*lines)

    def _other_settings(self) -> str:
        differences = dict.fromkeys(text for own in self._differing.values() for text in own)
        return (
            f"{self._source}: train.lr: tuned: the study in {_listed(map(str, self._places))} has "
            f"other settings for {_listed(self._differing)}: {_listed(differences)}. Run a study "
            f"with the settings of this sweep, or use its rates all the same with "
            f"lr: {{tuned: transfer}}"
        )

    @property
    def _places(self) -> list[Path]:
        own = Path(__file__).resolve().parents[2] / "sweeps"
        places = [*sorted(self._source.parent.glob(STUDIES)), *sorted(own.glob(STUDIES))]
        found = dict.fromkeys(place.resolve() for place in places)
        return [p for p in found if p.is_file() and p != self._source.resolve()]

    @cached_property
    def _entries(self) -> list[tuned.Entry]:
        return [entry for place in self._places for entry in tuned.read(place)]

    def _no_entry(self, arms: list[str]) -> str:
        studied = sorted(
            {f"{e.arm.get('method')} of {e.arm.get('backbone')} on {e.arm.get('task')}"
             for e in self._entries}
        )  # fmt: skip
        read = (
            ", ".join(map(str, self._places)) or f"{self._source.parent / 'tuned.yaml'} (not there)"
        )
        return (
            f"{self._source}: train.lr: tuned: no study has a learning rate of "
            f"{self._backbone} for {_listed(arms)}; {read} has: "
            f"{', '.join(studied) or 'nothing'}. Leave train.lr out for the method's default, give "
            f"a number, or run a study (`make tune`)"
        )


_HEAD_ARM: dict[str, Any] = {
    **dict.fromkeys(("density", "placement", "rank", "alpha", "target")),
    "method": HEAD,
    "options": {},
}


def _listed(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = [*names]
    more = f" [and {len(shown) - _SHOWN} more]" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _with(cell: Cell, lr: float, source: str) -> Cell:
    """Return the cell with its rate; the `head` arm has it as rate of the classifier too."""
    head = {"head_lr": lr} if cell.method == HEAD else {}
    return cell.model_copy(update={"lr": lr, "lr_source": source, **head})
