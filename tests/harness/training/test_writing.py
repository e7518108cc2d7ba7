"""Language modelling and generation: rows, losses by position, written texts, real sweeps."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.result import CellResult, Evaluation
from harness.models.backbones import Backbone, require_causal_lm
from harness.models.load import load_language_model
from harness.training.batches import encode, padded, prompts
from harness.training.evaluate import evaluate
from harness.training.methods import adapt
from tasks import Example
from tasks.lib.encoding import IGNORED, Row
from tasks.types.base import Window
from tasks.types.language_modelling import text_losses
from tests.harness.conftest import SWEEPS, TINY, bench_long
from tests.harness.training.test_batches import TOKENIZER
from tests.made_up import metadata

READ = metadata("language_modelling")
WRITE = metadata("generation", metric="exact_match", answer_tokens=4)
CELL = Cell(
    kind="train", task="x", backbone="x", method="full", length=64, seed=0, batch_size=3,
    dtype="float32", device="cpu", uses_lm_head=True,
)  # fmt: skip


def load(folder: Path, length: int = 64) -> Any:
    return load_language_model(Backbone("x", folder, ""), length, 0.0, 0).eval()


def test_a_question_is_kept_whole_and_room_is_left_for_the_answer() -> None:
    long = Example("x", "word " * 100, second="which one ?", answers=("red", "blue"))
    short = Example("y", "word", second="which one ?", answers=("a very long answer indeed",))
    cut = encode([long, short], TOKENIZER, 20, WRITE, keep_text=True)
    said = [TOKENIZER.decode(ids) for ids in cut.ids]
    asked = len(TOKENIZER("which one ? answer :", add_special_tokens=False)["input_ids"])
    words = 20 - 4 - asked
    assert said[0] == "word " * words + "which one? answer : red [SEP]"
    assert said[1] == "word which one? answer : a very long [SEP]"
    assert cut.truncated == 1
    assert cut.kept[0] == ("word " * words).strip() + "\nwhich one ?"
    assert cut.targets == [("red", "blue"), ("a very long answer indeed",)]
    ((_, inputs, _),) = padded(cut, [0, 1], 2, 0)
    learned = [[int(i) for i in row if i != IGNORED] for row in inputs["labels"]]
    assert [TOKENIZER.decode(ids) for ids in learned] == ["red [SEP]", "a very long [SEP]"]
    before = prompts(cut, [0, 1], 0)
    assert before["attention_mask"].sum(1).tolist() == cut.starts
    assert bool((before["input_ids"][1, : -cut.starts[1]] == 0).all())
    assert TOKENIZER.decode(before["input_ids"][1, -2:]) == "answer :"


def test_a_question_that_leaves_no_room_is_refused() -> None:
    wide = Example("x", "text", second="a long question indeed " * 4, answers=("red",))
    with pytest.raises(ValueError, match=r"'made_up' take up to .* 16 leave no room for a text"):
        encode([wide], TOKENIZER, 16, WRITE)


def test_losses_by_position_are_those_of_each_token(causal: Path) -> None:
    examples = [Example(str(k), f"one two {k} " * (4 + 7 * k)) for k in range(4)]
    data = encode(examples, TOKENIZER, 64, READ)
    model = load(causal)
    seen = evaluate(model, CELL, data, 0)
    bins: dict[int, list[float]] = {0: [], 16: [], 32: []}
    texts = []
    for ids in data.ids:
        own = []
        for place in range(1, len(ids)):
            with torch.inference_mode():
                logits = model(torch.tensor([ids[:place]])).logits[0, -1]
            own.append(float(F.cross_entropy(logits, torch.tensor(ids[place]))))
            bins[0 if place < 16 else 16 if place < 32 else 32].append(own[-1])
        texts.append(own)
    every = [loss for own in texts for loss in own]
    kind = READ.task_type
    scores = kind.score(seen.answers, data.targets, READ)
    assert scores["score"] == pytest.approx(sum(every) / len(every), abs=1e-4)
    assert scores["perplexity"] == pytest.approx(math.exp(scores["score"]))
    assert seen.loss == scores["score"]
    kept = kind.predictions(seen.answers, data.targets, READ)
    assert kept["scores"] == pytest.approx([sum(t) / len(t) for t in texts], abs=1e-4)
    assert kept["labels"] is kept["predicted"] is None
    assert scores["score_low"] < scores["score"] < scores["score_high"]
    found = {b["start"]: (b["end"], b["tokens"], b["loss"]) for b in scores["by_position"]}
    assert found.keys() == bins.keys()
    for start, (end, tokens, loss) in found.items():
        assert end == max(16, 2 * start)
        assert tokens == len(bins[start])
        assert loss == pytest.approx(sum(bins[start]) / tokens, abs=1e-4)


def test_tokens_without_a_loss_are_left_out() -> None:
    counted = torch.tensor([[True, False, True]])
    losses = torch.tensor([[1.0, 99.0, 2.0]])
    (answer,) = text_losses(losses, torch.tensor([[True, True, False]]), counted, [0])
    scores = READ.task_type.score([answer], [None], READ)
    assert scores["score"] == 1.5
    assert scores["by_position"] == [{"start": 0, "end": 16, "loss": 1.5, "tokens": 2}]
    assert scores["secondary"] == {"token_accuracy": 0.5}
    assert "all_tokens_loss" not in scores


def test_a_window_scores_the_same_tokens_at_every_length(causal: Path) -> None:
    words = ["alpha", "beta", "gamma", "delta", "one", "two", "three", "four"]
    examples = [
        Example(name, " ".join(words[(k * step) % 8] for k in range(size)))
        for name, size, step in (("x", 50, 3), ("short", 20, 1), ("y", 48, 5), ("z", 60, 1))
    ]
    model, window = load(causal), Window(48, 8)
    found, targets = {}, {}
    for length in (16, 48):
        data = encode(examples, TOKENIZER, length, READ, 2, window=window)
        assert data.names == ["x", "y"]  # one text does not reach token 48; the cell needs two
        assert {len(ids) for ids in data.ids} == {length}
        assert data.starts == [length - 8] * 2
        targets[length] = [ids[-8:] for ids in data.ids]
        scores = READ.task_type.score(evaluate(model, CELL, data, 0).answers, data.targets, READ)
        ids = torch.tensor(list(data.ids))
        with torch.inference_mode():
            logits = model(ids).logits[:, :-1]
        each = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        each = each.reshape(2, -1)
        assert scores["score"] == pytest.approx(float(each[:, -8:].mean()), abs=1e-5)
        assert scores["all_tokens_loss"] == pytest.approx(float(each.mean()), abs=1e-5)
        assert sum(part["tokens"] for part in scores["by_position"]) == each.numel()
        hits = (logits.argmax(-1) == ids[:, 1:])[:, -8:]
        assert scores["secondary"]["token_accuracy"] == pytest.approx(float(hits.float().mean()))
        found[length] = scores["score"]
    assert targets[16] == targets[48]
    assert found[16] != found[48]


def test_the_token_that_begins_texts_is_kept_at_the_front_of_a_window() -> None:
    class Begins:
        bos_token_id = 7

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [7, 1]}

    row = Row([7, *range(10, 25)], None, ("", ""), True)
    kept = READ.task_type.windowed(row, Begins(), 6, Window(16, 4))
    assert (kept.ids, kept.start) == ([7, 20, 21, 22, 23, 24], 2)


@pytest.mark.parametrize("method", ["full", "ssmlora"])
def test_a_batch_writes_what_each_of_its_texts_alone_would(causal: Path, method: str) -> None:
    examples = [
        Example(str(k), "alpha beta gamma " * (1 + 3 * k), second="what ?", answers=("x",))
        for k in range(4)
    ]
    cell = CELL.model_copy(
        update={"method": method, "density": 1.0, "placement": "alternate", "rank": 4, "alpha": 8.0}
    )
    torch.manual_seed(0)
    model = adapt(load(causal), cell).model
    for name, parameter in model.named_parameters():
        if "ssmlora" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    data = encode(examples, TOKENIZER, 64, WRITE)
    said = evaluate(model, cell, data, 0).answers
    alone = [
        evaluate(model, cell, encode([e], TOKENIZER, 64, WRITE), 0).answers[0] for e in examples
    ]
    assert said == alone
    assert any(said)


def test_written_texts_are_judged_by_the_best_right_one() -> None:
    said, right = ["The red one.", "blue", ""], [("green", "red one"), ("green",), ("x",)]
    assert WRITE.task_type.predictions(said, right, WRITE)["scores"] == [1.0, 0.0, 0.0]
    by_rouge = metadata("generation")
    kept = by_rouge.task_type.predictions(said, right, by_rouge)
    assert kept["scores"] == pytest.approx([0.8, 0.0, 0.0])
    scores = WRITE.task_type.score(said, right, WRITE)
    assert scores["metric"] == "exact_match"
    assert scores["score"] == scores["secondary"]["exact_match"] == pytest.approx(1 / 3)
    assert scores["secondary"]["rouge_l"] == pytest.approx(0.8 / 3)
    assert scores["score_low"] <= scores["score"] <= scores["score_high"]


def test_a_backbone_that_cannot_write_is_refused() -> None:
    done = bench_long("plan", SWEEPS / "smoke.yaml", "--set", "tasks=[needle_written]",
                      "--set", "lengths=[128]")  # fmt: skip
    assert done.returncode == 2
    assert "'minilm' is not a causal language model (architecture: BertModel)" in done.stderr
    assert "smollm2" in done.stderr


def test_a_text_that_goes_on_is_not_closed() -> None:
    cut, whole = encode(
        [Example("x", "word " * 30), Example("y", "word " * 16)], TOKENIZER, 16, READ,
        keep_text=True,
    ).ids  # fmt: skip
    assert cut == whole == TOKENIZER("word " * 16, add_special_tokens=False)["input_ids"]


def test_a_loss_needs_two_tokens() -> None:
    end, word = TOKENIZER.sep_token_id, TOKENIZER("word", add_special_tokens=False)["input_ids"]
    short = encode([Example("x", "word"), Example("y", "")], TOKENIZER, 16, READ)
    assert list(short.ids) == [[end, *word], [end, end]]


def test_what_the_folder_says_of_generation_changes_nothing(causal: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(causal, folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "eos_token_id": 5})
    )
    data = encode(
        [Example("x", "alpha beta", second="what ?", answers=("x",))], TOKENIZER, 64, WRITE
    )
    plain, odd = (evaluate(load(f), CELL, data, 0).answers for f in (causal, folder))
    assert plain == odd
    assert any(plain)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json is not a valid JSON"),
        ("[]", "config.json is not a valid JSON"),
        ('{"architectures": ["XLNetLMHeadModel"], "model_type": "xlnet"}', "XLNetLMHeadModel"),
        (
            '{"architectures": ["BertLMHeadModel"], "model_type": "bert"}',
            "is not a causal language",
        ),
        ('{"architectures": ["RobertaForCausalLM"], "model_type": "roberta"}', "is not a causal"),
        ("{}", "architecture: none"),
    ],
)
def test_models_that_see_what_comes_next_are_refused(
    config: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadInput, match=message):
        require_causal_lm(Backbone("x", tmp_path, ""), "f: backbone")


def test_models_that_do_not_are_taken(tmp_path: Path) -> None:
    for config in (
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"},
        {"architectures": ["RobertaForCausalLM"], "model_type": "roberta", "is_decoder": True},
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        require_causal_lm(Backbone("x", tmp_path, ""), "f: backbone")


def test_cells_must_have_time_for_lm_eval(causal: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(TINY.replace("minilm", str(causal)))
    words = ["tasks=[lm_eval:niah_single_1]", "limits={cell_seconds: 600}", "lengths=[256]"]
    done = bench_long("plan", sweep, *[w for c in words for w in ("--set", c)])
    assert done.returncode == 2
    assert "limits.cell_seconds: 600 s" in done.stderr


def test_a_task_of_lm_eval_that_ran_out_of_time_can_be_retried() -> None:
    result = CellResult.begun(CELL).model_copy(update={"status": "ok"})
    assert result.statuses == {"ok"}
    result.evaluations = [Evaluation(task="t", status=s) for s in ("error", "timeout")]
    assert result.statuses == {"ok", "error", "timeout"}
    one = CELL.model_copy(update={"evaluation_seconds": 5.0})
    assert one.id == CELL.id  # more time is no other cell
