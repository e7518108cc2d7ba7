"""Real sweeps of tasks that read or write text, and of lm-eval's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.conftest import TINY, bench_long, cells, run_here

PLUGINS = """
import random
from tasks import Example, Splits, Task, TaskMetadata

def metadata(name, family):
    return TaskMetadata(name=name, title=name, description=name, family=family,
        source="generated", revision="1", licence="none", citation="none", natural_length=20,
        answer_tokens=4, lengths=(32,), whole_texts=True)

class _Made(Task):
    def splits(self, length, seed):
        return Splits(*(self.draw(part) for part in ("train", "validation", "test")))

    def draw(self, part):
        r = random.Random(part)
        return [self.one(f"{part}-{k}", " ".join(str(r.randrange(99)) for _ in range(12)))
                for k in range(120 if part == "train" else 20)]

class Read(_Made):
    metadata = metadata("made_read", "language_modelling")
    def one(self, name, text):
        return Example(name, text)

class Written(_Made):
    metadata = metadata("made_written", "generation")
    def one(self, name, text):
        return Example(name, text, second="which ?", answers=("red",))
"""


@pytest.mark.slow  # quick: test_odd_texts_are_trained_on_and_judged
def test_both_families_are_trained_and_judged(tmp_path: Path, causal: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "made.py").write_text(PLUGINS)
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(TINY.replace("minilm", str(causal)))
    changes = [
        "tasks=[made_read, made_written]",
        "methods=[full, {ssmlora: {density: 0.5, lr: 0.02}}]",
        "probe={lengths: [32], steps: 2, seconds: 0}",
        "train={examples: all, validation_examples: 8, test_examples: 20, epochs: 2, lr: 1.0e-2}",
    ]
    words = ["--tasks-dir", tmp_path / "plugins", "--out", tmp_path / "out"]
    assert run_here(sweep, *words, *[w for c in changes for w in ("--set", c)]) == 0
    results = cells(tmp_path / "out").values()
    found = {(r["cell"]["task"], r["cell"]["method"]): r for r in results}
    assert set(found) == {
        *((task, method) for task in ("made_read", "made_written")
          for method in ("full", "ssmlora", "base")),
        ("made_written", "tfidf"), (None, "full"), (None, "ssmlora"),
    }  # fmt: skip
    losses = {m: found["made_read", m]["scores"] for m in ("base", "full", "ssmlora")}
    assert {s["metric"] for s in losses.values()} == {"loss"}
    assert losses["full"]["score"] < losses["base"]["score"] - 1
    assert losses["ssmlora"]["score"] < losses["base"]["score"] - 0.01
    assert len(found["made_read", "full"]["predictions"]["scores"]) == 20
    written = {m: found["made_written", m]["scores"]["score"] for m in ("base", "full", "tfidf")}
    assert written == {"base": 0.0, "full": 1.0, "tfidf": 1.0}
    base = found["made_read", "base"]
    assert base["model"]["trainable_params"] == 0
    assert base["curve"] == []
    probe = found[None, "ssmlora"]
    assert probe["cell"]["uses_lm_head"] is True
    head = 30522 * 32
    assert probe["model"]["total_params"] > head
    assert found["made_read", "full"]["cell"]["examples"] == 120
    for name in ("made_read", "made_written"):
        assert (tmp_path / "out" / "cards" / f"{name}.json").is_file()


@pytest.mark.slow
def test_a_sweep_evaluates_the_base_and_what_it_trained(tmp_path: Path, causal: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(TINY.replace("minilm", str(causal)))
    changes = [
        "tasks=[needle_written, lm_eval:niah_single_1]",
        "lengths=[320]",
        "lm_eval={examples: 2, seconds: 100}",
    ]
    done = bench_long(
        "run", sweep, "--out", tmp_path / "out", *[w for c in changes for w in ("--set", c)]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(r["cell"]["task"], r["cell"]["method"]): r for r in cells(tmp_path / "out").values()}
    assert set(found) == {
        ("needle_written", "lora"), ("needle_written", "base"), ("needle_written", "tfidf"),
        ("lm_eval", "base"),
    }  # fmt: skip
    of_lm_eval = {
        key: [one for one in r["evaluations"] if one["kind"] == "lm_eval"]
        for key, r in found.items()
    }
    evaluated = {key: entries for key, entries in of_lm_eval.items() if entries}
    assert set(evaluated) == {("needle_written", "lora"), ("lm_eval", "base")}
    for entries in evaluated.values():
        assert [(e["task"], e["status"]) for e in entries] == [("niah_single_1", "ok")]
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "niah_single_1" in page
