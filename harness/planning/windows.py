"""Which tokens of a language-modelling task are scored: the same at every length of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.core.errors import BadInput
from harness.planning.further import tested_lengths
from harness.planning.keys.train import SCORED, Context
from harness.planning.reach import SEARCHED, token_size
from harness.planning.sweep import Sweep
from tasks import Task
from tasks.types.base import Window

if TYPE_CHECKING:
    from harness.models.backbones import Backbone


def window_of(sweep: Sweep, task: Task) -> Window | None:
    """The scored tokens of validation and test texts; None: all tokens of the front of each text.

    By default a sweep with several lengths scores the same tokens at all of them: otherwise the
    loss over length mixes the effect of context with that of content.
    """
    asked, lengths = sweep.train.context, {*sweep.lengths, *tested_lengths(sweep)}
    if not task.metadata.task_type.has_windows or asked == "none":
        return None
    if asked is None:
        if len(lengths) == 1:
            return None
        asked = Context(targets=min(SCORED, min(lengths) // 2))
    return Window(asked.window or max(lengths), asked.targets)


def check_windows(sweep: Sweep, task: Task, backbone: Backbone, where: str) -> list[str]:
    """Return a warning for each split with fewer texts that reach the window than the sweep needs.

    Raises:
        BadInput: no text of a split reaches the end of the window.
    """
    window = window_of(sweep, task)
    if window is None:
        return []
    size, name = token_size(backbone, task.metadata), task.metadata.name
    splits = task.splits(max(sweep.lengths), sweep.seeds[0])
    sizes = (sweep.train.validation_examples, sweep.train.test_examples)
    warnings = []
    for part, examples, asked in zip(("validation", "test"), splits[1:], sizes, strict=True):
        most = asked if isinstance(asked, int) else len(examples)
        reaching, read = 0, 0
        while reaching < most and read < min(len(examples), SEARCHED):
            reaching += size(examples[read], window.end) >= window.end
            read += 1
        if most and not reaching:
            raise BadInput(
                f"{where}: train.context: none of the {read:,} {part} texts of the task '{name}' "
                f"has {window.end} tokens, where the scored tokens end: use shorter lengths, or "
                f"`train.context: none` to score all tokens of each text"
            )
        if reaching < most and read == len(examples):
            warnings.append(
                f"{where}: train.context: {reaching:,} of the {read:,} {part} texts of the task "
                f"'{name}' have {window.end} tokens, where the scored tokens end; the others are "
                f"left out"
            )
    return warnings


def check_context(sweep: Sweep, tasks: Sequence[Task], source: str) -> None:
    """Check that `train.context` applies to a task of the sweep.

    Raises:
        BadInput: it applies to none.
    """
    if isinstance(sweep.train.context, Context) and not any(window_of(sweep, t) for t in tasks):
        raise BadInput(
            f"{source}: train.context: no task of this sweep is language modelling: remove the key"
        )
