"""Changes as blocks of a page, for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from harness.core.result import OK
from reports.arms import markdown
from reports.blocks import (
    Block,
    Entry,
    Failed,
    Section,
    Table,
    Text,
    exact_memory,
    joined,
    listed,
    rate,
    score_text,
    signed,
)
from reports.changes.changes import Changes
from reports.changes.costs import OTHER_MACHINE, TIME_NOISE, CostChange
from reports.changes.scores import ScoreChange
from reports.changes.sides import Side, only
from reports.compare import Verdict
from reports.page import dates, rendered

_SCORE_WORDS: dict[Verdict, str] = {
    "better": "better", "worse": "worse", "comparable": "comparable", "undecided": "not decided",
    "none": "no verdict",
}  # fmt: skip
_COST_WORDS = {**_SCORE_WORDS, "better": "less", "worse": "more", "comparable": "same"}
_FACTS = ("commit", "torch", "cpu", "gpu", "cores")


def sections(changes: Changes, most_rows: int | None = None) -> list[Section]:
    """The sections of a page on two sides; those without content are left out.

    Tables of scores and costs with more than `most_rows` rows show only what is not equal.
    """
    found = {
        "Changes": _summary(changes),
        "Settings": _settings(changes),
        "Scores": _scores(changes.scores, most_rows),
        "Costs": _costs(changes.costs, most_rows),
        "Outcomes": _outcomes(changes),
        "Cells on one side only": _only(changes),
    }
    return [Section(name.split()[0].lower(), name, own) for name, own in found.items() if own]


def as_html(changes: Changes) -> str:
    """The page as one HTML file."""
    return rendered(_title(changes), dates([changes.a.run, changes.b.run]), sections(changes))


def as_markdown(changes: Changes) -> str:
    """The page in Markdown."""
    parts = [f"# {_title(changes)}"]
    for section in sections(changes):
        parts += [f"## {section.title}", *map(_block_text, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block_text(block: Block) -> str:
    if isinstance(block, Table):
        rows = [[_plain(entry) for entry in row] for row in block.rows]
        return markdown(Table(block.caption, block.head, rows))
    assert isinstance(block, Text)
    return block.text


def _plain(entry: Entry) -> str:
    return entry if isinstance(entry, str) else entry.text


def _title(changes: Changes) -> str:
    return f"{changes.a.place} and {changes.b.place}"


def headline(changes: Changes) -> list[str]:
    """How many scores, costs and cells changed, in sentences."""
    texts = []
    for name, words, verdicts in (
        ("Scores", _SCORE_WORDS, [one.verdict for one in changes.scores]),
        ("Costs", _COST_WORDS, [one.verdict for one in changes.costs]),
    ):
        counts = Counter(verdicts)
        parts = [f"{counts[v]} {word}" for v, word in words.items() if counts[v]]
        texts.append(f"{name}: {', '.join(parts) or 'none in common'}.")
    if lost := sum(one.a == OK for one in changes.outcomes):
        texts.append(f"Cells that fail in B only: {lost}.")
    texts.append(f"Regressions: {changes.regressions}.")
    return texts


def _summary(changes: Changes) -> list[Block]:
    rows = [_side_row(side) for side in (changes.a, changes.b)]
    head = ["Side", "Results", "Cells", "Failed", "Not run", *_FACTS]
    blocks: list[Block] = [
        Table("What is compared: changes are from A to B", head, rows, frozenset(head[2:5]))
    ]
    blocks += [Text(" ".join(headline(changes)))]
    if changes.family:
        blocks.append(
            Text(
                f"{changes.family} comparisons in one family: all verdicts together are right with "
                f"95 % confidence (Holm). A time is more or less if it is shown to differ by more "
                f"than {TIME_NOISE:.0%}.",
                "note",
            )
        )
    return blocks


def _side_row(side: Side) -> list[Entry]:
    failed = sum(not r.ok for r in side.results)
    facts = [listed(side.values(name)[:3]) for name in _FACTS]
    counts: list[Entry] = [str(len(side.results)), str(failed), str(side.missing)]
    return [side.letter, side.place, *counts, *facts]


def _settings(changes: Changes) -> list[Block]:
    if not changes.pairs:
        return [Text("The sides have no cell in common.", "warning")]
    if not changes.settings:
        return [Text("The cells that both sides have share all settings and versions.")]
    rows = [[one.name, one.a, one.b, one.where] for one in changes.settings]
    caption = "Settings, versions and machines that differ in cells that both sides have"
    return [Table(caption, ["Setting", "A", "B", "Arms"], rows)]


_Change = TypeVar("_Change", ScoreChange, CostChange)


def _shown(found: Sequence[_Change], most: int | None) -> tuple[list[_Change], list[Block]]:
    """The changes that a table shows, and a note on those that it leaves out."""
    if most is None or len(found) <= most:
        return list(found), []
    shown = [one for one in found if one.verdict in ("better", "worse", "undecided")]
    left = len(found) - len(shown)
    return shown, [Text(f"{left} rows without a difference or a verdict are not shown.", "note")]


def _scores(found: Sequence[ScoreChange], most_rows: int | None) -> list[Block]:
    if not found:
        return []
    shown, left = _shown(found, most_rows)
    rows = [_score_row(one) for one in shown]
    head = ["Task", "Metric", "Arm", "Tokens", "Seeds", "A", "B", "B − A", "Verdict"]
    blocks: list[Block] = [
        Table(
            "Test scores. In brackets: 95 % interval of the difference on its own",
            head,
            rows,
            frozenset({"Tokens", "Seeds", "A", "B", "B − A"}),
        ),
        *left,
    ]
    if not all(one.paired for one in found):
        blocks.append(
            Text(
                "Where fewer than three seeds are common, all seeds of both sides are compared, "
                "without pairing by seed.",
                "note",
            )
        )
    return blocks


def _score_row(one: ScoreChange) -> list[Entry]:
    found = one.found
    ends = " to ".join(signed(end) for end in found.interval or ())
    gap = "" if found.value is None else signed(found.value) + (f" ({ends})" if ends else "")
    return [
        one.group.key.task, found.metric.label, found.about.arm, str(found.about.lengths[0]),
        str(len(found.seeds)), score_text(one.a), score_text(one.b), gap,
        _verdict(one.verdict, _SCORE_WORDS, found.reason),
    ]  # fmt: skip


def _verdict(verdict: Verdict, words: dict[Verdict, str], reason: str) -> Entry:
    text = joined(words[verdict], reason, by=": ")
    return Failed(text) if verdict == "worse" else text


def _costs(found: Sequence[CostChange], most_rows: int | None) -> list[Block]:
    if not found:
        return []
    shown, left = _shown(found, most_rows)
    head = ["Task", "Arm", "Tokens", "Cost", "A", "B", "B / A", "Verdict"]
    rows = [_cost_row(one) for one in shown]
    blocks: list[Block] = [
        Table(
            "Costs. In brackets: 95 % interval of the ratio on its own",
            head,
            rows,
            frozenset({"Tokens", "A", "B", "B / A"}),
        ),
        *left,
    ]
    if any(one.reason == OTHER_MACHINE for one in found):
        blocks.append(
            Text(
                "A and B ran on different machines (settings above): their costs are shown side by "
                "side, and are no change.",
                "warning",
            )
        )
    return blocks


def _cost_row(one: CostChange) -> list[Entry]:
    text = {"s": _milliseconds, "bytes": exact_memory, "tokens/s": rate}[one.unit]
    ends = " to ".join(f"{end:.3f}" for end in one.interval or ())
    ratio = "" if one.ratio is None else f"{one.ratio:.3f}" + (f" ({ends})" if ends else "")
    ratio = "" if one.reason == OTHER_MACHINE else ratio
    return [
        one.group.key.task or "probes", one.arm, str(one.length), one.what, text(one.a),
        text(one.b), ratio, _verdict(one.verdict, _COST_WORDS, one.reason),
    ]  # fmt: skip


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.1f} ms"


def _outcomes(changes: Changes) -> list[Block]:
    if not changes.outcomes:
        return []
    rows: list[list[Entry]] = [
        [
            str(one.cell["task"] or "probe"), str(one.cell["arm"]), str(one.cell["length"]),
            str(one.cell.seed), one.a, Failed(one.b) if one.a == OK else one.b,
        ]
        for one in changes.outcomes
    ]  # fmt: skip
    head = ["Task", "Arm", "Tokens", "Seed", "A", "B"]
    return [Table("Cells with another outcome", head, rows, frozenset({"Tokens", "Seed"}))]


def _only(changes: Changes) -> list[Block]:
    rows: list[list[Entry]] = []
    for one, other in ((changes.a, changes.b), (changes.b, changes.a)):
        for (_, task, _, arm, length), seeds in only(one, other).items():
            rows.append([one.letter, task or "probe", arm, str(length), _listed(seeds)])
    head = ["Side", "Task", "Arm", "Tokens", "Seeds"]
    return [Table("Cells that the other side lacks", head, rows)] if rows else []


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
