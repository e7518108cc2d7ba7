"""lm-eval's tasks: found and refused at once, run for real, never past their time."""

from __future__ import annotations

import math
import random
import signal
import socket
import time
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants as hub
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from harness.core.errors import BadInput
from harness.lm_eval import tasks as lm_tasks
from harness.lm_eval.check import check
from harness.lm_eval.results import entries_of
from harness.lm_eval.run import run_evaluations
from harness.lm_eval.words import Words
from harness.models.backbones import find_backbone
from harness.system.deadline import TimedOut, hard_limit, in_child
from ssmlora import SSMLoraConfig
from tests.harness.training.test_batches import TOKENIZER

MINILM = find_backbone("minilm")


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return llama()


def run(model: Any, *names: str, length: int = 512, seconds: float = 60) -> list[dict[str, Any]]:
    return run_evaluations(model, TOKENIZER, names, length, 2, 2, seconds)


def docs(name: str, length: int, limit: int | None) -> list[dict[str, Any]]:
    with lm_tasks.quiet_and_offline():
        task = lm_tasks.build(name, TOKENIZER, length, limit, 60)
    return list(task.eval_docs)


def test_a_known_task_is_pinned_by_versions() -> None:
    pins = check(["niah_single_1", "ruler_fwe"], [512, 1024], MINILM, "s.yaml: tasks")
    assert pins["niah_single_1"] == "lm-eval 0.4.13, task version 1.0"
    assert list(pins) == ["niah_single_1", "ruler_fwe"]


