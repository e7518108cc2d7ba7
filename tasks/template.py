"""`bench-long tasks new NAME`: a plug-in that works, with its test, to be changed from there."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from tasks.base import TaskError
from tasks.registry import discover

COMMANDS = ("check", "export", "from", "new")
"""What `bench-long tasks` takes in the place of a task's name."""

_PLUGIN = '''"""Say here what one example is, and why its answer needs a long text."""

from __future__ import annotations

import random
from typing import ClassVar

from tasks import Example, Splits, Task, TaskMetadata
from tasks.words import FILLER


class {cls}(Task):
    """To be replaced by your data. As written: are there more rises or more falls?"""

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="{name}",
        title="{name}: rises and falls among words",
        description="Say here what is asked, in a sentence.",
        labels=("falling", "rising"),
        source="generated",
        # Shown with results. A digest of the examples is added to it, so other data is never taken
        # for these.
        revision="1",
        licence="name the licence of the data",
        citation="none",
        natural_length=100,
        lengths=(64, 128, 256),
        min_length=64,
        slack=2,  # tokens by which a text may fall short of the length: 0 for texts of your own
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of `length` tokens; the seed draws the training texts only."""
        return Splits(
            self._draw("train", 600, length, seed),
            self._draw("validation", 200, length, 0),
            self._draw("test", 500, length, 0),
        )

    def _draw(self, part: str, size: int, length: int, seed: int) -> list[Example]:
        draw = random.Random(f"{{part}} {{length}} {{seed}}")
        examples = []
        for number in range(size):
            label = number % 2
            words = [("fall", "rise")[label]] * 2 + [("rise", "fall")[label]]
            words += draw.choices(FILLER, k=length - len(words) - 2)  # two special tokens
            draw.shuffle(words)
            examples.append(Example(f"{{part}}-{{number}}", " ".join(words), label))
        draw.shuffle(examples)
        return examples
'''

_TEST = '''"""The task {name} keeps the rules that every task keeps."""

from __future__ import annotations

{imports}import pytest

from tasks import load_task
from tasks.conformance import violations


@pytest.mark.parametrize("length", [64, 256])
def test_conforms(length: int) -> None:
    assert violations(load_task({arguments}), length) == []
'''


def new_task(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `<folder>/<name>.py` and its test; return both paths.

    The test goes beside the plug-in as `test_<name>.py`; for the built-in tasks it goes to
    `tests/tasks`, where theirs are.

    Raises:
        TaskError: the name is no lower-case identifier or is taken, the folder is missing or cannot
            be written. Nothing is overwritten.
    """
    allowed = re.fullmatch(r"[a-z][a-z0-9_]*", name) and not keyword.iskeyword(name)
    if name in COMMANDS:
        raise TaskError(f"'{name}' cannot be a task's name: `bench-long tasks {name}` is a command")
    if not allowed or name.startswith("test_"):
        raise TaskError(
            f"'{name}' cannot be a task's name: lower-case letters, digits and underscores, "
            "beginning with a letter (and not with test_), as in 'my_task'"
        )
    if name in discover(folder):
        raise TaskError(f"there is a task '{name}' already")
    built_in = folder.resolve() == Path(__file__).resolve().parent
    tests = folder.resolve().parent / "tests" / "tasks" if built_in else folder
    plugin, test = folder / f"{name}.py", tests / f"test_{name}.py"
    for path in (plugin, test):
        if path.exists():
            raise TaskError(f"{path} is there already")
    fields = {
        "name": name,
        # Named so, it hides nothing that a plug-in imports, and no name is a keyword.
        "cls": "".join(word.capitalize() for word in name.split("_")) + "Task",
        "imports": "" if built_in else "from pathlib import Path\n\n",
        "arguments": f'"{name}"' if built_in else f'"{name}", Path(__file__).parent',
    }
    try:
        for path, content in ((plugin, _PLUGIN), (test, _TEST)):
            with path.open("x", encoding="utf-8") as file:
                file.write(content.format(**fields))
    except OSError as error:
        plugin.unlink(missing_ok=True)
        raise TaskError(f"cannot write {error.filename}: {error.strerror}") from None
    return plugin, test
