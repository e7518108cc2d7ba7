"""The project's tasks as lm-eval's: run by lm-eval itself, and compared with what was exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.lm_eval import export_task
from harness.lm_eval import tasks as lm_tasks
from tasks import WRITING, Example, Family, Splits, Task, TaskMetadata, load_task
from tests.harness.training.test_batches import TOKENIZER

NASTY = "{{ 7*7 }} {% raise %} \x1b[31m !function os.system 'x' #"


def task_of(family: Family, examples: list[Example], labels: tuple[str, ...] = ()) -> Task:
    about = TaskMetadata(
        name="made_up", title="made up", description="made up", family=family,
        labels=() if family in ("choice", *WRITING) else labels or ("a", "b"),
        source="generated", revision="1", licence="none", citation="none", natural_length=10,
        lengths=(16,), balanced=True,
    )  # fmt: skip

    class MadeUp(Task):
        metadata: ClassVar[TaskMetadata] = about

        def data_version(self) -> str:
            return "files:1"

        def splits(self, length: int, seed: int) -> Splits:
            return Splits(examples, examples[:1], examples)

    return MadeUp()


def lm_eval_on(folder: Path, name: str = "made_up") -> tuple[Any, dict[str, Any]]:
    """Run lm-eval on an exported folder with a tiny model: the task and its results."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32,
    )  # fmt: skip
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    loaded = manager.load([name])
    tokenizer = type(TOKENIZER).from_pretrained(TOKENIZER.name_or_path, eos_token="[SEP]")
    model = HFLM(
        pretrained=LlamaForCausalLM(config).eval(), tokenizer=tokenizer, batch_size=4,
        max_length=256, add_bos_token=False,
    )  # fmt: skip
    with lm_tasks.quiet_and_offline():
        results = evaluate(lm=model, task_dict=loaded, bootstrap_iters=0, log_samples=True)
    return loaded["tasks"][name], results


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_classification_becomes_a_choice_between_the_labels(tmp_path: Path) -> None:
    texts = ["12345", NASTY, "word " * 100]
    examples = [Example(f"e{i}", text, i % 2) for i, text in enumerate(texts)]
    written = export_task(
        task_of("classification", examples, ("no", "yes")), TOKENIZER, tmp_path / "out", 16, 0
    )
    assert [path.name for path in written] == [
        "made_up.yaml", "train.jsonl", "validation.jsonl", "test.jsonl"
    ]  # fmt: skip
    assert yaml.safe_load(written[0].read_text())["metadata"]["revision"] == "files:1"
    task, results = lm_eval_on(tmp_path / "out")
    samples = results["samples"]["made_up"]
    assert [sample["target"] for sample in samples] == [0, 1, 0]
    assert len(list(task.training_docs())) == 3
    assert len(list(task.validation_docs())) == 1
    prompts = [sample["arguments"][0][0] for sample in samples]
    assert prompts[0] == "12345"
    assert prompts[1].startswith("{{ 7*7 }} {% raise %}")
    assert len(TOKENIZER(prompts[2])["input_ids"]) == 16
    assert [argument[1] for argument in samples[0]["arguments"]] == [" no", " yes"]
    assert 0 <= results["results"]["made_up"]["acc,none"] <= 1


def test_a_pair_is_cut_together(tmp_path: Path) -> None:
    examples = [Example("p", "one " * 50, 1, "two " * 50), Example("q", "short", 0, "two")]
    export_task(task_of("pair", examples, ("no", "yes")), TOKENIZER, tmp_path, 32, 0)
    _, results = lm_eval_on(tmp_path)
    prompt, short = [s["arguments"][0][0] for s in results["samples"]["made_up"]]
    assert (prompt.count("one"), prompt.count("two")) in ((14, 15), (15, 14))
    assert short == "short\n\ntwo"


def test_a_choice_keeps_its_question_whole(tmp_path: Path) -> None:
    choices = ("red", "a very long blue answer")
    question = "which colour? " + "why " * 15
    examples = [Example("c", "fact " * 50, 1, question, choices=choices)]
    export_task(task_of("choice", examples), TOKENIZER, tmp_path, 32, 0)
    _, results = lm_eval_on(tmp_path)
    (sample,) = results["samples"]["made_up"]
    prompt = sample["arguments"][0][0]
    assert prompt.endswith(f"\n\n{question}")
    assert sample["target"] == 1
    longest = f"{question} {choices[1]}"
    assert len(TOKENIZER(prompt.split("\n\n")[0], longest)["input_ids"]) == 32


