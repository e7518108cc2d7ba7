"""Labels of data files, given by number or name, checked against the task's order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Labels:
    """The names of a task's labels, as data files can write them.

    Args:
        names: by number, as published.
        synonyms: other names -> a name.
    """

    def __init__(self, names: Sequence[str], synonyms: Mapping[str, str] | None = None) -> None:
        self.names = tuple(names)
        self._numbers = {_key(name): number for number, name in enumerate(names)}
        for other, name in (synonyms or {}).items():
            self._numbers[_key(other)] = self._numbers[_key(name)]
        self._digits = any(name.isdigit() for name in names)

    def number(self, value: object) -> int:
        """Return the number of a label, given as a number or by its name.

        A boolean is the name `true` or `false`. Numeric text counts as a number, unless the names
        themselves are numbers.

        Raises:
            ValueError: no such label; publishers write -1 for labels that are not published.
        """
        if isinstance(value, bool | str):
            known = self._numbers.get(_key(str(value)))
            if known is not None:
                return known
        found: object = value
        if isinstance(value, str) and not self._digits:
            try:
                found = float(value)
            except ValueError:
                found = None
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if type(found) is int and found in range(len(self.names)):
            return found
        expected = f"0 to {len(self.names) - 1}"
        if isinstance(value, bool | str):
            expected += f" and of {', '.join(self.names)}"
        raise ValueError(f"the label {value!r} is none of {expected}")

    def order_fault(self, published: Sequence[str]) -> str:
        """Return what is wrong with the names that a file gives the numbers; "" if nothing is."""
        numbers = [self._numbers.get(_key(name)) for name in published]
        if numbers == list(range(len(self.names))):
            return ""
        if list(published) == [str(number) for number in range(len(self.names))]:
            return ""  # the names are the numbers
        what = "names its labels" if None in numbers else "numbers its labels otherwise:"
        return f"{what} {', '.join(published)}; expected: {', '.join(self.names)}"


def class_names(schema: pa.Schema, column: str) -> list[str]:
    """The class names of a column that the datasets library wrote into a schema, or none.

    They can be nested, as in a list of labels.
    """
    try:
        known = json.loads((schema.metadata or {})[b"huggingface"])
        return _names(known["info"]["features"][column])
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _names(feature: Any) -> list[str]:
    if isinstance(feature, list):
        return next(filter(None, map(_names, feature)), [])
    if not isinstance(feature, dict):
        return []
    names = feature.get("names")
    if feature.get("_type", "ClassLabel") == "ClassLabel" and isinstance(names, list):
        return [str(name) for name in names]
    return next(filter(None, map(_names, feature.values())), [])


def _key(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())
