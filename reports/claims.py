"""Claims of publications (`claims/NAME.yaml`), and what published results say about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import BadInput, nearest
from reports.blocks import capital, listed
from reports.compare import Compared, Comparison, Role, compared, differences
from reports.frame import load_results
from reports.groups import Group
from reports.page import Report

CLAIMS = Path(__file__).parents[1] / "claims"


class ClaimTest(BaseModel):
    """A comparison of two arms, and the verdict that the claim expects.

    Attributes:
        lengths: tokens; None for all lengths at which both arms were trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str
    other: str
    expects: Literal["comparable", "better"]
    lengths: tuple[int, ...] | None = None


class Claim(BaseModel):
    """A claim in the words of its publication, and how it is tested.

    Attributes:
        own_words: whether `words` are a summary, because the publication has no such sentence.
        sweep: the sweep file, relative to the project.
        published: the folder of its results, relative to the project.
        control: the arm that the second arm of each test must be better than: if nothing is gained
            over it, that two arms are comparable says little.
        not_tested: what the tests leave open, and what a test of that needs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    words: str
    own_words: bool = False
    source: str
    link: str = Field(pattern="^https://")
    sweep: str | None = None
    published: str | None = None
    tests: tuple[ClaimTest, ...] = ()
    control: str | None = None
    not_tested: str

    @property
    def family(self) -> tuple[ClaimTest, ...]:
        """The tests, and those of the control."""
        others = {(one.other, one.lengths): one for one in self.tests if self.control}
        return self.tests + tuple(
            ClaimTest(arm=other, other=self.control or "", expects="better", lengths=lengths)
            for other, lengths in others
        )


def read_claim(path: Path) -> Claim:
    """Read the file of a claim.

    Raises:
        BadInput: it cannot be read or has another form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Claim.model_validate({**content, "name": path.stem})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValidationError) as error:
        raise BadInput(
            f"{path}: is not the file of a claim: {str(error).splitlines()[0]}"
        ) from None


def find_claim(name: str, folder: Path | None = None) -> Claim:
    """Return the claim of this name.

    Raises:
        BadInput: there is none.
    """
    folder = folder or CLAIMS
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise BadInput(
            f"there is no claim '{name}'.{nearest(name, names)} Available: {', '.join(names)}"
        )
    return read_claim(folder / f"{name}.yaml")


def all_claims(folder: Path = CLAIMS) -> list[Claim]:
    """Return all claims by name."""
    return [read_claim(path) for path in sorted(folder.glob("*.yaml"))]


Answer = Literal["confirmed", "contradicted", "not decided"]


@dataclass(frozen=True)
class Finding:
    """A test of a claim on one task, at one length."""

    test: ClaimTest
    task: str
    found: Compared

    @property
    def answer(self) -> Answer:
        """Whether the verdict is the one that the claim expects."""
        verdict = self.found.verdict
        if verdict in ("none", "undecided"):
            return "not decided"
        return "confirmed" if verdict == self.test.expects else "contradicted"

    @property
    def length(self) -> int:
        """Tokens."""
        return self.found.about.lengths[0]

    @property
    def difference(self) -> str:
        """The difference with its 95 % interval; "" without one."""
        if self.found.value is None:
            return ""
        interval = self.found.interval
        ends = "" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})"
        return f"{self.found.value:+.3f}{ends}".replace("-", "−")


def findings(claim: Claim, folder: Path) -> list[Finding]:
    """Return the tests of a claim and of its control in its sweep's results, by length and task.

    They are one family, whatever else the sweep compares.
    """
    pairs: dict[tuple[str, str], Role] = {(t.arm, t.other): "reference" for t in claim.family}

    def asked(group: Group) -> list[Comparison]:
        return [
            one
            for one in differences(group, pairs)
            if any(_is_of(test, one.arm, one.other, one.lengths[0]) for test in claim.family)
        ]

    groups = Report(load_results(folder)).training
    by_task = zip((str(g.results[0]["task"]) for g in groups), compared(groups, asked), strict=True)
    every = [(task, one) for task, own in by_task for one in own]
    return [
        Finding(test, task, one)
        for test in claim.family
        for task, one in sorted(every, key=lambda pair: pair[1].about.lengths)
        if _is_of(test, one.about.arm, one.about.other, one.about.lengths[0])
    ]


def _is_of(test: ClaimTest, arm: str, other: str, length: int) -> bool:
    inside = test.lengths is None or length in test.lengths
    return inside and (arm, other) == (test.arm, test.other)


