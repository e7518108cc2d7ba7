"""Validation errors of pydantic as one line for each wrong key, with the nearest valid key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.core.errors import BadInput, nearest
from harness.core.hints import elsewhere, similar, similar_alias
from harness.planning.forms import form_for

SHOWN = 5
"""Wrong keys that are listed; further ones are counted."""


def explain(error: ValidationError, model: type[BaseModel], where: str) -> BadInput:
    """Return an error with one line for each wrong key: file, key, what was expected."""
    lines: dict[str, str] = {}
    for one in error.errors(include_url=False):
        lines.setdefault(_key(one["loc"]), _line(one, model, where))
    shown = list(lines.values())[:SHOWN]
    if len(lines) > SHOWN:
        shown[-1] += f" [and {len(lines) - SHOWN} more]"
    return BadInput(*shown)


def _line(error: Any, model: type[BaseModel], where: str) -> str:
    path = [str(part) for part in error["loc"] if " " not in str(part)]  # names of branches
    given = error.get("input")
    plain = given is not None and not isinstance(given, dict | list)
    if error["type"] == "extra_forbidden":
        return f"{where}: {'.'.join(path)}: unknown key." + meant_key(
            path[-1], _fields_at(model, path[:-1]), model, "".join(f"{p}." for p in path[:-1])
        )
    if error["type"] == "missing":
        return f"{where}: {'.'.join(path)}: is missing"
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[0].lower() + reason[1:]
    if error["type"] == "model_type":
        reason = "expected keys and values: " + ", ".join(_fields_at(model, path))
    if error["type"] == "string_type":
        reason = "expected a text: put it in quotes" if plain else "expected a text"
    found = f" (found {_short(given)})" * plain
    return f"{where}: {_key(error['loc'])}: {reason}{found}{form_for(error['type'], reason, given)}"


def meant_key(key: str, known: Collection[str], model: type[BaseModel], above: str = "") -> str:
    """Suggest one of the `known` keys below `above`, or a key at another level of the file.

    Order: the same key or another tool's name for it, at this level, then at another level; then
    keys with a similar spelling, at this level, then at another.
    """
    places: dict[str, str] = {}
    for place in sorted(_places(model), key=lambda one: ("<" in one, one.count("."))):
        # Sorted so that a key for all methods comes before a key of one method.
        places.setdefault(place.split(".")[-1], place)
    for find_here, find_there in ((elsewhere, elsewhere), (similar_alias, similar)):
        if meant := find_here(key, known):
            return f" Did you mean '{above}{meant}'?"
        if meant := find_there(key, places):
            return f" Did you mean '{places[meant]}'?"
    return nearest(key, known)


def _places(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key with its parents: `seeds`, `train.lr`, `methods.<method>.rank`."""
    for name, field in model.model_fields.items():
        if name in ("type", "options"):  # set by `_method`; not keys of the file
            continue
        yield above + name
        if inner := _model_in(field.annotation):
            listed = ".<method>" if name == "methods" else ""
            yield from _places(inner, f"{above}{name}{listed}.")


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: type[BaseModel] | None = model
    for part in path:
        if part.isdigit():  # the place in a list
            continue
        field = current.model_fields.get(part) if current else None
        current = _model_in(field.annotation) if field else None
    return list(current.model_fields) if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation: the annotation itself, or a member of a union or list."""
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((o for o in options if hasattr(o, "model_fields")), None)


def _key(place: tuple[int | str, ...]) -> str:
    """A key as written in the file, without pydantic's names for branches of a union."""
    return ".".join(
        p for p in map(str, place) if p.isdigit() or (p.isidentifier() and p != "float")
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
