"""Reads YAML files of users as plain data by the rules of YAML 1.2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from harness.core.errors import BadInput

_DIGITS = 40
"""The most digits that a whole number may have."""

_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"


def number_in(text: str) -> float | None:
    """Return the number in a text by the rules of YAML 1.2; None for texts such as `1_000`."""
    return float(text) if re.fullmatch(_FLOAT, text) else None


class _StrictLoader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2, and without constructs that can expand.

    Refused: a duplicate key, a tag, an alias, lists and mappings nested more than 16 deep.

    PyYAML reads scalars as YAML 1.1 does: `0032` as octal 26, `1:30` as 90, `no` as false, `1e-3`
    as a text and `2026-11-28` as a date. The rules below are those of YAML 1.2's core schema
    (section 10.3.2): these are 32, a text, a text, 0.001 and a text.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012  # replaces PyYAML's rules, which follow YAML 1.1

    _deep = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, f"the alias *{event.anchor} is refused: write it out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refused(event, f"the tag {tag} is refused: only plain YAML data is read")
        if any("\ud800" <= sign <= "\udfff" for sign in getattr(event, "value", "")):
            raise _refused(event, "a lone surrogate is not a character: remove it from the text")
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
                raise _refused(key_node, f"duplicate key '{key_node.value}'")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _whole(loader: _StrictLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    if len(text) > _DIGITS:  # Python refuses to print some of these
        raise _refused(node, f"a number of {len(text)} digits is refused: at most {_DIGITS}")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


for _tag, _form, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        _FLOAT + r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form})$"), _first
    )
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _whole)


def _refused(where: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


class _Dumper(yaml.SafeDumper):
    """Quotes each text that YAML 1.1 or 1.2 would read as another type."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_StrictLoader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {
            *yaml.SafeDumper.yaml_implicit_resolvers,
            *_StrictLoader.yaml_implicit_resolvers,
        }
    }


def dump_yaml(data: Any, width: int = 100, flow: bool = False) -> str:
    """Return plain data as YAML; `parse_yaml` returns the same data, with keys in order.

    With `flow` it is one line in braces.
    """
    style: dict[str, Any] = {"width": width}
    if flow:
        style = {"width": 10**9, "default_flow_style": True}
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)
    return text.rstrip("\n") if flow else text


def parse_yaml(text: str, where: str) -> Any:
    """Parse one YAML document into plain data.

    Raises:
        BadInput: the text is not YAML, or the loader refuses a construct.
    """
    try:
        return _StrictLoader(text).get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    except (ValueError, ArithmeticError) as error:
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


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "list", str: "text"}
    return names.get(type(value), type(value).__name__)
