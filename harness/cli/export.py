"""The project's own tasks as tasks of lm-eval: a YAML and JSON Lines that run without a network.

Texts are untrusted: the YAML names fields and never holds a text, so that lm-eval's templates are
not run on one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.core.errors import BadInput
from harness.training.rows import asked_of, cleaned
from tasks import Example, Task, TaskMetadata
from tasks.lib.texts import A_TOKEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_VERSION = 1.0
"""Of the exported form."""


def export_task(
    task: Task, tokenizer: PreTrainedTokenizerBase, folder: Path, length: int | None, seed: int
) -> list[Path]:
    """Write `NAME.yaml` and `NAME/{train,validation,test}.jsonl`; return what was written.

    Texts are cut to `length` tokens, special tokens counted, questions and answers kept whole. None
    is the longest length of the task's card that its texts fill.

    Raises:
        BadInput: lm-eval has no such kind of task, something is there already, or the length is too
            short.
        TaskError: the task's data are missing.
    """
    metadata = task.metadata
    name = metadata.name
    if metadata.family == "multilabel":
        raise BadInput(
            f"tasks export: '{name}' is multilabel, and lm-eval has no kind of task in which "
            f"several labels are right at once"
        )
    target, rows = folder / f"{name}.yaml", folder / name
    for path in (target, rows):
        if path.exists():
            raise BadInput(f"tasks export: {path} is there already: remove it or take another --to")
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
    family: str = metadata.family
    config: dict[str, Any] = {
        "task": metadata.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "training_split": "train",
        "validation_split": "validation",
        "test_split": "test",
        "doc_to_text": "prompt",
        "num_fewshot": 0,
    }
    if family == "language_modelling":
        measures = {"word_perplexity": False, "byte_perplexity": False, "bits_per_byte": False}
        config |= {"output_type": "loglikelihood_rolling", "doc_to_target": "text"}
        config["doc_to_text"] = ""
    elif family == "generation":
        measures = {"exact_match": True}
        config |= {"output_type": "generate_until", "doc_to_target": "answers"}
        config["generation_kwargs"] = {
            "until": ["\n"],
            "do_sample": False,
            "max_gen_toks": metadata.answer_tokens,
        }
        # What is written begins with the space behind "Answer:".
        trimmed = [{"function": "remove_whitespace"}, {"function": "take_first"}]
        config["filter_list"] = [{"name": "none", "filter": trimmed}]
    else:
        measures = {"acc": True, "acc_norm": True}
        config |= {"output_type": "multiple_choice", "doc_to_target": "gold"}
        config["doc_to_choice"] = "choices"
    aggregations = {
        "acc": "mean",
        "acc_norm": "mean",
        "exact_match": "mean",
        "word_perplexity": "weighted_perplexity",
        "byte_perplexity": "weighted_perplexity",
        "bits_per_byte": "bits_per_byte",
    }
    config["metric_list"] = [
        {"metric": metric, "aggregation": aggregations[metric], "higher_is_better": better}
        for metric, better in measures.items()
    ]
    if family == "generation":
        config["metric_list"][0] |= {"ignore_case": True, "ignore_punctuation": True}
    keys = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
    for split, key in keys.items():
        if split not in files:
            del config[key]
    told = ("title", "source", "licence", "citation")
    config["metadata"] = {
        "version": _VERSION,
        **{key: getattr(metadata, key) for key in told},
        "revision": task.data_version(),
        "length": length,
        "seed": seed,
    }
    return config


def _rows(
    examples: Sequence[Example],
    metadata: TaskMetadata,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
) -> Iterator[dict[str, Any]]:
    family: str = metadata.family
    make: Callable[[Example], dict[str, Any]]
    if family == "language_modelling":

        def make(example: Example) -> dict[str, Any]:
            return {"text": _cut(tokenizer, example.text, "", length)[0]}

    elif family == "generation":
        room = length - metadata.answer_tokens

        def make(example: Example) -> dict[str, Any]:
            asked = asked_of(example)
            text, _ = _cut(tokenizer, example.text, asked.strip(), room, whole=True)
            return {"prompt": text + asked, "answers": [str(one) for one in example.answers]}

    elif family == "choice":

        def make(example: Example) -> dict[str, Any]:
            choices = [str(choice) for choice in example.choices]
            said = [f"{example.second} {choice}".strip() for choice in choices]
            # One text stands before all answers: the longest of them decides what is left of it.
            texts = [_cut(tokenizer, example.text, s, length, whole=True)[0] for s in said]
            prompt = _joined(min(texts, key=len), example.second)
            return {"prompt": prompt, "choices": choices, "gold": int(example.label)}

    else:
        labels = list(metadata.labels)

        def make(example: Example) -> dict[str, Any]:
            text, other = _cut(tokenizer, example.text, example.second, length)
            return {
                "prompt": _joined(text, other), "choices": labels, "gold": int(example.label)
            }  # fmt: skip

    for example in map(cleaned, examples):
        row = make(example)
        if not all(row.get("choices", ["-"])):
            raise BadInput(
                f"tasks export: '{metadata.name}': the example {example.id!r} has an empty choice, "
                f"which lm-eval cannot score"
            )
        yield {"id": str(example.id), **row}


def _joined(text: str, other: str) -> str:
    return f"{text}\n\n{other}" if other else text


def _cut(
    tokenizer: PreTrainedTokenizerBase, text: str, other: str, length: int, whole: bool = False
) -> tuple[str, str]:
    """Two texts cut to `length` tokens together; with `whole` only the first is cut.

    Raises:
        BadInput: the second text leaves no room for the first.
    """
    gap = "\n\n" if other and not tokenizer.sep_token else ""
    if whole and other and len(tokenizer(gap + other)["input_ids"]) + 2 > length:
        raise BadInput(
            f"tasks export: --length: {length} tokens leave no room for a text beside its question"
        )
    for most in (A_TOKEN * length, None):
        coded = tokenizer(
            text[:most],
            gap + other if whole else (gap + other)[:most] if other else None,
            truncation="only_first" if whole and other else True,
            max_length=length,
            return_offsets_mapping=True,
        )
        if len(coded["input_ids"]) == length or most is None or len(text) <= most:
            break
    ends = [0, 0]
    for (_, end), part in zip(coded["offset_mapping"], coded.sequence_ids(0), strict=True):
        if part is not None:
            ends[part] = max(ends[part], end)
    return text[: ends[0]], other if whole else other[: max(ends[1] - len(gap), 0)]
