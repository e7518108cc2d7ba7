"""The model card of a kept model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from harness.core.card import KeptModel
from harness.core.folder import KEPT
from harness.core.metrics import METRICS
from harness.core.result import CellResult
from harness.models.backbones import EMBEDDED, Backbone
from tasks import TaskMetadata

_SETTINGS = (
    "method", "density", "placement", "rank", "alpha", "target", "options", "levers", "length",
    "seed", "lr", "lr_source", "head_lr", "batch_size", "examples", "epochs", "curriculum",
    "warmup", "weight_decay", "clip", "dropout", "window", "target_tokens", "dtype", "device",
)  # fmt: skip
_LIBRARIES: dict[str, dict[str, str]] = {
    "adapter": {"library_name": "peft"},
    "encoder": {"library_name": "peft"},
    "head": {},
    "full": {"library_name": "transformers"},
}
_LICENCE = re.compile(r"---\s*\n(?:.*\n)*?license: *[\"']?([\w.+-]+)[\"']? *\n(?:.*\n)*?---")
_VERSIONS = ("torch", "transformers", "peft", "commit", "started")


def model_card(
    model: KeptModel, result: CellResult, backbone: Backbone, metadata: TaskMetadata
) -> str:
    """Return the text of a `README.md` in the format of model cards of the hub."""
    cell, licence = model.cell, licence_of(backbone)
    embedded = EMBEDDED.get(backbone.name)
    head = {
        "base_model": embedded.origin if embedded else backbone.name.partition("@")[0],
        **_LIBRARIES[model.form],
        **({"license": licence} if licence else {}),
        "tags": ["bench-long", cell.method],
    }
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    lines = "\n".join(model.lines(f"{KEPT}/{model.id}"))
    environment = result.environment.model_dump()
    parts = [
        f"---\n{front}\n---",
        f"# {_text(cell.arm)} on {_text(metadata.name)} at {cell.length} tokens",
        f"Trained by bench-long (cell {model.id}). In the result folder, this loads it:",
        f"```python\n{lines}\n```",
        "## Scores",
        _table(("score", "value", "95 % interval over test texts"), _scores(result)),
        "## Data",
        _table(("", ""), _data(result, metadata)),
        "## Backbone",
        _table(
            ("", ""),
            [
                ("name", backbone.name),
                ("version", backbone.pin),
                ("licence", licence or "not known: see its publisher"),
            ],
        ),
        "## Settings",
        _table(("", ""), [(name, _setting(getattr(cell, name))) for name in _SETTINGS]),
        "## Versions",
        _table(("", ""), [(name, environment.get(name)) for name in _VERSIONS]),
    ]
    return "\n\n".join(parts) + "\n"


def licence_of(backbone: Backbone) -> str | None:
    """Return the licence of a backbone as its model card names it; None if that is not known."""
    if backbone.name in EMBEDDED:
        return EMBEDDED[backbone.name].licence
    try:
        card = (backbone.folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    named = _LICENCE.match(card)
    return named[1] if named else None


def _scores(result: CellResult) -> Iterable[tuple[Any, ...]]:
    scores = result.scores
    if scores is None:
        return
    label = METRICS[scores.metric].label if scores.metric in METRICS else scores.metric
    if scores.score is not None:
        known = scores.score_low is not None and scores.score_high is not None
        interval = f"{scores.score_low:.4f} to {scores.score_high:.4f}" if known else ""
        yield f"{label}, {scores.test_examples} test texts", f"{scores.score:.4f}", interval
    for name, value in scores.secondary.items():
        if name == scores.metric:
            continue
        yield METRICS[name].label if name in METRICS else name, f"{value:.4f}", ""
    if scores.majority is not None:
        yield "best constant answer", f"{scores.majority:.4f}", ""
    if scores.validation_loss is not None:
        yield "validation loss", f"{scores.validation_loss:.4f}", ""


def _data(result: CellResult, metadata: TaskMetadata) -> Iterable[tuple[Any, ...]]:
    yield "task", f"{metadata.name}: {metadata.title}"
    yield "type", metadata.family
    if metadata.labels:
        yield "labels", ", ".join(metadata.labels)
    if metadata.value_range:
        low, high = metadata.value_range
        yield "value", f"{low:g} + output × {high - low:g}: the model predicts 0 to 1"
    yield "version", result.cell.revisions.get("task")
    yield "source", metadata.source
    yield "licence", metadata.licence
    yield "citation", metadata.citation


def _setting(value: Any) -> str | None:
    """A setting as text; None where it does not apply."""
    if value is None or value == {}:
        return None
    if hasattr(value, "settings"):
        value = value.settings
        return json.dumps(value) if value else None
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A Markdown table of the rows whose second entry is known."""
    lines = [head, tuple("---" for _ in head)]
    lines += [tuple(map(_text, row)) for row in rows if row[1] is not None]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any) -> str:
    """A text in one line, with what Markdown and HTML would read as their own escaped."""
    text = " ".join(str(value).split())
    for sign in "\\`*[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return text
