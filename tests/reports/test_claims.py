"""Claims of publications: their files, and what results say about them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.core.errors import BadInput
from harness.planning.sweep import load_sweep
from reports.claims import (
    CLAIMS,
    Claim,
    ClaimTest,
    all_claims,
    claims_page,
    find_claim,
    findings,
    read_claim,
    reproduced,
    verdict,
)
from tests.reports.conftest import write_run
from tests.reports.test_compare import cells

SSM = {"arm": "SSMLoRA 1/2", "other": "LoRA 1"}


def claim(*tests: ClaimTest) -> Claim:
    return Claim(
        name="made", title="Made", words="as good", source="Nobody", link="https://example.org",
        tests=tests, not_tested="all else",
    )  # fmt: skip


def run(folder: Path, right: int, at_256: int | None = None) -> Path:
    """Five seeds of LoRA with 300 of 400 answers right, and SSMLoRA with `right`."""
    made = cells("lora", 300) + cells("ssmlora", right, density=0.5)
    if at_256 is not None:
        made += cells("lora", 300, 256) + cells("ssmlora", at_256, 256, density=0.5)
    write_run(folder, made)
    return folder


def test_each_claim_names_a_sweep_that_exists() -> None:
    found = all_claims()
    assert found
    for one in found:
        if one.sweep:
            load_sweep(CLAIMS.parent / one.sweep)
        assert bool(one.tests) == bool(one.sweep), one.name


@pytest.mark.parametrize(
    ("right", "expects", "answer"),
    [
        (300, "comparable", "confirmed"),
        (300, "better", "contradicted"),
        (380, "better", "confirmed"),
        (380, "comparable", "contradicted"),
        (220, "better", "contradicted"),
    ],
)
def test_the_answer_is_the_verdict_of_the_report(
    tmp_path: Path, right: int, expects: str, answer: str
) -> None:
    about = claim(ClaimTest.model_validate({**SSM, "expects": expects}))
    (found,) = findings(about, run(tmp_path / "run", right))
    assert found.answer == answer
    assert verdict([found]) == f"{answer.capitalize()}."


def test_too_few_seeds_decide_nothing(tmp_path: Path) -> None:
    write_run(
        tmp_path / "run",
        cells("lora", 300, seeds=(0, 1)) + cells("ssmlora", 200, density=0.5, seeds=(0, 1)),
    )
    about = claim(ClaimTest.model_validate({**SSM, "expects": "comparable"}))
    found = findings(about, tmp_path / "run")
    assert [one.answer for one in found] == ["not decided"]
    assert verdict(found).startswith("Not decided")
    assert verdict([]) == "Not tested."


def test_lengths_with_other_answers_are_named(tmp_path: Path) -> None:
    about = claim(ClaimTest.model_validate({**SSM, "expects": "comparable"}))
    found = findings(about, run(tmp_path / "run", 300, at_256=200))
    assert verdict(found) == (
        "Confirmed for SSMLoRA 1/2 at 128 tokens; contradicted for SSMLoRA 1/2 at 256 tokens."
    )
    one = claim(ClaimTest.model_validate({**SSM, "expects": "comparable", "lengths": [256]}))
    assert [f.length for f in findings(one, tmp_path / "run")] == [256]


def test_arms_are_compared_also_if_the_sweep_declares_another_reference(tmp_path: Path) -> None:
    made = cells("lora", 300) + cells("lora", 300, density=0.5) + cells("ssmlora", 300, density=0.5)
    write_run(tmp_path / "run", made)
    about = claim(ClaimTest.model_validate({**SSM, "expects": "comparable"}))
    assert [one.answer for one in findings(about, tmp_path / "run")] == ["confirmed"]


@pytest.mark.parametrize(("right", "gained"), [(220, True), (300, False)])
def test_arms_that_are_no_better_than_the_control_are_named(
    tmp_path: Path, right: int, gained: bool
) -> None:
    made = cells("lora", 300) + cells("ssmlora", 300, density=0.5)
    write_run(tmp_path / "published" / "run", made + cells("head", right, density=None))
    (tmp_path / "claims").mkdir()
    about = claim(ClaimTest.model_validate({**SSM, "expects": "comparable"}))
    more = {"sweep": "sweeps/smoke.yaml", "published": "published/run", "control": "Head only"}
    content = yaml.safe_dump(
        about.model_copy(update=more).model_dump(mode="json", exclude={"name"})
    )
    (tmp_path / "claims" / "made.yaml").write_text(content)
    text = claims_page(tmp_path / "claims")
    assert "| LoRA 1 | Head only | 128 |" in text
    assert "**On newsgroups with minilm: confirmed.**" in text
    assert ("the gain over Head only is not shown for LoRA 1 at 128" in text) is not gained


def test_another_machine_reproduces_what_is_inside_the_interval(tmp_path: Path) -> None:
    about = claim(ClaimTest.model_validate({**SSM, "expects": "comparable"}))
    published = run(tmp_path / "published", 300)
    same, other = run(tmp_path / "same", 301), run(tmp_path / "other", 240)
    assert [one.inside for one in reproduced(about, published, same)] == [True]
    assert [one.inside for one in reproduced(about, published, other)] == [False]
    write_run(tmp_path / "half", cells("lora", 300))
    assert [one.inside for one in reproduced(about, published, tmp_path / "half")] == [None]
    with pytest.raises(BadInput, match="has no result of its tests"):
        reproduced(about, tmp_path / "half", same)


def test_the_page_lists_each_claim_once() -> None:
    text = claims_page(CLAIMS)
    for one in all_claims():
        assert text.count(f"## {one.title}\n") == 1
        assert one.link in text


@pytest.mark.parametrize("content", ["- 1", "title: [", "title: a\nword: b", ""])
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"wrong\.yaml: is not the file of a claim"):
        read_claim(path)


def test_an_unknown_claim_has_a_suggestion() -> None:
    with pytest.raises(BadInput, match="Did you mean 'ssmlora-half'"):
        find_claim("ssmlora-hal")


def test_each_task_of_a_sweep_is_a_test_of_its_own(tmp_path: Path) -> None:
    def both(folder: Path, right: int) -> Path:
        ours = cells("lora", 300) + cells("ssmlora", 380, density=0.5)
        theirs = cells("lora", 300, task="parity") + cells(
            "ssmlora", right, task="parity", density=0.5
        )
        write_run(folder, ours + theirs)
        return folder

    about = claim(ClaimTest.model_validate({**SSM, "expects": "better"}))
    found = findings(about, both(tmp_path / "published", 300))
    assert {one.task: one.answer for one in found} == {
        "newsgroups": "confirmed",
        "parity": "contradicted",
    }
    assert verdict(found) == (
        "Confirmed for SSMLoRA 1/2 on newsgroups at 128 tokens; contradicted for SSMLoRA 1/2 on "
        "parity at 128 tokens."
    )
    other = reproduced(about, tmp_path / "published", both(tmp_path / "here", 240))
    assert {one.reference.task: one.inside for one in other} == {
        "newsgroups": True,
        "parity": False,
    }
