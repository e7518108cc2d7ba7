"""Texts that a tokenizer makes nothing of, and texts that are no valid Unicode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, LlamaConfig

from harness.cli.main import main
from harness.lm_eval import export_task
from harness.models.tokens import load_tokenizer
from harness.training.batches import encode
from tasks import Example, load_task
from tests.harness.tiny_backbones import SIZES, found, outcomes, plan, save, write_task
from tests.made_up import metadata

FAMILIES = ["classification", "pair", "multilabel", "choice", "language_modelling", "generation"]

ODD = ["the sky", "", "x", "a \ud800 b", "nul \x00 b", "a\r\nb\rc", " \n", "<pad>", "\udfff"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder whose tokenizer adds no token to a text."""
    config = LlamaConfig(**SIZES, num_key_value_heads=1)
    return save(config, tmp_path_factory.mktemp("bare"), AutoModelForCausalLM, special=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_odd_texts_are_trained_on_and_judged(family: str, bare: Path, tmp_path: Path) -> None:
    for result in outcomes(plan(bare, tmp_path, family, ODD)):
        assert result["status"] == "ok", (result["title"], result["error"])
        json.dumps(result, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("family", FAMILIES[:4])
def test_texts_without_any_word_have_a_baseline(family: str, bare: Path, tmp_path: Path) -> None:
    nothing = "lengths: [16]\nmethods: [full]\n"
    for result in outcomes(plan(bare, tmp_path, family, ["", " ", "\n", ""], nothing)):
        assert result["status"] == "ok", (result["title"], result["error"])


def test_a_text_without_a_token_is_read_as_an_end_of_text(bare: Path) -> None:
    tokenizer = load_tokenizer(found(bare))
    read = encode([Example("x", "", 0), Example("y", "x", 1)], tokenizer, 16, metadata())
    assert list(read.ids) == [[2], tokenizer("x")["input_ids"]]
    text = encode(
        [Example("x", ""), Example("y", "x")], tokenizer, 16, metadata("language_modelling")
    )
    assert list(text.ids) == [[2, 2], [2, *tokenizer("x")["input_ids"]]]


def test_a_lone_surrogate_is_the_same_to_model_baseline_and_export(
    bare: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(found(bare))
    read, plain = (
        encode([Example("x", text, 0)], tokenizer, 16, metadata(), keep_text=True)
        for text in ("a \ud800 b", "a \ufffd b")
    )
    assert (list(read.ids), read.kept) == (list(plain.ids), plain.kept) != ([], [""])
    task = load_task("odd", write_task(tmp_path / "plugins", "classification", ["a \ud800 b"] * 2))
    written = export_task(task, tokenizer, tmp_path / "out", 16, 0)
    assert json.loads(written[-1].read_text().splitlines()[0])["prompt"] == plain.kept[0]


def test_a_card_shows_odd_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = write_task(tmp_path / "plugins", "classification", ODD[::-1])
    assert main(["tasks", "odd", "--tasks-dir", str(plugins)]) == 0
    capsys.readouterr().out.encode()
