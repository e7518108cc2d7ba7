"""What the user did wrong, said in one line: what, where, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError


class BadInput(Exception):
    """Input that cannot be run. The command line prints it and exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` or the list of what there is."""
    names = sorted(str(k) for k in known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" There is: {', '.join(names)}."


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which builds plain data only, made to refuse a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' stands twice", key_node.start_mark
                )
            seen.add(str(key_node.value))
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str) -> Any:
    """Parse one YAML document into plain data.

    Raises:
        BadInput: not YAML, a key given twice, or a tag that asks for anything but plain data.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader, see above
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        if "could not determine a constructor for the tag" in problem:
            tag = problem.split("'")[1]
            problem = f"the tag {tag} is refused: only plain YAML data is read"
        raise BadInput(f"{where}{line}: not readable as YAML: {problem}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping from a file.

    Raises:
        BadInput: the file is missing, unreadable, empty, or does not hold a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    data = parse_yaml(text, str(path))
    if data is None:
        raise BadInput(f"{path}: is empty; a sweep needs at least name, backbone, tasks, methods")
    if not isinstance(data, dict):
        raise BadInput(f"{path}: expected keys and values at the top, found a {_kind(data)}")
    return data


def explain(error: ValidationError, model: type[BaseModel], where: str) -> BadInput:
    """Turn pydantic's first complaint into one line that names file, key and what was expected."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    given = first.get("input")
    more = error.error_count() - 1
    if first["type"] == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        text = f"{where}: {key}: unknown key.{nearest(path[-1], fields)}"
    elif first["type"] == "missing":
        text = f"{where}: {key}: is missing"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        shown = "" if given is None or isinstance(given, dict | list) else f" (found {given!r})"
        text = f"{where}: {key}: {reason}{shown}"
    return BadInput(text + (f" [and {more} more]" if more else ""))


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: Any = model
    for part in path:
        field = getattr(current, "model_fields", {}).get(part)
        inner = field.annotation if field else None
        options = [inner, *getattr(inner, "__args__", ())]
        current = next((o for o in options if hasattr(o, "model_fields")), None)
    return list(getattr(current, "model_fields", {}))


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "list", str: "text"}
    return names.get(type(value), type(value).__name__)
