"""Exports tasks of this project to lm-eval: a YAML file and JSON Lines that need no network.

Texts are untrusted: the YAML names fields and contains no text, because lm-eval would run templates
in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.core.errors import BadInput
from tasks import Example, Task, TaskMetadata

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_VERSION = 1.0
"""Version of the exported files."""


def export_task(
    task: Task, tokenizer: PreTrainedTokenizerBase, folder: Path, length: int | None, seed: int
) -> list[Path]:
    """Write `NAME.yaml` and `NAME/{train,validation,test}.jsonl`; return the written files.

    Texts are cut to `length` tokens with special tokens; questions and answers are kept whole. None
    means the longest length of the task's card that its texts fill.

    Raises:
        BadInput: lm-eval has no such task type, a file exists already, or the length is too short.
        TaskError: the task's data are missing.
    """
    metadata = task.metadata
    name = metadata.name
    if fault := metadata.task_type.export_fault():
        raise BadInput(f"tasks export: '{name}' is a task of type {metadata.family}: {fault}")
    target, rows = folder / f"{name}.yaml", folder / name
    for path in (target, rows):
        if path.exists():
            raise BadInput(f"tasks export: {path} exists already: remove it or use another --to")
    length = _default_length(metadata) if length is None else length
    if length < metadata.min_length:
        raise BadInput(
            f"tasks export: --length: {length} tokens is too short for '{name}', which needs "
            f"{metadata.min_length}"
        )
    task.prepare()
    partial = folder / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        splits = task.splits(length, seed)._asdict()
        for split, examples in splits.items():
            with (partial / f"{split}.jsonl").open("w", encoding="utf-8") as file:
                for row in _rows(examples, metadata, tokenizer, length):
                    file.write(json.dumps(row) + "\n")
        partial.rename(rows)
    except ValueError as error:
        raise BadInput(f"tasks export: '{name}': {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = {split: rows.resolve() / f"{split}.jsonl" for split in splits if len(splits[split])}
    config = _config(task, {split: str(path) for split, path in files.items()}, length, seed)
    target.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return [target, *files.values()]


def _default_length(metadata: TaskMetadata) -> int:
    filled = [length for length in metadata.lengths if length <= metadata.natural_length]
    return max(filled, default=min(metadata.lengths))


def _config(task: Task, files: dict[str, str], length: int, seed: int) -> dict[str, Any]:
    metadata = task.metadata
    keys = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
    described = ("title", "source", "licence", "citation")
    return {
        "task": metadata.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        **{keys[split]: split for split in files},
        "doc_to_text": "prompt",
        "num_fewshot": 0,
        **metadata.task_type.export_config(metadata),
        "metadata": {
            "version": _VERSION,
            **{key: getattr(metadata, key) for key in described},
            "revision": task.data_version(),
            "length": length,
            "seed": seed,
        },
    }


def _rows(
    examples: Sequence[Example],
    metadata: TaskMetadata,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
) -> Iterator[dict[str, Any]]:
    from harness.training.batches import encoded_chunks  # imports torch

    kind = metadata.task_type
    for part, rows in encoded_chunks(examples, tokenizer, length, metadata):
        own = len(rows) // len(part)
        for number, example in enumerate(part):
            row = kind.export_row(metadata, example, rows[number * own : (number + 1) * own])
            if not all(row.get("choices", ["-"])):
                raise BadInput(
                    f"tasks export: '{metadata.name}': the example {example.id!r} has an empty "
                    f"choice, which lm-eval cannot score"
                )
            yield {"id": example.id, **row}
