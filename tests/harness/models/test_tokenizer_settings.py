"""What a saved tokenizer says of cutting and padding changes nothing; ids outside are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, GPT2Config, LlamaConfig

from harness.core.errors import BadInput
from harness.lm_eval import export_task
from harness.models.heads import segments_of
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer, token_offsets, tokens_of, word_counter
from harness.training.batches import Encoded, encode
from tasks import Example, load_task
from tests.harness.tiny_backbones import (
    ROWS,
    SIZES,
    byte_level,
    found,
    outcomes,
    plan,
    save,
    write_task,
)
from tests.harness.training.test_batches import TOKENIZER
from tests.made_up import metadata

FIRST, LAST = "the sky is blue " * 20, "and the sea is green"
TEXTS = [FIRST + LAST, "the sea", FIRST + LAST]

CONFIG: dict[str, dict[str, Any]] = {
    "truncation_side": {"truncation_side": "left"},
    "padding_side": {"padding_side": "left"},
    "model_max_length": {"model_max_length": 6},
    "max_length": {"max_length": 6, "stride": 2, "truncation_strategy": "longest_first"},
    "pad_to_multiple_of": {"pad_to_multiple_of": 64, "padding": "max_length"},
    "clean_up_tokenization_spaces": {"clean_up_tokenization_spaces": True},
}
"""Settings in tokenizer_config.json that must not matter."""

SAVED: dict[str, dict[str, Any]] = {
    "truncation": {
        "truncation": {
            "direction": "Left", "max_length": 6, "strategy": "LongestFirst", "stride": 2,
        }
    },
    "padding": {
        "padding": {
            "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 1,
            "pad_type_id": 0, "pad_token": "<pad>",
        }
    },
}  # fmt: skip
"""Settings in tokenizer.json that must not matter."""


def change(path: Path, more: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def read(folder: Path, family: Any = "classification") -> Encoded:
    second = {"pair": LAST * 3, "generation": "which"}.get(family, "")
    examples = [Example(str(k), text, 0, second, answers=("blue",)) for k, text in enumerate(TEXTS)]
    about = metadata(family, answer_tokens=4)
    return encode(examples, load_tokenizer(found(folder)), 40, about, keep_text=True)


def facts(data: Encoded) -> tuple[Any, ...]:
    return list(data.ids), data.types and list(data.types), data.kept, data.truncated


@pytest.mark.parametrize("family", ["classification", "pair", "language_modelling", "generation"])
@pytest.mark.parametrize("setting", [*CONFIG, *SAVED])
def test_a_setting_changes_nothing(setting: str, family: str, tmp_path: Path) -> None:
    byte_level(tmp_path)
    before = facts(read(tmp_path, family))
    known = found(tmp_path)
    assert before[3] == 2
    offsets, words = token_offsets(known)(TEXTS[0]), word_counter(known)(["blue", "green"])
    if setting in CONFIG:
        change(tmp_path / "tokenizer_config.json", CONFIG[setting])
    else:
        change(tmp_path / "tokenizer.json", SAVED[setting])
    assert facts(read(tmp_path, family)) == before
    assert token_offsets(known)(TEXTS[0]) == offsets
    assert word_counter(known)(["blue", "green"]) == words


def test_a_text_is_cut_from_its_end_wherever_the_tokenizer_would_cut(tmp_path: Path) -> None:
    byte_level(tmp_path)
    change(tmp_path / "tokenizer_config.json", {"truncation_side": "left"})
    assert AutoTokenizer.from_pretrained(tmp_path).truncation_side == "left"
    data = read(tmp_path)
    assert data.truncated == 2
    assert TEXTS[0].startswith(data.kept[0])
    assert "green" not in data.kept[0]
    tokenizer = load_tokenizer(found(tmp_path))
    assert tokenizer(data.kept[0])["input_ids"] == data.ids[0]
    task = load_task("odd", write_task(tmp_path / "plugins", "classification", TEXTS))
    written = export_task(task, tokenizer, tmp_path / "out", 40, 0)
    rows = [json.loads(line) for line in written[-1].read_text().splitlines()]
    assert [row["prompt"] for row in rows] == data.kept


@pytest.mark.parametrize("setting", ["do_lower_case", "add_prefix_space"])
def test_words_are_counted_as_the_model_reads_them(setting: str, tmp_path: Path) -> None:
    """Settings that change what a text's tokens are do so for everything that reads it."""
    if setting == "do_lower_case":
        TOKENIZER.save_pretrained(tmp_path)
    else:
        byte_level(tmp_path)
    change(tmp_path / "tokenizer_config.json", {setting: setting != "do_lower_case"})
    known, text = found(tmp_path), "The Sky IS Blue"
    tokenizer = load_tokenizer(known)
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert token_offsets(known)(text) == coded["offset_mapping"]
    (blue,) = tokens_of(known, ["Blue"])
    assert tokenizer("a Blue", add_special_tokens=False)["input_ids"][-len(blue) :] == blue


def test_a_tokenizer_that_closes_texts_closes_those_that_are_cut(tmp_path: Path) -> None:
    byte_level(tmp_path)
    data = read(tmp_path)
    assert {ids[-1] for ids in data.ids} == {2}
    assert max(map(len, data.ids)) == 40


def test_a_padding_token_of_the_tokenizer_alone_is_refused(tmp_path: Path) -> None:
    folder = save(LlamaConfig(**SIZES, num_key_value_heads=1), tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    with pytest.raises(BadInput, match=rf"'\[PAD\]' has the id {ROWS}, .* for {ROWS} tokens only"):
        plan(folder, tmp_path, "classification", TEXTS)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    config = BertConfig(**{**SIZES, "vocab_size": 2000})
    folder = save(config, tmp_path / "model")
    TOKENIZER.save_pretrained(folder)
    with pytest.raises(
        BadInput, match=r"for 2000 tokens only \(28522 tokens have none\): .*resize"
    ):
        plan(folder, tmp_path, "classification", TEXTS)


@pytest.mark.parametrize(("rows", "kept"), [(1, False), (2, True)])
def test_segments_are_left_out_where_a_model_has_none(
    rows: int, kept: bool, tmp_path: Path
) -> None:
    config = BertConfig(**{**SIZES, "vocab_size": 30522}, type_vocab_size=rows)
    folder = save(config, tmp_path / "model")
    TOKENIZER.save_pretrained(folder)
    assert all(r["status"] == "ok" for r in outcomes(plan(folder, tmp_path, "pair", TEXTS)))
    assert (segments_of(load_classifier(found(folder), 2, 16, 0.0, 0).encoder) > 1) == kept


def test_gpt2_does_not_add_the_embeddings_of_segments(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=ROWS, n_embd=16, n_layer=1, n_head=2, n_positions=48)
    model = load_classifier(found(save(config, tmp_path)), 2, 16, 0.0, 1).eval()
    ids, types = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[0, 0, 1, 1]])
    with torch.no_grad():
        with_types, without = (
            model(ids, torch.ones_like(ids), torch.tensor([0]), given).logits
            for given in (types, None)
        )
    assert torch.equal(with_types, without)


def test_a_tokenizer_that_is_code_is_refused(tmp_path: Path) -> None:
    byte_level(tmp_path)
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "own.Own"]}}
    change(tmp_path / "tokenizer_config.json", own)
    (tmp_path / "config.json").write_text('{"model_type": "own"}')
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: auto_map: .*never run"):
        load_tokenizer(found(tmp_path))
