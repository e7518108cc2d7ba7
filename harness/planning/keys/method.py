"""An entry under `methods`."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import Field, field_validator

from harness.core.errors import nearest
from harness.core.methods import JOINED, TARGETS
from harness.planning.forms import comma_in
from harness.planning.keys.values import Density, LearningRate, Number, Strict

_Item = TypeVar("_Item")
Swept = Annotated[list[_Item], Field(min_length=1)]


class Method(Strict):
    """One entry under `methods`: lists are swept, `options` go to the PEFT configuration."""

    type: str
    density: Swept[Density] = Field(default_factory=list)
    placement: Swept[str] = Field(default_factory=list)
    rank: Swept[Annotated[int, Field(ge=1, le=65536, strict=True)]] = Field(default_factory=list)
    alpha: Annotated[Number, Field(gt=0)] | None = None
    target: Swept[str] = Field(default_factory=list)
    """Names of targets; module names that are one target are joined by `+`."""
    lr: Swept[LearningRate] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("density", "placement", "rank", "lr", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @field_validator("target", mode="before")
    @classmethod
    def _targets(cls, value: Any) -> Any:
        return _targets(value)

    @field_validator("lr", mode="before")
    @classmethod
    def _not_tuned(cls, value: Any) -> Any:
        if "tuned" in (value if isinstance(value, list) else [value]):
            raise ValueError("tuned is for all methods: write it under train.lr")
        return value

    @field_validator("options")
    @classmethod
    def _plain(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            try:  # they are part of a cell's id
                json.dumps(value, sort_keys=True, allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{key}: expected numbers, texts, lists or mappings") from None
        return options


def _targets(value: Any) -> Any:
    """Return the targets of an entry: `mlp`, `[attention, mlp]`, `[q_proj, k_proj]` (one target),
    or a list of both forms with each list of modules in brackets.
    """
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    named = [item for item in texts if item in TARGETS or JOINED in item]
    if isinstance(value, list) and texts and len(texts) == len(items) and not named:
        return [JOINED.join(texts)]
    for item in texts:
        if item not in named:
            raise ValueError(
                f"unknown target '{item}'.{nearest(item, TARGETS)} Names of modules are written in "
                f"brackets of their own, such as [[{item}], mlp]"
            )
    return [JOINED.join(map(str, item)) if isinstance(item, list) else item for item in items]


def method_fields(entry: Any) -> Any:
    """Convert `full` or `lora: {…}` into the fields of `Method`; other keys are options."""
    if isinstance(entry, str):
        return {"type": entry}
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise ValueError(
            f"each method is a name, or one name with its settings in braces (found {entry!r:.60})"
        )
    ((name, settings),) = entry.items()
    if not isinstance(name, str):
        raise ValueError(f"the name of a method is a text: put {name!r} in quotes")
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise ValueError(f"the settings of '{name}' must be keys and values")
    for key in settings:
        if not isinstance(key, str):
            if meant := comma_in(settings):
                raise ValueError(f"{name}.{meant}")
            raise ValueError(f"{name}: a key is a text: put {key!r} in quotes")
    own = set(Method.model_fields) - {"type", "options"}
    options = {k: v for k, v in settings.items() if k not in own}
    return {"type": name, "options": options, **{k: settings[k] for k in settings if k in own}}
