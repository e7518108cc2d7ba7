"""Finds plug-ins: built-in ones, those in a folder of the user, those of installed packages."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from harness.core.cell import NO_CURRICULUM
from harness.core.hints import SIMILAR
from tasks.base import Task, TaskError, TaskMetadata, TokenCounter
from tasks.files.entry import DataEntry
from tasks.files.task import file_task

GROUP = "bench_long.tasks"
"""Entry-point group in which other packages offer task classes."""


@dataclass(frozen=True)
class OwnTasks:
    """The user's own tasks.

    Attributes:
        folder: of plug-ins.
        entries: tasks that a sweep file defines, with absolute paths.
    """

    folder: Path | None = None
    entries: tuple[DataEntry, ...] = ()


class Registry(Mapping[str, type[Task]]):
    """Task classes by name; `broken` maps what could not be loaded to the reason."""

    def __init__(self, classes: dict[str, type[Task]], broken: dict[str, str]) -> None:
        self._classes = classes
        self.broken = broken

    def __getitem__(self, name: str) -> type[Task]:
        """The class of that name."""
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._classes)

    def __len__(self) -> int:
        """How many plug-ins work."""
        return len(self._classes)


def discover(extra_dir: Path | None = None) -> Registry:
    """Load every plug-in; one that fails is recorded as broken and does not affect the others.

    Plug-ins are the built-in modules, the modules in `extra_dir` (except `_*.py` and `test_*.py`),
    and the classes of installed packages. They are code: only name folders that you trust.

    Raises:
        TaskError: `extra_dir` is not a folder.
    """
    if extra_dir and not extra_dir.is_dir():
        raise TaskError(f"no such folder of task plug-ins: {extra_dir}")
    here = Path(__file__).resolve().parent
    built_in = sorted([*here.glob("*.py"), *(here / "builtin").rglob("*.py")], key=lambda p: p.stem)
    paths = list(built_in)
    if extra_dir and extra_dir.resolve() != here:
        paths += sorted(extra_dir.resolve().glob("*.py"))
    classes: dict[str, type[Task]] = {}
    broken: dict[str, str] = {}
    for path in paths:
        own = path in built_in
        if path.name.startswith(("_", "test_")):
            continue
        try:
            module = importlib.import_module(_dotted(path)) if own else _load(path)
            found = _tasks_in(module)
            if not found and not own:
                raise TaskError("has no subclass of Task")
            for task in found:
                _add(task, classes)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in that exits is broken like any other
            broken[path.stem] = _reason(error) + ("" if own else f" (in {path})")
    for entry in entry_points(group=GROUP):
        try:
            task = entry.load()
            if not (inspect.isclass(task) and issubclass(task, Task)):
                raise TaskError("is not a subclass of Task")
            _add(task, classes)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            broken[entry.name] = _reason(error)
    return Registry(classes, broken)


def _dotted(path: Path) -> str:
    """The name under which a built-in file is imported."""
    return ".".join(path.relative_to(Path(__file__).resolve().parents[1]).with_suffix("").parts)


def load_task(
    name: str, extra: Path | OwnTasks | None = None, token_counter: TokenCounter | None = None
) -> Task:
    """Make the task of that name; `token_counter` is that of the model (BERT's by default).

    `extra` is a folder of plug-ins, or all tasks of the user's own.

    Raises:
        TaskError: the task does not exist (the message has the nearest name), its plug-in is broken
            or has the name of another task, its files are wrong, or the folder does not exist.
    """
    own = extra if isinstance(extra, OwnTasks) else OwnTasks(extra)
    extra_dir = own.folder
    found = discover(extra_dir)
    for entry in own.entries:
        if entry.name == name:
            if name in found:
                raise TaskError(f"{name}: another task has this name: add `name:` to the entry")
            return _made(entry, token_counter)
    if name in found and name not in found.broken:
        task = found[name]()
        task.token_counter = token_counter
        return task
    if name in found.broken:
        raise TaskError(f"the plug-in '{name}' cannot be used: {found.broken[name]}")
    close = _close(name, [*found, *(entry.name for entry in own.entries)])
    hint = (
        f"Did you mean {' or '.join(repr(one) for one in close)}?"
        if close
        else f"Available: {', '.join(sorted([*found, *(entry.name for entry in own.entries)]))}."
    )
    if extra_dir:
        hint += f" (plug-ins were searched in {extra_dir})"
    else:
        hint += " Your own plug-ins need --tasks-dir DIR."
    if found.broken:
        hint += f" Broken plug-ins: {', '.join(sorted(found.broken))}."
    raise TaskError(f"there is no task '{name}'. {hint}")


def _made(entry: DataEntry, token_counter: TokenCounter | None) -> Task:
    task = file_task(entry)
    task.token_counter = token_counter
    return task


def _close(name: str, known: list[str]) -> list[str]:
    """Names that contain this one as whole words (`sst2`, `pathfinder`), else the nearest one.

    Separators are ignored: `glue_sst2` contains `sst-2`, and `superglue_wsc` contains `super_glue`.
    """
    given = name.strip().lower().replace("-", "_").replace(" ", "_")
    if given in known:
        return [given]
    joined = given.replace("_", "")
    same = [one for one in sorted(known) if joined and one.replace("_", "") == joined]
    parts = same or [one for one in sorted(known) if joined and _has_words(one, joined)]
    if 0 < len(parts) <= 9:
        return parts
    return difflib.get_close_matches(given, known, n=1, cutoff=SIMILAR)


def _has_words(name: str, joined: str) -> bool:
    """Whether neighbouring words of a name, without separators, are `joined`."""
    words = name.split("_")
    spans = itertools.combinations(range(len(words) + 1), 2)
    return any("".join(words[start:end]) == joined for start, end in spans)


def _load(path: Path) -> ModuleType:
    """Import a file outside the package under its own module name."""
    name = f"bench_long_tasks_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskError("is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _tasks_in(module: ModuleType) -> list[type[Task]]:
    """The module's own task classes; base classes have names that begin with `_`."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Task)
        and value is not Task
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]


def _add(task: type[Task], classes: dict[str, type[Task]]) -> None:
    if inspect.isabstract(task):
        raise TaskError(f"{task.__name__} lacks {', '.join(sorted(task.__abstractmethods__))}")
    metadata = getattr(task, "metadata", None)
    if not isinstance(metadata, TaskMetadata):
        raise TaskError(f"{task.__name__} has no metadata of type TaskMetadata")
    curricula = task.curricula
    if not isinstance(curricula, Mapping) or not all(map(_is_name, curricula)):
        raise TaskError(
            f"{task.__name__}.curricula: expected a mapping of names (lower-case letters, digits, "
            f"underscores; not '{NO_CURRICULUM}') to descriptions"
        )
    if metadata.name in classes:
        raise TaskError(f"the name '{metadata.name}' is taken by another task")
    classes[metadata.name] = task


def _is_name(curriculum: object) -> bool:
    return (
        isinstance(curriculum, str)
        and re.fullmatch(r"[a-z][a-z0-9_]*", curriculum) is not None
        and curriculum != NO_CURRICULUM
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"metadata: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    text = str(error).strip().splitlines() or [""]
    return text[0] if isinstance(error, TaskError) else f"{type(error).__name__}: {text[0]}"
