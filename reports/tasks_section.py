"""What the tasks are and whether they need their length, from the cards in the run folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.blocks import Block, Entry, Section, Table, Text
from reports.card_columns import Column, columns_of
from reports.cards import Card, load_cards
from reports.files import Run
from reports.groups import Group
from reports.metrics import METRICS
from reports.text import listed, percent, share, signed

_LABELS = 12
"""Labels of a task that are listed; the rest are summed up."""


def tasks(runs: Sequence[Run], training: Sequence[Group] = ()) -> list[Section]:
    """A card a task; those that cannot be used are named.

    Baselines are those of the cells in `training`, where there are any (`card_columns.py`).
    """
    section = Section("tasks", "Tasks: does this task need the length?")
    cards: list[tuple[str, Card]] = []
    for run in runs:
        found, broken = load_cards(run.path)
        for card in found:
            _add(cards, run.name, card, training)
        if broken:
            told = "; ".join(f"{name} ({reason})" for name, reason in broken)
            warning = f"{run.name}: task cards that could not be used: {told}."
            section.blocks.append(Text(warning, "warning"))
    if cards:
        section.blocks.append(
            Text(
                "Each task is held against two baselines that read the same cut texts. One that "
                "gains with length finds something further back; one that does not gain needs no "
                "more than the front of a text, or cannot use the rest."
            )
        )
    names = [card.name for _, card in cards]
    for run_name, card in cards:
        where = f" ({run_name})" if names.count(card.name) > 1 else ""
        section.blocks += _blocks(card, where, columns_of(card, run_name, training))
    return [section] if section.blocks else []


def _add(cards: list[tuple[str, Card]], run: str, card: Card, training: Sequence[Group]) -> None:
    """Add a card; one that differs in its lengths alone from that of a joined run adds these."""
    for place, (name, known) in enumerate(cards):
        if card == known:
            return
        rows = {row.length: row for row in (*card.rows, *known.rows)}
        same = replace(card, rows=()) == replace(known, rows=())
        joined = any(g.key.task == card.name and {run, name} <= {*g.runs} for g in training)
        if same and joined and all(rows[row.length] == row for row in card.rows):
            every = tuple(rows[length] for length in sorted(rows))
            cards[place] = (name, replace(known, rows=every))
            return
    cards.append((run, card))


def _blocks(card: Card, where: str, columns: tuple[list[Column], ...]) -> list[Block]:
    texts = card.texts
    title = f"{card.name}: {texts['title']}" if texts["title"] else card.name
    family = texts["family"].replace("_", " ")
    kind = [family and f"Family: {family}", _metric(card)]
    origin = [
        texts["source"] and f"Source: {texts['source']}",
        texts["revision"] and f"revision {texts['revision']}",
        texts["licence"] and f"licence: {texts['licence']}",
        texts["citation"] and f"citation: {texts['citation']}",
    ]
    blocks: list[Block] = [Text(title + where, "heading")]
    blocks += [Text(texts["description"])] if texts["description"] else []
    shown = (
        f"“{text}”" if key == "text" else f"{key}: “{text}”" for key, text in card.example.items()
    )
    told = "; ".join(shown)
    blocks += [Text(f"A training example: {told}.", "note")] if told else []
    for parts in (kind, origin):
        told = "; ".join(part for part in parts if part)
        blocks += [Text(f"{told}.", "note")] if told else []
    blocks.append(Text(_answer(card, columns)))
    blocks.append(_by_length(card, where, columns))
    if card.examples:
        blocks.append(_balance(card, where))
    if card.tokens:
        told = ", ".join(f"{mark} {value:,.0f}" for mark, value in card.tokens.items())
        blocks.append(Text(f"Tokens in a test text before it is cut: {told}.", "note"))
    if {"shared", "tested", "trained"} <= card.shared.keys():
        count = card.shared
        told = f"{count['shared']:,} of {count['tested']:,} test texts"
        blocks.append(
            Text(
                f"Shared with train: {told}, copies and near-duplicates (looked for in "
                f"{count['trained']:,} training texts).",
                "note",
            )
        )
    if card.whole_texts:
        told = "A length is a maximum for this task: shorter texts, read whole, are normal."
        blocks.append(Text(told, "note"))
    blocks += [Text(f"Finding in the data: {line}.", "warning") for line in card.findings]
    return blocks


def _metric(card: Card) -> str:
    name = card.texts["metric"]
    metric = METRICS.get(name)
    if metric is None:
        return f"metric: {name}" if name else ""
    return (
        f"metric: {metric.label}"
        + (f" in {metric.unit}" if metric.unit else "")
        + (", the lower the better" if metric.lower else "")
    )


def _answer(card: Card, columns: tuple[list[Column], ...]) -> str:
    """How the stronger baseline moves from the shortest to the longest length."""
    first, last = card.rows[0], card.rows[-1]
    if len(card.rows) < 2:
        return f"It was looked at with {first.length} tokens only: nothing can be said of length."
    parts = []
    for own in reversed(columns):
        column = max(own, key=lambda c: len(c.values), default=None)
        if column is None or len(column.values) < 2:
            continue
        low, high = min(column.values), max(column.values)
        a, b = column.values[low], column.values[high]
        moved = f"goes from {share(a)} to {share(b)} ({signed(b - a)})"
        told = f"{column.name} " + (moved if share(a) != share(b) else f"stays at {share(a)}")
        whole = (low, high) == (first.length, last.length)
        parts.append(told + ("" if whole else f" between {low} and {high}"))
    told = listed(parts) or "no baseline was measured"
    cut = ""
    if first.truncated is not None and last.truncated is not None:
        cut = (
            f"; {percent(first.truncated)} of the test texts are cut at {first.length} tokens, "
            f"{percent(last.truncated)} at {last.length}"
        )
    return f"From {first.length} to {last.length} tokens {told}{cut}."


def _by_length(card: Card, where: str, columns: tuple[list[Column], ...]) -> Table:
    shown = [column for own in columns for column in own]
    rows: list[list[Entry]] = [
        [
            f"{row.length}",
            "" if row.truncated is None else percent(row.truncated),
            *(share(column.values.get(row.length)) for column in shown),
        ]
        for row in card.rows
    ]
    head = ["Length (tokens)", "Test texts cut", *(column.name for column in shown)]
    metric = METRICS.get(card.texts["metric"])
    unit = f" (in {metric.unit})" if metric and metric.unit else ""
    whose = f" in tokens of {card.backbone}" if card.backbone else ""
    caption = f"{card.name}{where}: what is cut, and the baselines{unit}, at each length{whose}"
    return Table(caption, head, rows, frozenset(head[1:]))


def _balance(card: Card, where: str) -> Table:
    """Examples and the share of each label, by split."""
    splits = list(card.examples)
    rows: list[list[Entry]] = [["examples", *(f"{card.examples[s]:,}" for s in splits)]]
    names = list(dict.fromkeys(label for part in card.labels.values() for label in part))
    totals = {name: sum(part.get(name, 0) for part in card.labels.values()) for name in names}
    if len(names) > _LABELS:
        names = sorted(names, key=lambda name: -totals[name])[:_LABELS]

    def told(split: str, count: int | None) -> str:
        counted = card.counted.get(split, 0)
        return "" if count is None or not counted else percent(count / counted)

    for name in names:
        rows.append([name, *(told(s, card.labels.get(s, {}).get(name)) for s in splits)])
    if len(totals) > len(names):
        others = [
            sum(n for label, n in card.labels.get(s, {}).items() if label not in names)
            for s in splits
        ]
        left = f"{len(totals) - len(names)} other labels, together"
        rows.append([left, *map(told, splits, others)])
    part = any(card.counted.get(s, 0) < card.examples[s] for s in splits) and bool(names)
    most = max((card.counted.get(s, 0) for s in splits), default=0)
    caption = f"{card.name}{where}: examples" + (" and label balance" if names else "") + (
        f" (labels of the first {most:,} examples of a split)" if part else ""
    )  # fmt: skip
    return Table(caption, ["", *splits], rows, frozenset(splits), folded=bool(names))
