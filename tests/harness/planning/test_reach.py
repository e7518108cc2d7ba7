"""How many test texts have the length that a result is reported at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.models.backbones import find_backbone
from harness.planning.reach import MOST_TOKENS, describe_reach, planned_reach, token_size
from harness.training.batches import encode
from tasks import Example, Family, Splits, Task, load_task
from tests.harness.conftest import SWEEPS, cells, results_here
from tests.harness.training.test_batches import TOKENIZER
from tests.made_up import metadata

MINILM = find_backbone("minilm", "x")

PLUGIN = """
from tasks import Example, Splits, Task, TaskMetadata

class Mine(Task):
    # texts of 10, 20, 30 and 40 words of one token each: with two special tokens 12 to 42 tokens
    metadata = TaskMetadata(name="mine", title="t", description="d", labels=("a", "b"),
        source="s", revision="1", licence="l", citation="c", natural_length=20, lengths=(8,),
        balanced=True{more})

    def splits(self, length, seed):
        def part(name, size):
            word = {{"train": "red", "validation": "blue", "test": "green"}}[name]
            words = [[word] * (10 * (1 + k % 4)) for k in range(size)]
            return [Example(f"{{name}}{{k}}", " ".join(w), k % 2) for k, w in enumerate(words)]
        return Splits(part("train", 16), part("validation", 8), part("test", 8))
