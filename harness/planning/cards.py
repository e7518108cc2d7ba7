"""Task cards: statistics of a task's data in the tokens of a backbone, kept with the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tasks
from harness.core.errors import BadInput, one_line
from harness.core.folder import RunFolder
from harness.models.backbones import Backbone
from harness.models.tokens import token_offsets, word_counter
from tasks import OwnTasks, Task, load_task
from tasks.card import task_card
from tasks.lib.cache import kept

if TYPE_CHECKING:
    from collections.abc import Iterable


_LIBRARIES = ("numpy", "scipy", "scikit-learn", "tokenizers")
"""Packages that decide the numbers of a card."""


def make_card(task: Task, backbone: Backbone, lengths: Sequence[int]) -> dict[str, Any]:
    """Return a task's card, with lengths in the tokens of a backbone.

    A card takes seconds, so those of this project's tasks are kept in the cache. A plug-in's is
    made each time, because its code may change under the same version.
    """

    def make() -> dict[str, Any]:
        return task_card(task, token_offsets(backbone), lengths)

    if not type(task).__module__.startswith("tasks."):
        return make()
    of_task = [task.metadata.model_dump(mode="json"), task.data_version()]
    key = json.dumps([_code(), *of_task, backbone.name, backbone.revision, sorted(lengths)])
    found = kept(task.metadata.name, f"card {key}", lambda: json.dumps(make()).encode())
    card: dict[str, Any] = json.loads(found)
    return card


@cache
def _code() -> str:
    """A digest of the code that makes cards, and of all tasks."""
    whole = sha256("".join(map(version, _LIBRARIES)).encode())
    for path in sorted(Path(str(tasks.__file__)).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def write_cards(
    folder: RunFolder,
    names: Iterable[str],
    lengths: Sequence[int],
    backbone: Backbone,
    own_tasks: OwnTasks,
) -> list[str]:
    """Write `cards/<task>.json` for tasks without a card of this data at these lengths.

    The results of the run exist already, so errors are returned, one line per task.
    """
    lost = []
    for name in names:
        path = folder.path / "cards" / f"{name}.json"
        try:
            task = load_task(name, own_tasks, word_counter(backbone))
            wanted = {"backbone": backbone.name, "pinned": task.data_version()}
            known = _read(path)
            there = {row["length"] for row in known.get("rows", [])}
            if wanted.items() <= known.items() and there >= set(lengths):
                continue
            every = sorted({*lengths, *(there if wanted.items() <= known.items() else ())})
            card = {**make_card(task, backbone, every), **wanted}
            folder.write_card(name, json.dumps(card, ensure_ascii=False, indent=1))
        except BadInput:
            raise
        except (Exception, SystemExit) as error:  # a plug-in is foreign code
            lost.append(f"no card of the task '{name}': {type(error).__name__}: {one_line(error)}")
    return lost


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        [row["length"] for row in card["rows"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}