@pytest.mark.parametrize(
    ("name", "length", "said"),
    [
        ("niah_singel_1", 512, r"no task of this name .* Did you mean 'niah_single_1'\?"),
        ("zzzzzzzz", 512, r"There is: niah_multikey_2, .*ruler_fwe"),
        ("mmlu", 512, r"groups and tags are not supported"),
        ("hellaswag", 512, r"'Rowan/hellaswag'.* once: lm_eval .*--tasks hellaswag"),
        ("niah_single_2", 512, r"paul_graham_essays.* once: lm_eval .*--metadata"),
        ("ruler_qa_squad", 512, r"uses the network each time"),
        ("humaneval", 512, r"runs code that the model writes"),
        ("niah_single_1", 64, r"cannot be built at 64 tokens: .*max_seq_length=64"),
        ("ruler_cwe", 256, r"cannot be built at 256 tokens: .*without an answer"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(name: str, length: int, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        check([name], [length], MINILM, "s.yaml: tasks")
    assert str(caught.value).startswith(f"s.yaml: tasks: 'lm_eval:{name}'")
    assert "\n" not in str(caught.value)


def test_without_lm_eval_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_tasks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install -e '\.\[lm-eval\]'"):
        check(["niah_single_1"], [512], MINILM, "s.yaml")


@pytest.mark.parametrize("length", [512, 1024, 4096])
def test_ruler_runs_at_the_length_asked_for(model: LlamaForCausalLM, length: int) -> None:
    (entry,) = run(model, "niah_single_1", length=length)
    assert entry.status == "ok"
    assert entry.metric == "string match"
    assert entry.examples == 2
    assert 0 <= entry.value <= 1
    assert entry.version == "lm-eval 0.4.13, task version 1.0"
    for doc in docs("niah_single_1", length, 2):
        tokens = len(TOKENIZER(doc["input"])["input_ids"])
        assert 0.7 * length < tokens + 128 <= length


def test_a_limit_builds_no_more_and_the_same_first_examples() -> None:
    few = docs("niah_single_1", 512, 3)
    many = docs("niah_single_1", 512, 12)
    assert len(few) == 3
    assert many[:3] == few
    assert len({doc["input"] for doc in many}) == 12


def test_rulers_words_stand_in_their_order() -> None:
    adjectives, nouns = (
        ["blue", "ad hoc", "blue-eyed", "bluer", "ad", "wide"],
        ["bay", "a-b", "eye"],
    )
    expected = sorted({f"{a}-{n}" for a in adjectives for n in nouns})
    words = Words(adjectives, nouns)
    assert list(words) == expected
    assert (len(words), words[-1], words[2:5]) == (18, expected[-1], expected[2:5])


@pytest.mark.slow  # 15 s and 0.7 GB: what it is that the harness does without
def test_rulers_words_are_those_of_lm_eval() -> None:
    import wonderwords

    known = wonderwords.RandomWord()._categories
    adjectives, nouns = known["adjectives"], known["nouns"]
    words = Words(adjectives, nouns)
    assert all(map(str.__eq__, words, sorted({f"{a}-{n}" for a in adjectives for n in nouns})))
    assert len(words) == 6_171_620


def test_results_repeat_and_the_answer_is_what_is_scored(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (run(model, "niah_multikey_2") for _ in range(2))
    same = {"seconds": 0.0}
    assert [e.model_copy(update=same) for e in first] == [e.model_copy(update=same) for e in second]
    golds = iter([doc["outputs"][0] for doc in docs("niah_multikey_2", 512, 2)])
    # A model that gives the first example's answer to every question is right half of the time.
    answer = TOKENIZER(next(golds), add_special_tokens=False, return_tensors="pt")["input_ids"]

    def generate(input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.cat([input_ids, answer.expand(len(input_ids), -1)], 1)

    monkeypatch.setattr(model, "generate", generate)
    (entry,) = run(model, "niah_multikey_2")
    assert entry.value == 0.5
    assert entry.stderr == pytest.approx(0.5)


def test_no_text_loses_its_beginning(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def generate(input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        seen.extend(TOKENIZER.batch_decode(input_ids, skip_special_tokens=True))
        return torch.cat([input_ids, input_ids[:, :1]], 1)

    monkeypatch.setattr(model, "generate", generate)
    run(model, "ruler_fwe")
    assert len(seen) == 2
    assert all(text.startswith("read the following coded text") for text in seen)
    assert all(text.endswith("the three most frequently appeared words are :") for text in seen)


def test_a_peft_model_and_an_ssmlora_model_run() -> None:
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    ssm = SSMLoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    for config in (lora, ssm):
        adapted = get_peft_model(llama(), config).eval()
        (entry,) = run(adapted, "niah_single_1")
        assert entry.status == "ok", entry


def test_what_the_run_changed_is_put_back(model: LlamaForCausalLM) -> None:
    before = (hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE, socket.getaddrinfo)
    handler, state = signal.getsignal(signal.SIGALRM), TOKENIZER.eos_token
    signal.setitimer(signal.ITIMER_REAL, 200)  # as a test's own limit may be
    run(model, "niah_single_1")
    assert before == (hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE, socket.getaddrinfo)
    assert signal.getsignal(signal.SIGALRM) == handler
    assert 190 < signal.getitimer(signal.ITIMER_REAL)[0] < 200
    assert TOKENIZER.eos_token == state


def test_nothing_is_fetched() -> None:
    with lm_tasks.quiet_and_offline():
        with pytest.raises(OSError, match="a run downloads nothing"):
            socket.create_connection(("localhost", 9), timeout=1)
        with pytest.raises(Exception, match="OfflineModeIsEnabled"):
            datasets.load_dataset("owner/nothing")


def test_a_task_that_loops_for_ever_is_ended_and_the_next_one_runs(
    model: LlamaForCausalLM,
) -> None:
    slow, good = run(model, "ruler_vt", "niah_single_1", length=512, seconds=4)
    assert (slow.status, slow.value) == ("timeout", None)
    assert slow.message == "not done after 4 s"
    assert good.status == "ok"


def test_a_task_that_fails_is_an_entry(
    model: LlamaForCausalLM, capfd: pytest.CaptureFixture[str]
) -> None:
    cwe, hub = run(model, "ruler_cwe", "hellaswag", length=256)
    assert (cwe.status, cwe.value) == ("error", None)
    assert "without an answer" in cwe.message
    assert hub.status == "error"
    assert "hellaswag" in hub.message
    assert "Traceback" in capfd.readouterr().err


def test_no_minus_one_gets_out() -> None:
    found = {
        "results": {"t": {"alias": "t", "512,none": -1.0, "4096,none": -1.0, "512_stderr,none": 0}},
        "higher_is_better": {"t": {"4096": True}},
        "samples": {"t": [{"filter": "none", "512": -1.0}]},
    }
    (entry,) = entries_of("t", found, 512)
    assert (entry.status, entry.value) == ("error", None)
    found["results"]["t"]["512,none"] = math.nan
    assert entries_of("t", found, 512)[0].value is None
    del found["results"]["t"]["512,none"]
    (entry,) = entries_of("t", found, 512)
    assert "512 tokens" in entry.message


def test_a_limit_holds_against_code_that_catches_exceptions() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    with pytest.raises(TimedOut), hard_limit(0.2):
        stubborn()  # else it never ends, and pytest's own limit fails the test

    def deaf() -> str:
        while True:
            try:
                random.random()
            except:  # noqa: E722
                random.seed(0)

    with pytest.raises(TimedOut):
        in_child(deaf, 0.5)
    with pytest.raises(RuntimeError, match="ended with 1"):
        in_child(lambda: str(1 / 0), 5)
    assert in_child(lambda: "é", 5) == "é"


def test_a_limit_inside_a_limit_leaves_the_outer_one() -> None:
    def nested() -> None:
        with hard_limit(5):
            pass
        time.sleep(3)

    with pytest.raises(TimedOut), hard_limit(0.5):
        nested()


def test_learned_positions_that_are_too_few_are_an_entry(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=30522, n_positions=256, n_embd=16, n_layer=1, n_head=2)
    (entry,) = run(GPT2LMHeadModel(config).eval(), "niah_single_1")
    assert entry.status == "error"
    assert "256 positions" in entry.message
