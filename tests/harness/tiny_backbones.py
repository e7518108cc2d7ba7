"""Backbones of random weights in the hub's format, with tokenizers that were really trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing
from tokenizers.trainers import BpeTrainer
from transformers import AutoModel, PreTrainedTokenizerFast

from harness.core.cell import Cell
from harness.execution.cell_main import run_cell
from harness.models.backbones import Backbone
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import load_sweep

ROWS = 300
"""Tokens of `byte_level`."""

WORDS = "the sky is blue and the sea is green, white clouds drift slowly over quiet mountains"

SIZES: dict[str, Any] = {
    "vocab_size": ROWS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
"""Of a tiny model that fits `byte_level`."""

TASK = """\
from tasks import Example, Splits, Task, TaskMetadata

TEXTS = {texts!r}


class Odd(Task):
    metadata = TaskMetadata(
        name="odd", title="odd", description="odd", family={family!r}, labels={labels!r},
        source="generated", revision="1", licence="none", citation="none", natural_length=10,
        lengths=(16,), answer_tokens=4, whole_texts=True,
    )

    def splits(self, length, seed):
        part = [
            Example(
                f"e{{k}}", text, k % 2, second=TEXTS[-1 - k] if {asks} else "", labels=(k % 2,),
                choices=("yes", "") if {family!r} == "choice" else (), answers=(text,),
            )
            for k, text in enumerate(TEXTS)
        ]
        return Splits(part, part, part)
"""


def byte_level(folder: Path, special: bool = True) -> PreTrainedTokenizerFast:
    """Train a small byte-level BPE as RoBERTa's, save it, and return it as it is read.

    Without `special` it adds no token to a text, as GPT-2's.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=ROWS,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS] * 20, trainer)
    assert tokenizer.get_vocab_size() == ROWS
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    if special:
        tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
        tokens |= {"cls_token": "<s>", "sep_token": "</s>"}
    read = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    read.save_pretrained(folder)
    return read


def save(config: Any, folder: Path, kind: Any = AutoModel, special: bool = True) -> Path:
    """Save a model of random weights with `byte_level`; return the folder."""
    torch.manual_seed(0)
    kind.from_config(config).save_pretrained(folder)
    byte_level(folder, special)
    return folder


def short_texts(count: int) -> list[str]:
    """Texts of three to seven words."""
    words = WORDS.split()
    return [" ".join(words[k % 12 : k % 12 + 3 + k % 5]) for k in range(count)]


def write_task(folder: Path, family: str, texts: list[str]) -> Path:
    """Write a plug-in task named `odd`, whose splits are these texts; return the folder."""
    folder.mkdir(exist_ok=True)
    labels = ("a", "b") if family in ("classification", "pair", "multilabel") else ()
    asks = family in ("pair", "choice", "generation")
    (folder / "odd.py").write_text(
        TASK.format(texts=texts, family=family, labels=labels, asks=asks)
    )
    return folder


def plan(
    backbone: Path,
    folder: Path,
    family: str,
    texts: list[str],
    more: str = "",
    dtype: str = "float32",
) -> Plan:
    """Plan a sweep of two arms over the task `odd`."""
    sweep = folder / "sweep.yaml"
    sweep.write_text(
        f"name: tiny\nbackbone: {backbone}\ntasks: [odd]\ndtype: {dtype}\n"
        f"train: {{examples: {len(texts)}, validation_examples: 2, test_examples: {len(texts)}, "
        f"validations: 1, lr: 1.0e-3, batch_size: 2}}\n"
        + (more or "lengths: [48]\nmethods: [full, lora: {}]\n")
    )
    return make_plan(load_sweep(sweep), sweep, write_task(folder / "plugins", family, texts))


def only_arm(planned: Plan) -> Cell:
    """The one cell of a plan that is no baseline."""
    (cell,) = (cell for cell in planned.cells if cell.method not in ("tfidf", "base"))
    return cell


def outcomes(planned: Plan) -> Iterator[dict[str, Any]]:
    """Run a plan's cells in this process, one after the other."""
    for cell in planned.cells:
        result = run_cell(cell, planned.backbone, planned.own_tasks)
        yield {**result.model_dump(mode="json"), "title": cell.title}


def found(folder: Path) -> Backbone:
    """A backbone in a folder, unchecked."""
    return Backbone(str(folder), folder, "")
