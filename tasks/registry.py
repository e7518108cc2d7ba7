"""Finds plug-ins: in this folder, in a folder the user names, among installed packages."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from harness.core.hints import SIMILAR
from tasks.base import Count, Task, TaskError, TaskMetadata

GROUP = "bench_long.tasks"
"""Entry-point group under which other packages offer task classes."""


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
    """Load every plug-in. One that fails is recorded as broken and takes no other down.

    Modules here, modules in `extra_dir` (but for those that begin with `_` or `test_`), and the
    classes that installed packages offer. Plug-ins are code: only name folders you trust.

    Raises:
        TaskError: `extra_dir` is not a folder.
    """
    if extra_dir and not extra_dir.is_dir():
        raise TaskError(f"the folder of task plug-ins, {extra_dir}, is not there")
    here = Path(__file__).resolve().parent
    built_in = sorted([*here.glob("*.py"), *(here / "builtin").rglob("*.py")], key=_stem)
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
                raise TaskError("holds no subclass of Task")
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


def _stem(path: Path) -> str:
    return path.stem


def _dotted(path: Path) -> str:
    """The name under which a built-in file is imported."""
    return ".".join(path.relative_to(Path(__file__).resolve().parents[1]).with_suffix("").parts)


def load_task(name: str, extra_dir: Path | None = None, count: Count | None = None) -> Task:
    """Make the task of that name, for a model that counts tokens so (as BERT does, if not given).

    Raises:
        TaskError: there is none (the nearest name is given), its plug-in is broken, which one of a
            name that is taken is as well, or `extra_dir` is not a folder.
    """
    found = discover(extra_dir)
    if name in found and name not in found.broken:
        task = found[name]()
        task.count = count
        return task
    if name in found.broken:
        raise TaskError(f"the plug-in '{name}' cannot be used: {found.broken[name]}")
    close = _close(name, list(found))
    hint = (
        f"Did you mean {' or '.join(repr(one) for one in close)}?"
        if close
        else f"There is: {', '.join(sorted(found))}."
    )
    if extra_dir:
        hint += f" (own plug-ins were looked for in {extra_dir})"
    else:
        hint += " A plug-in of your own needs --tasks-dir DIR."
    if found.broken:
        hint += f" Broken plug-ins: {', '.join(sorted(found.broken))}."
    raise TaskError(f"there is no task '{name}'. {hint}")


def _close(name: str, known: list[str]) -> list[str]:
    """Names that hold this one as whole words (`sst2`, `pathfinder`), else the one spelt alike.

    How words are joined does not matter: `sst-2` is in `glue_sst2`, and `super_glue` in
    `superglue_wsc`.
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
    """Whether some neighbouring words of a name are `joined` without what separates them."""
    words = name.split("_")
    spans = itertools.combinations(range(len(words) + 1), 2)
    return any("".join(words[start:end]) == joined for start, end in spans)


def _load(path: Path) -> ModuleType:
    """Import a file outside the package under a name of its own."""
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
    """The module's own task classes; a name that begins with `_` marks a base class."""
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
    if metadata.name in classes:
        raise TaskError(f"the name '{metadata.name}' is taken by another task")
    classes[metadata.name] = task


def _reason(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"metadata: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    text = str(error).strip().splitlines() or [""]
    return text[0] if isinstance(error, TaskError) else f"{type(error).__name__}: {text[0]}"
