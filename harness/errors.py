"""What the user did wrong, said in one line: what, where, what to do."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tasks.base import printable as printable


class BadInput(Exception):
    """Input that cannot be run. The command line prints its arguments, a line each: exit 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` or the list of what there is."""
    names = sorted(str(k) for k in known)
    close = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" There is: {', '.join(names)}."


def told(error: BaseException) -> str:
    """What a library's or a plug-in's error says, in one printable line of bounded length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0][:300])


def log_traceback() -> None:
    """Write the traceback of what is being handled to standard error, a worker's log.

    Printable: an error may quote what stands in a text or in the name of a file.
    """
    for line in traceback.format_exc().splitlines():
        print(printable(line[:1000]), file=sys.stderr, flush=True)


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, made to refuse what no sweep needs and what can make a small file explode.

    Refused: a key that stands twice, a tag, an alias, lists and mappings more than 16 deep.
    """

    _deep = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, f"the alias *{event.anchor} is refused: write it out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refused(event, f"the tag {tag} is refused: only plain YAML data is read")
        if self._deep > 16:
            raise _refused(event, "nested too deeply")
        self._deep += 1
        node = super().compose_node(parent, index)
        self._deep -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refused(key_node, "a key must be one word")
            if key_node.value in seen:
                raise _refused(key_node, f"the key '{key_node.value}' stands twice")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _refused(where: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


def parse_yaml(text: str, where: str) -> Any:
    """Parse one YAML document into plain data.

    Raises:
        BadInput: not YAML, or something that the loader above refuses.
    """
    try:
        return _StrictLoader(text).get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    except (ValueError, ArithmeticError) as error:  # 2020-99-99; a number of 5000 digits
        line, problem = "", str(error).splitlines()[0]
    raise BadInput(f"{where}{line}: not readable as YAML: {problem}")


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
    errors = error.errors(include_url=False)
    first = errors[0]
    path = [str(part) for part in first["loc"]]
    given = first.get("input")
    more = len({_key(e["loc"]) for e in errors}) - 1
    if first["type"] == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        text = f"{where}: {'.'.join(path)}: unknown key.{nearest(path[-1], fields)}"
    elif first["type"] == "missing":
        text = f"{where}: {'.'.join(path)}: is missing"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        if first["type"] == "model_type":
            reason = "expected keys and values: " + ", ".join(_fields_at(model, path))
        plain = given is not None and not isinstance(given, dict | list)
        shown = f" (found {_short(given)})" if plain else ""
        text = f"{where}: {_key(first['loc'])}: {reason}{shown}"
    return BadInput(text + (f" [and {more} more]" if more else ""))


def _key(place: tuple[int | str, ...]) -> str:
    """A key as the file has it, without the branch of a union that pydantic names."""
    return ".".join(
        p for p in map(str, place) if p.isdigit() or (p.isidentifier() and p != "float")
    )


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: Any = model
    for part in path:
        field = getattr(current, "model_fields", {}).get(part)
        inner = field.annotation if field else None
        options = [inner, *getattr(inner, "__args__", ())]
        current = next((o for o in options if hasattr(o, "model_fields")), None)
    return list(getattr(current, "model_fields", {}))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "list", str: "text"}
    return names.get(type(value), type(value).__name__)