"""


def _plugin(folder: Path, more: str = "") -> Path:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(PLUGIN.format(more=more))
    return folder / "plugins"


def _words(tiny: Path, plugins: Path, lengths: str, *more: str) -> list[str]:
    changes = ["tasks=[mine]", f"lengths={lengths}", "train.test_examples=8", *more]
    return [str(tiny), "--tasks-dir", str(plugins), *[w for c in changes for w in ("--set", c)]]


def _text(size: int) -> str:
    return " ".join(["red"] * size)


FORMS: list[tuple[Family, dict[str, Any], int]] = [
    # what is added to a text of n words, and the tokens of both with MiniLM's special tokens
    ("classification", {}, 2),
    ("multilabel", {"labels": (0,)}, 2),
    ("pair", {"second": _text(5)}, 8),
    ("choice", {"second": "which", "choices": ("red", "red red"), "label": 0}, 6),
]


@pytest.mark.parametrize(("family", "fields", "more"), FORMS)
def test_a_text_reaches_the_tokens_that_it_has_before_it_is_cut(
    family: Family, fields: dict[str, Any], more: int
) -> None:
    about = metadata(family)
    texts = [Example(str(n), _text(n), **{"label": 0, **fields}) for n in (20, 30, 40, 50)]
    size = token_size(MINILM, about)
    assert [size(example, 1000) for example in texts] == [n + more for n in (20, 30, 40, 50)]
    for length, share, longest in (
        (20 + more, 1.0, 20 + more),
        (30 + more, 0.75, 30 + more),
        (31 + more, 0.5, 31 + more),
        (50 + more, 0.25, 50 + more),
        (51 + more, 0.0, 50 + more),
    ):
        seen = describe_reach(encode(texts, TOKENIZER, length, about), length)
        assert seen == {"reach": share, "longest": longest, "whole_texts": False}
        planned = planned_reach(_Of(texts), size, length, texts)
        assert (planned.share, planned.longest) == (share, longest)


class _Of(Task):
    """A task of these texts."""

    metadata = metadata()

    def __init__(self, texts: list[Example]) -> None:
        self.texts = texts

    def splits(self, length: int, seed: int) -> Splits:
        return Splits(self.texts, self.texts, self.texts)


@pytest.mark.parametrize("family", ["generation", "language_modelling"])
def test_a_text_that_is_read_or_written_to_reaches_its_room(family: Family) -> None:
    about = metadata(family, **({"answer_tokens": 4} if family == "generation" else {}))
    texts = [Example(str(n), _text(n), answers=("red",)) for n in (20, 40)]
    size = token_size(MINILM, about)
    more = 6 if family == "generation" else 0  # "Answer", ":" and the room for the answer
    for length, share, longest in ((20, 1.0, 20), (21, 0.5, 21), (40, 0.5, 40), (41, 0.0, 40)):
        length, longest = length + more, longest + more
        seen = describe_reach(encode(texts, TOKENIZER, length, about), length)
        assert (seen["reach"], seen["longest"]) == (share, longest)
        # No token begins a text here; the plan counts one, as decoders have that add any.
        planned = planned_reach(_Of(texts), size, length + 1, texts)
        assert (planned.share, planned.longest) == (share, longest + 1)


def test_without_test_texts_nothing_is_said_of_them() -> None:
    seen = describe_reach(encode([], TOKENIZER, 16, metadata()), 16)
    assert seen == {"reach": None, "longest": None, "whole_texts": False}


def test_a_long_text_is_not_read_to_its_end() -> None:
    size = token_size(MINILM, metadata())
    assert 100 <= size(Example("x", "red " * 1_000_000), 100) < 1_000
    assert size(Example("x", "x" * 1_000_000), 100) == 3  # one unknown word
    assert size(Example("x", "\ud800 red"), 100) < 10  # a lone surrogate is no reason to fail


def test_one_long_text_behind_many_short_ones_is_found() -> None:
    texts = [Example(str(n), "red blue green") for n in range(MOST_TOKENS // 50 + 10)]
    texts[-1] = Example("long", _text(100))
    size = token_size(MINILM, metadata())
    assert 0 < planned_reach(_Of(texts), size, 50, texts).share < 0.01
    assert planned_reach(_Of(texts), size, 103, texts).share == 0
    assert planned_reach(_Of(texts), size, 103, texts).longest == 102


def test_a_length_that_no_text_has_is_refused_before_the_sweep(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(tiny, _plugin(tmp_path), "[12, 43]")
    for command in ("plan", "run"):
        assert main([command, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        for part in (str(tiny), "lengths: 43:", "'mine'", "42", "whole_texts"):
            assert part in line


def test_a_study_without_test_texts_is_held_to_its_validation_texts(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = _plugin(tmp_path)
    assert main(["plan", *_words(tiny, plugins, "[43]", "train.test_examples=0")]) == 2
    assert "validation text" in capsys.readouterr().err
    assert main(["plan", *_words(tiny, plugins, "[42]", "train.test_examples=0")]) == 0


def test_a_length_that_few_texts_have_is_warned_of(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = _plugin(tmp_path)
    assert main(["plan", *_words(tiny, plugins, "[22, 32]")]) == 0
    assert capsys.readouterr().err == ""  # three quarters, and exactly one half
    assert main(["plan", *_words(tiny, plugins, "[22, 33]")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("'mine'", "lengths: 33:", "25.0%"):
        assert part in line


def test_a_result_says_how_many_texts_have_its_length(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = _plugin(tmp_path, ", whole_texts=True")
    words = [*_words(tiny, plugins, "[32, 64]"), "--out", str(tmp_path / "out")]
    assert results_here(*words) == 0
    assert "warning" not in capsys.readouterr().err
    found = list(cells(tmp_path / "out").values())
    assert {(r["cell"]["method"], r["cell"]["length"]) for r in found} == {
        (method, length) for method in ("lora", "tfidf") for length in (32, 64)
    }
    for result in found:
        data = result["data"]
        share, longest = {32: (0.5, 32), 64: (0.0, 42)}[result["cell"]["length"]]
        assert (data["reach"], data["longest"], data["whole_texts"]) == (share, longest, True)


GENERATED = ["needle", "recall", "mqar", "automaton", "parity", "facts_count"]
SLOW = pytest.param("facts_one", marks=pytest.mark.slow)


@pytest.mark.parametrize("backbone", ["minilm", "smollm2"])
@pytest.mark.parametrize("name", [*GENERATED, SLOW, "needle_written"])
def test_a_generated_text_fills_its_length_less_what_it_declares(name: str, backbone: str) -> None:
    from harness.models.tokens import word_counter

    found = find_backbone(backbone, "x")
    task = load_task(name, None, word_counter(found))
    size = token_size(found, task.metadata)
    for length in (task.metadata.lengths[0], 131, 256):  # 131: four do not divide what is left
        texts = task.splits(length, 0).test[:50]
        sizes = [size(example, length) for example in texts]
        assert max(sizes) <= length + 1  # SmolLM2: a text's first word may be a token more
        reach = planned_reach(task, size, length, texts)
        assert reach.share >= (0.9 if name.startswith("facts") else 1.0), (length, sizes)


def test_an_impossible_length_of_a_real_task_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", str(SWEEPS / "smoke.yaml"), "--set", "tasks=[newsgroups]"]
    assert main([*words, "--set", "lengths=[64, 20000]"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "lengths: 20000: none of the 40 evaluated test texts of the task 'newsgroups'" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [("''", "are empty"), ("' \\n'", "are empty"), ("'red'", "has 3 tokens, fewer than")],
)
def test_a_length_that_no_sweep_takes_is_not_advised(
    text: str, expected: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = _plugin(tmp_path)
    mine = plugins / "mine.py"
    mine.write_text(mine.read_text().replace('" ".join(w)', text))
    assert main(["plan", *_words(tiny, plugins, "[32]")]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert "'mine'" in told
    assert "Use lengths up to" not in told
