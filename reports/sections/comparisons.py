"""The answers of the overview: sentences, the table of comparisons, and what would decide more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.core.methods import method_info
from reports.blocks import Block, Entry, Table, Text, capital, joined, listed, signed, span
from reports.compare import Compared, Role, Verdict, power_of, references, tested
from reports.groups import Group

_VERDICTS: dict[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "comparable": "comparable",
    "undecided": "not decided",
    "none": "no verdict",
}
_TRENDS = {"comparable": "level", "undecided": "not decided", "none": "no verdict"}


def word(one: Compared) -> str:
    """The verdict in words; for a trend, the way that the number goes."""
    if not one.about.other:
        rises = "rises" if (one.value or 0.0) > 0 else "falls"
        turned = "" if one.metric.higher_is_better else f" ({one.verdict})"
        text = _TRENDS.get(one.verdict, rises + turned)
    else:
        text = _VERDICTS[one.verdict]
    return text + (", within the margin" if one.differs and one.within else "")


def gap_text(one: Compared) -> str:
    """A difference with interval and verdict: `+0.005 (−0.005 to +0.015), not decided`."""
    why = f" ({one.reason})" if one.reason else ""
    if one.value is None:
        return f"not compared{why}"
    ends = " to ".join(signed(end) for end in one.interval or ())
    text = f"{signed(one.value)}{f' ({ends})' if ends else ''}"
    return text if one.about.role == "baseline" and not why else f"{text}, {word(one)}{why}"


def statements(group: Group, found: Sequence[Compared], family: int) -> dict[str, str]:
    """Sentences on a group by subject: gain over the control, trend, reference, certainty.

    If all comparisons are at one length, the first sentence names it and the others do not.
    """
    lengths = sorted({n for one in found for n in one.about.lengths})
    roles = {role: [one for one in found if one.about.role == role] for role in _ROLES}
    headings: dict[Role, str] = {
        "trend": _trend_heading(roles["trend"]),
        "reference": (
            f"Against {method_info(references(group)[0]).label} at the same sites (else at "
            f"density 1)"
        ),
        "mechanism": "Against the controls of a state",
    }
    texts: dict[str, str] = {
        "gain": group.about(_gain(roles["control"], lengths)),
        **{
            role: _by_word(text, roles[role], lengths)
            for role, text in headings.items()
            if roles[role]
        },
        "certainty": _certainty(found, family),
    }
    return {subject: text for subject, text in texts.items() if text}


_ROLES: tuple[Role, ...] = ("control", "trend", "reference", "mechanism", "baseline")


def _gain(found: Sequence[Compared], lengths: Sequence[int]) -> str:
    """Whether adaptation gained anything over the control; `lengths`: of all comparisons."""
    if not found:
        return (
            "Whether adaptation gained anything is unknown: there is no control (a trained head on "
            "the frozen backbone, or the zero-shot backbone)."
        )
    control = listed(list(dict.fromkeys(one.about.other for one in found)))
    at = f" at {lengths[0]} tokens" if len(lengths) == 1 else ""
    better = [one for one in found if one.verdict == "better"]
    if better:
        head = f"Adaptation gained over the control ({control}){at}"
    elif tested(found):
        head = f"No arm is shown to be better than the control ({control}){at or ' at any length'}"
    else:
        head = f"No verdict on a gain over the control ({control}){at}"
    return _by_word(head, found, lengths)


def _trend_heading(found: Sequence[Compared]) -> str:
    lengths = [n for one in found for n in one.about.lengths]
    ends = f" from {min(lengths)} to {max(lengths)} tokens" if lengths else ""
    return f"{capital(found[0].metric.label) if found else 'Score'}{ends}"


def _by_word(head: str, found: Sequence[Compared], lengths: Sequence[int]) -> str:
    """A heading, then the comparisons by verdict, with their lengths if there are several."""
    kinds: dict[str, dict[str, list[str]]] = {}
    order = list(_VERDICTS)
    for one in sorted(found, key=lambda one: order.index(one.verdict)):
        kind = f"{word(one)}{f' ({one.reason})' if one.reason else ''}"
        about = one.about
        several = about.role == "mechanism"
        name = f"{about.arm} against {about.other}" if several else about.arm
        places = kinds.setdefault(kind, {}).setdefault(name, [])
        if about.other and len(lengths) > 1:
            places.append(span([str(n) for n in about.lengths]))
    parts = [
        capital(f"{kind}: ")
        + "; ".join(f"{name} at {listed(at)}" if at else name for name, at in arms.items())
        for kind, arms in kinds.items()
    ]
    return f"{head}. " + " ".join(f"{part}." for part in parts)


def _certainty(found: Sequence[Compared], family: int) -> str:
    """How the verdicts were made, and what would resolve the margin; empty without any."""
    own = tested(found)
    if not own:
        return ""
    margin = own[0].margin
    text = (
        f"{family} comparison{'s' * (family > 1)} in one family: all verdicts together are right "
        f"with 95 % confidence (Holm). Comparable: within ±{margin:g} by two one-sided tests."
    )
    power = power_of(found, family)
    if power is None:
        return text
    first = next(one.estimate for one in own if one.about.other and one.estimate)
    have = f"{first.seeds} seeds and {first.texts} texts"
    text += (
        f" Power: with {have} the corrected interval of a typical difference is ±{power.half:.3f}"
    )
    if power.half <= margin:
        return f"{text}, which resolves the margin."
    seeds = (
        "no number of seeds resolves the margin, because the texts dominate"
        if power.seeds is None
        else f"{power.seeds} seeds would resolve the margin"
    )
    texts = "" if power.texts is None else f"with {first.seeds} seeds, {power.texts} texts would"
    return f"{text}; {joined(seeds, texts)}."


def comparison_tables(group: Group, found: Sequence[Compared]) -> list[Block]:
    """All declared differences between arms by length."""
    own = [one for one in found if one.about.other]
    lengths = sorted({n for one in own for n in one.about.lengths})
    rows: dict[tuple[str, str, str], dict[int, str]] = {}
    for one in own:
        role = one.about.role
        (length,) = one.about.lengths
        place = (one.about.arm, one.about.other, "TF-IDF" if role == "baseline" else role)
        rows.setdefault(place, {})[length] = gap_text(one)
    shown: list[list[Entry]] = [
        [*place, *(at.get(n, "") for n in lengths)] for place, at in rows.items()
    ]
    heads = [f"{n} tokens" for n in lengths]
    what = group.metric.named("test")
    caption = joined(
        f"Differences of {what} between arms, each with its own 95 % interval",
        "verdicts are corrected for all comparisons of the report" if tested(own) else "",
        "without a verdict: TF-IDF" if any(one.about.role == "baseline" for one in own) else "",
        by="; ",
    )
    head = ["Arm", "minus", "Role", *heads]
    return [Table(group.about(caption), head, shown, frozenset(heads))] if rows else []


def trend_table(
    group: Group, found: Sequence[Compared], effective: Callable[[str], str]
) -> list[Table]:
    """The change of every arm over length, and its effective length."""
    own = [one for one in found if not one.about.other]
    rows: list[list[Entry]] = [
        [one.about.arm, span([str(n) for n in one.about.lengths]), gap_text(one),
         effective(one.about.arm)]
        for one in own
    ]  # fmt: skip
    caption = (
        f"Change of {group.metric.label} from the shortest to the longest length, fitted over the "
        f"logarithm of the length, with 95 % intervals. Effective length: the shortest length from "
        f"which on the arm is not worse than at its longest length by the margin (a fixed sequence "
        f"of tests for each arm, corrected for the number of arms)"
    )
    head = ["Arm", "Lengths", "Change", "Effective length"]
    return [Table(group.about(caption), head, rows)] if rows else []


def notes(groups: Sequence[Group]) -> list[Block]:
    """What joined runs do not agree on: margins and references."""
    found: list[Block] = []
    for group in groups:
        margins = sorted({r["comparisons"].margin for r in group.results})
        if len(margins) > 1:
            stated = listed([f"{m:g}" for m in margins])
            text = f"The runs state the margins {stated}; the smallest counts."
            found.append(Text(group.about(text), "note"))
        if len(names := references(group)) > 1:
            text = f"The runs name the references {listed(names)}; the first counts."
            found.append(Text(group.about(text), "note"))
    return found