def test_texts_without_labels(tmp_path: Path) -> None:
    examples = [Example("l", "some words to read " * 9)]
    export_task(task_of("language_modelling", examples), TOKENIZER, tmp_path, 16, 0)
    _, results = lm_eval_on(tmp_path)
    assert results["results"]["made_up"]["byte_perplexity,none"] > 1
    (sample,) = results["samples"]["made_up"]
    assert len(TOKENIZER(sample["target"], add_special_tokens=False)["input_ids"]) == 16


def test_a_generation_scores_the_written_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ("right", "correct")
    examples = [
        Example("g", "text " * 90, second="what?", answers=right),
        Example("h", "text", second="how?", answers=right),
    ]
    export_task(task_of("generation", examples), TOKENIZER, tmp_path, 64, 0)
    answer = TOKENIZER("correct", add_special_tokens=False, return_tensors="pt")["input_ids"]

    def generate(self: Any, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.cat([input_ids, answer.expand(len(input_ids), -1)], 1)

    monkeypatch.setattr(LlamaForCausalLM, "generate", generate)
    _, results = lm_eval_on(tmp_path)
    prompt = results["samples"]["made_up"][0]["arguments"][0][0]
    assert prompt.endswith("\n\nwhat?\nAnswer:")
    assert len(TOKENIZER(prompt, add_special_tokens=False)["input_ids"]) == 32
    assert results["samples"]["made_up"][0]["target"] == ["right", "correct"]
    assert results["results"]["made_up"]["exact_match,none"] == 1.0


def test_refusals(tmp_path: Path) -> None:
    examples = [Example("a", "text", 0)]
    many = task_of("multilabel", examples, ("a", "b"))
    with pytest.raises(BadInput, match="type multilabel: lm-eval has no kind of task"):
        export_task(many, TOKENIZER, tmp_path, 16, 0)
    good = task_of("classification", examples)
    with pytest.raises(BadInput, match=r"--length: 4 tokens is too short .* needs 8"):
        export_task(good, TOKENIZER, tmp_path, 4, 0)
    export_task(good, TOKENIZER, tmp_path, 16, 0)
    before = (tmp_path / "made_up.yaml").read_text()
    with pytest.raises(BadInput, match=r"made_up.yaml exists already"):
        export_task(good, TOKENIZER, tmp_path, 16, 0)
    assert (tmp_path / "made_up.yaml").read_text() == before
    (tmp_path / "made_up.yaml").unlink()
    with pytest.raises(BadInput, match=r"made_up exists already"):
        export_task(good, TOKENIZER, tmp_path, 16, 0)
    wide = [Example("g", "text", second="what? " * 20, answers=("x",))]
    with pytest.raises(BadInput, match=r"'made_up' take up to .* use a greater length"):
        export_task(task_of("generation", wide), TOKENIZER, tmp_path / "new", 40, 0)
    empty = task_of("choice", [Example("a", "text", 0, "q", choices=("", "b"))])
    with pytest.raises(BadInput, match="empty choice"):
        export_task(empty, TOKENIZER, tmp_path / "new", 16, 0)
    assert list((tmp_path / "new").iterdir()) == []


def test_the_command_exports_a_built_in_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "export", "needle"]) == 2
    assert "--to DIR" in capsys.readouterr().err
    assert main(["tasks", "export", "nedle", "--to", str(tmp_path)]) == 2
    assert "needle" in capsys.readouterr().err
    assert main(["tasks", "new", "mine", "--tasks-dir", str(tmp_path)]) == 0
    out = tmp_path / "out"
    options = ["--to", str(out), "--length", "64", "--tasks-dir", str(tmp_path)]
    assert main(["tasks", "export", "mine", *options]) == 0
    assert f"--tasks mine --include_path {out}" in capsys.readouterr().out
    assert yaml.safe_load((out / "mine.yaml").read_text())["metadata"]["length"] == 64
    _, results = lm_eval_on(out, "mine")
    expected = load_task("mine", tmp_path).splits(64, 0).test
    samples = results["samples"]["mine"]
    assert [sample["target"] for sample in samples] == [example.label for example in expected]
    assert [sample["doc"]["id"] for sample in samples] == [example.id for example in expected]
