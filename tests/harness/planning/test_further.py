"""Sweep keys of evaluations beyond a cell's own test: cells, ids and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep

WRITTEN = """
from tasks import Example, Splits, Task, TaskMetadata

class Read(Task):
    metadata = TaskMetadata(name="NAME", title="x", description="x", family="language_modelling",
        source="x", revision="1", licence="x", citation="x", natural_length=20, lengths=(32,),
        whole_texts=True)

    def splits(self, length, seed):
        return Splits(*([Example(f"{part}{k}", f"{part} {k} is a number") for k in range(20)]
                        for part in ("train", "validation", "test")))
"""


def plugins(folder: Path) -> Path:
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(WRITTEN.replace("NAME", name))
    return folder


def test_each_model_is_tested_at_the_other_lengths(tiny: Path) -> None:
    sizes = ["lengths=[32, 64]", "train.test_lengths=all"]
    trained, baselines = {}, []
    for cell in make_plan(load_sweep(tiny, sizes), tiny).cells:
        if cell.method == "lora":
            trained[cell.length] = cell.test_lengths
        else:
            baselines.append(cell.test_lengths)
    assert trained == {32: (64,), 64: (32,)}
    assert baselines == [(), ()]
    sizes[1] = "train.test_lengths=[128, 32]"
    cells = make_plan(load_sweep(tiny, sizes), tiny).cells
    assert {c.length: c.test_lengths for c in cells if c.method == "lora"} == {
        32: (128,), 64: (32, 128),
    }  # fmt: skip


def test_without_the_keys_ids_stay(tiny: Path) -> None:
    plain, one_length = (
        {cell.id for cell in make_plan(load_sweep(tiny, more), tiny).cells}
        for more in ([], ["train.test_lengths=all"])
    )
    assert plain == one_length


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.test_lengths=[32, 32]", "train.test_lengths: duplicate value: 32"),
        ("train.test_lengths=[4]", "train.test_lengths.0: "),
        ("train.test_lengths=some", "train.test_lengths: "),
        ("train.test_lengths=[100000]", "train.test_lengths: 100000: none of the 8 evaluated"),
        ("train.forgetting=newsgroups", "train.forgetting: the metric of 'newsgroups' is accuracy"),
        ("train.forgetting=nowhere", "train.forgetting: "),
        ("train.forgetting={examples: 3}", "train.forgetting.task: is missing"),
    ],
)
def test_what_cannot_run_is_refused(tiny: Path, change: str, said: str) -> None:
    with pytest.raises(BadInput) as found:
        make_plan(load_sweep(tiny, [change]), tiny)
    assert any(f"{tiny}: {said}" in line for line in found.value.args)


def test_without_test_texts_there_is_nothing_to_evaluate(tiny: Path) -> None:
    changes = ["train.test_examples=0", "train.test_lengths=[64]"]
    with pytest.raises(BadInput, match="test_lengths needs tasks and "):
        load_sweep(tiny, changes)


def test_forgetting_is_for_other_tasks_that_keep_the_language_model(
    tiny: Path, tmp_path: Path, causal: Path
) -> None:
    changes = [f"backbone={causal}", "methods=[full]", "train.forgetting={task: two, examples: 9}"]

    def planned(*more: str) -> list[tuple[str | None, str, str | None, int | None, bool]]:
        made = make_plan(load_sweep(tiny, [*changes, *more]), tiny, plugins(tmp_path))
        return sorted(
            (c.task, c.method, c.forgetting, c.forgetting_examples, "forgetting" in c.revisions)
            for c in made.cells
        )

    assert planned("tasks=[one, two]") == [
        ("one", "base", "two", 9, True), ("one", "full", "two", 9, True),
        ("two", "base", None, None, False), ("two", "full", None, None, False),
    ]  # fmt: skip
    with pytest.raises(BadInput, match="no task of this sweep can use it"):
        planned("tasks=[two]")
    with pytest.raises(BadInput, match="asks for 21 texts, but the task 'two' has 20"):
        planned("tasks=[one]", "train.forgetting.examples=21")