def where(one: Finding, among: Sequence[Finding]) -> str:
    """Return `on TASK at LENGTH` for a finding; without the task if there is only one."""
    several = len({other.task for other in among}) > 1
    return f"on {one.task} at {one.length:,}" if several else f"at {one.length:,}"


def verdict(found: Sequence[Finding]) -> str:
    """Return one sentence on a claim from its tests."""
    if not found:
        return "Not tested."
    answers = Counter(one.answer for one in found)
    if len(answers) == 1:
        (answer,) = answers
        if answer == "not decided":
            return "Not decided, because the measurements are not precise enough."
        return f"{answer.capitalize()}."
    parts: list[str] = []
    for answer in ("confirmed", "contradicted", "not decided"):
        own = [f"{one.test.arm} {where(one, found)}" for one in found if one.answer == answer]
        parts += [f"{answer} for {listed(own)} tokens"] if own else []
    return capital(f"{'; '.join(parts)}.")


def claims_page(folder: Path) -> str:
    """Return all claims with their verdicts in Markdown."""
    root = folder.parent
    return "\n".join(_claim(claim, root) for claim in all_claims(folder))


def _claim(claim: Claim, root: Path) -> str:
    place = root / claim.published if claim.published else None
    run = place is not None and place.is_dir()
    found = findings(claim, place) if place is not None and run else []
    quote = claim.words if claim.own_words else f"“{claim.words}”"
    about = "in our words" if claim.own_words else "quoted"
    lines = [f"## {claim.title}", "", f"> {quote}", "", f"[{claim.source}]({claim.link}), {about}."]
    own = [one for one in found if one.test.other != claim.control]
    text = verdict(own)
    if place is not None and own:
        text = f"On {_setting(place)}: {text[0].lower()}{text[1:]}"
    lines += ["", f"**{text}**" + ("" if claim.tests else f" {claim.not_tested}")]
    lines[-1] += _without_gain([one for one in found if one.test.other == claim.control])
    if found:
        metric = found[0].found.metric.label
        several = len({one.task for one in found}) > 1
        task, rule = ("Task | ", "--- | ") if several else ("", "")
        lines += [
            "",
            f"| {task}Arm | minus | Tokens | Difference of {metric} | Expected | Answer |",
        ]
        lines += [f"| {rule}--- | --- | ---: | ---: | --- | --- |"]
        lines += [
            f"| {f'{one.task} | ' * several}{one.test.arm} | {one.test.other} | {one.length:,} | "
            f"{one.difference} | {one.test.expects} | {one.answer} |"
            for one in found
        ]
    if claim.sweep:
        state = f"results: `{claim.published}`" if run else "not run yet"
        lines += ["", f"Sweep: `{claim.sweep}` ({state})."]
    if claim.tests:
        lines += ["", f"Left open: {claim.not_tested}"]
    if run:
        lines += ["", f"On your machine: `bench-long verify {claim.name}`"]
    return "\n".join([*lines, ""])


def _setting(folder: Path) -> str:
    """Tasks and backbones of a run."""
    cells = [r for group in Report(load_results(folder)).training for r in group.trained]
    tasks, models = (list(dict.fromkeys(str(r[c]) for r in cells)) for c in ("task", "backbone"))
    return f"{listed(tasks)} with {listed(models)}"


def _without_gain(found: Sequence[Finding]) -> str:
    """A warning where the arm that a claim compares with is not shown to beat the control."""
    weak = [one for one in found if one.answer != "confirmed"]
    if not weak:
        return ""
    arms = listed([f"{one.test.arm} {where(one, found)}" for one in weak])
    return f" But the gain over {weak[0].test.other} is not shown for {arms} tokens."


@dataclass(frozen=True)
class Reproduced:
    """A test of a claim here and in the published results."""

    reference: Finding
    here: Finding | None

    @property
    def inside(self) -> bool | None:
        """Whether the value here is inside the interval of the reference; None if unknown."""
        interval = self.reference.found.interval
        value = None if self.here is None else self.here.found.value
        return None if interval is None or value is None else interval[0] <= value <= interval[1]


def reproduced(claim: Claim, reference: Path, here: Path) -> list[Reproduced]:
    """Compare the tests of a claim in two result folders.

    Raises:
        BadInput: the reference has no test of the claim.
    """
    own = {(one.test, one.task, one.length): one for one in findings(claim, here)}
    found = [
        Reproduced(one, own.get((one.test, one.task, one.length)))
        for one in findings(claim, reference)
    ]
    if not found:
        raise BadInput(f"claim {claim.name}: {reference} has no result of its tests")
    return found
