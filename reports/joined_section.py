"""Which folders were joined, why others were not, and what differs between those that were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.blocks import Entry, Section, Table, Text
from reports.cells_section import facts_of
from reports.files import Result, Run
from reports.groups import Group
from reports.joining import MACHINE, UNKNOWN, outcome_rank
from reports.text import capital, count, listed, share, shortened

_NAMES = {"cpu": "processor", "memory_gib": "memory (GiB)", "gpu": "GPU"}
_RULE = (
    "Scores of several folders are joined where task, data version, backbone, version of its "
    "weights, number format and protocol version agree. Costs are joined where device and machine "
    f"agree as well ({', '.join(_NAMES.get(name, name) for name in MACHINE)})."
)
_ONCE = (
    "Each has one score here: a score before a failure, then that of the folder that was given "
    "first. Costs count once on each machine."
)


def joined(runs: Sequence[Run], training: Sequence[Group], costs: Sequence[Group]) -> list[Section]:
    """What a report of several folders rests on; nothing for one folder."""
    if len(runs) < 2:
        return []
    section = Section("joined", "What is joined", [Text(_RULE)])
    for groups, what in ((training, "scores"), (costs, "costs")):
        for group in groups:
            if len(group.runs) > 1:
                told = f"Joined: {what} of {listed(group.runs)} ({_about(group)})."
                section.blocks.append(Text(told + _unrecorded(group)))
        section.blocks += [Text(reason, "warning") for reason in not_joined(groups, what)]
    section.blocks += [Text(told, "note") for told in _labels(training)]
    section.blocks += [Text(told, "note") for told in _repeated(runs, training)]
    sets = [set(group.runs) for group in (*training, *costs) if len(group.runs) > 1]
    together = [run for run in runs if any(run.name in names for names in sets)]
    return [replace(section, blocks=[*section.blocks, *_differences(together)])]


def not_joined(groups: Sequence[Group], what: str) -> list[str]:
    """For each task (of costs: each backbone) in several groups, what differs between them."""
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        place = (group.key.task, "" if what == "scores" else group.key.backbone)
        found.setdefault(place, []).append(group)
    reasons = []
    for place, apart in found.items():
        if len(apart) < 2 or len({name for group in apart for name in group.runs}) < 2:
            continue
        parts = [
            f"{name} differs ({told})"
            for name, values in _conditions(apart).items()
            if (told := _by_value(values))
        ]
        subject = " · ".join(part for part in place if part) or what
        reasons.append(f"Not joined: {what} of {subject}: {'; '.join(parts)}.")
    return reasons


def _conditions(groups: Sequence[Group]) -> dict[str, list[tuple[str, str]]]:
    """By what must agree: the value of each group and its runs."""
    found: dict[str, list[tuple[str, str]]] = {}
    for group in groups:
        for name, value in (("backbone", group.key.backbone or "none"), *group.key.conditions):
            found.setdefault(_NAMES.get(name, name), []).append((value, group.key.run))
    return found


def _by_value(values: Sequence[tuple[str, str]]) -> str:
    """`1.16: a, c; 1.17: b`; empty where all are the same."""
    runs: dict[str, dict[str, None]] = {}
    for value, run in values:
        runs.setdefault(value, {})[run] = None
    told = (f"{shortened(value, 80)}: {', '.join(names)}" for value, names in runs.items())
    return "; ".join(told) if len(runs) > 1 else ""


def _about(group: Group) -> str:
    return ", ".join(part for part in (group.key.task, group.key.backbone) if part) or "probes"


def _unrecorded(group: Group) -> str:
    names = [n for n, value in group.key.conditions if value == UNKNOWN and n not in MACHINE]
    return f" None of these files records: {listed(names)}." if names else ""


def _labels(training: Sequence[Group]) -> list[str]:
    if all(r.row.get("plain_arm") == r["arm"] for group in training for r in group.results):
        return []
    return [
        "Arms whose settings differ are apart, and the settings stand in brackets: train and test "
        "are numbers of texts, batch is the batch size, decay the weight decay, lr the learning "
        "rate. Compare such arms with care: a difference may come from the setting."
    ]


def _repeated(runs: Sequence[Run], training: Sequence[Group]) -> list[str]:
    """How many cells are there more than once, and how far their scores are apart."""
    cells = repeated_ids(runs)
    pairs = [pair for group in training for pair in group.repeated]
    if not cells and not pairs:
        return []
    others = sum(kept["id"] != left["id"] for kept, left in pairs)
    sentences = [capital(f"{count(len(cells), 'cell')} in more than one folder. {_ONCE}")]
    if others:
        sentences.append(
            f"{count(others, 'cell')} of another id had the same arm, settings, length, seed and "
            "learning rate as one that counts: one seed is one value."
        )
    scores = [
        (abs(kept["score"] - left["score"]), kept, left)
        for kept, left in pairs
        if kept["score"] is not None and left["score"] is not None
    ]
    apart = [entry for entry in scores if entry[0] > 1e-9]
    if apart:
        _, kept, left = max(apart, key=lambda entry: entry[0])
        sentences.append(
            f"{count(len(apart), 'score')} of these differ between the folders, most that of "
            f"{_place(kept)}: {share(kept['score'])} in {kept['run']}, {share(left['score'])} in "
            f"{left['run']}."
        )
    ends = [(kept, left) for kept, left in pairs if kept["status"] != left["status"]]
    if ends:
        told = [
            f"{_place(k)}: {k['status']} in {k['run']}, {left['status']} in {left['run']}"
            for k, left in ends[:5]
        ]
        more = f"; and {len(ends) - 5} more" if len(ends) > 5 else ""
        sentences.append(f"Other outcomes: {'; '.join(told)}{more}.")
    return [" ".join(sentences)]


def _place(result: Result) -> str:
    return f"{result['arm']} at {result['length']} tokens, seed {result['seed']}"


def repeated_ids(runs: Sequence[Run]) -> set[str]:
    """Ids of cells that more than one run has a result of."""
    seen: set[str] = set()
    found: set[str] = set()
    for run in runs:
        own = {str(r["id"]) for r in run.results if r["in_sweep"]}
        found |= own & seen
        seen |= own
    return found


def counted(runs: Sequence[Run]) -> list[Run]:
    """The runs with every cell in one of them only, as facts over all of them count cells."""
    best: dict[str, tuple[int, int]] = {}
    for place, run in enumerate(runs):
        for r in run.results:
            if r["in_sweep"]:
                rank = (outcome_rank(r), place)
                best[str(r["id"])] = min(best.get(str(r["id"]), rank), rank)
    listed_before: set[str] = set()
    found = []
    for place, run in enumerate(runs):
        own = [r for r in run.results if not r["in_sweep"] or best[str(r["id"])][1] == place]
        ids = run.ids
        if ids is not None:
            kept = {str(r["id"]) for r in own}
            left = [i for i in ids if i not in best and i not in listed_before]
            listed_before |= set(left)
            ids = [i for i in ids if i in kept] + left
        found.append(replace(run, results=own, ids=ids))
    return found


def _differences(runs: Sequence[Run]) -> list[Table]:
    """What differs between runs that were joined, machine and versions included."""
    facts = {run.name: facts_of([r for r in run.results if r["in_sweep"]]) for run in runs}
    rows: list[list[Entry]] = []
    for name in dict.fromkeys(name for own in facts.values() for name in own):
        told = ["; ".join(facts[run.name].get(name, {})) for run in runs]
        if len(set(told)) > 1:
            rows.append([name, *told])
    workers = [str(run.manifest.get("workers") or "") for run in runs]
    if len(set(workers)) > 1:
        rows.append(["workers", *(shortened(w, 20) for w in workers)])
    caption = "What differs between the folders that were joined"
    return [Table(caption, ["", *(run.name for run in runs)], rows)] if rows else []
