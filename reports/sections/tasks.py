"""Statistics of the tasks' data, and baselines by length: does a task need its length?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.core.card import TaskCard, read_cards
from harness.core.methods import TFIDF
from harness.core.metrics import METRICS
from reports.blocks import Block, Entry, Table, Text, joined, percent, score_text, section, span
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.accuracy import constant_points
from reports.seeds import by_arm_and_length

_LABELS = 12
"""Labels of a task that are listed; the others are summed up."""
_CONSTANT = "best constant answer"
_LINEAR = "TF-IDF"


@section(order=80, anchor="tasks", title="Tasks and their baselines by length")
def tasks(report: Report) -> list[Block]:
    """One part for each task card; cards that cannot be used are named."""
    blocks: list[Block] = []
    cards: list[tuple[str, TaskCard]] = []
    for run in report.runs:
        found, broken = read_cards(run.path)
        for card in found:
            _add(cards, run.name, card, report.training)
        if broken:
            names = "; ".join(f"{name} ({reason})" for name, reason in broken)
            blocks.append(Text(f"{run.name}: task cards that cannot be used: {names}.", "warning"))
    if cards:
        blocks.append(
            Text(
                "Baselines read the same truncated texts as the arms. A baseline that improves "
                "with length shows relevant information beyond the prefix."
            )
        )
    titles = [card.name for _, card in cards]
    for run_name, card in cards:
        where = f" ({run_name})" if titles.count(card.name) > 1 else ""
        blocks += _blocks(card, where, baseline_columns(card, run_name, report.training))
    return blocks


def _add(
    cards: list[tuple[str, TaskCard]], run: str, card: TaskCard, training: Sequence[Group]
) -> None:
    """Add a card. A card of a joined run that differs only in its lengths is merged."""
    for place, (name, known) in enumerate(cards):
        if card == known:
            return
        rows = {row.length: row for row in (*card.rows, *known.rows)}
        same = card.model_copy(update={"rows": []}) == known.model_copy(update={"rows": []})
        joined_runs = any(g.key.task == card.name and {run, name} <= {*g.runs} for g in training)
        if same and joined_runs and all(rows[row.length] == row for row in card.rows):
            every = [rows[length] for length in sorted(rows)]
            cards[place] = (name, known.model_copy(update={"rows": every}))
            return
    cards.append((run, card))


@dataclass(frozen=True)
class Column:
    """A baseline: its heading and its score by length."""

    name: str
    values: dict[int, float]


def baseline_columns(card: TaskCard, run: str, training: Sequence[Group]) -> list[Column]:
    """The columns of both baselines of a card.

    Values come from the cells of the groups that the run belongs to. At lengths without cells they
    come from the card, in a column that names its number of training texts.
    """
    groups = [
        g for g in training
        if g.key.task == card.name and run in g.runs and card.backbone in ("", g.key.backbone)
    ]  # fmt: skip
    lengths = {row.length for row in card.rows}
    constant = [Column(_CONSTANT, constant_points(g.results)) for g in groups]
    linear = [column for g in groups for column in _linear(g)]
    majority, tfidf = card.baselines
    texts = sorted({row.train_texts for row in card.rows if row.train_texts is not None})
    if texts and tfidf.startswith(_LINEAR):
        tfidf += f" ({span([f'{n:,}' for n in texts])} training texts)"
    found: list[Column] = []
    for own, name, values in (
        (constant, majority, {row.length: row.majority for row in card.rows}),
        (linear, tfidf, {row.length: row.tfidf for row in card.rows}),
    ):
        kept = [Column(c.name, {n: v for n, v in c.values.items() if n in lengths}) for c in own]
        kept = [column for column in kept if column.values]
        known = {length for column in kept for length in column.values}
        rest = {n: v for n, v in values.items() if v is not None and n not in known}
        found += kept + ([Column(name, rest)] if rest or not kept else [])
    return found


def _linear(group: Group) -> list[Column]:
    """The TF-IDF baselines of a group, named by their training texts."""
    found = []
    cells = [r for r in group.results if r["method"] == TFIDF and r.ok and r["score"] is not None]
    for arm, lengths in by_arm_and_length(cells).items():
        shown = {p.length: p.value for p in group.points.get(arm, [])}
        values = {
            n: shown.get(n, fmean(float(r["score"]) for r in own)) for n, own in lengths.items()
        }
        own_cells = [r for r in cells if r["arm"] == arm]
        texts = sorted({int(r["examples"]) for r in own_cells if r["examples"]})
        extra = [p for p in _suffix(own_cells[0]).split(", ") if p and not p.startswith("train ")]
        about = ", ".join(
            [*([f"{span([f'{n:,}' for n in texts])} training texts"] if texts else []), *extra]
        )
        plain = str(own_cells[0].get("plain_arm", arm))
        found.append(Column(f"{plain} ({about})" if about else plain, values))
    return found


def _suffix(cell: Result) -> str:
    return str(cell.get("arm_suffix") or "")


def _blocks(card: TaskCard, where: str, columns: Sequence[Column]) -> list[Block]:
    title = joined(card.name, card.title, by=": ")
    metric = METRICS.get(card.metric)
    direction = "" if metric is None or metric.higher_is_better else " (lower is better)"
    unit = f" in {metric.unit}" if metric and metric.unit else ""
    label = metric.label if metric else card.metric
    facts: list[tuple[str, str]] = [
        ("Type", card.family.replace("_", " ")),
        ("Metric", f"{label}{unit}{direction}" if label else ""),
        ("Source", card.source),
        ("Revision", card.revision),
        ("Licence", card.licence),
        ("Citation", card.citation),
        ("Lengths", "maximum: shorter texts are whole" if card.whole_texts else ""),
        ("Tokens of a test text", ", ".join(f"{k} {v:,}" for k, v in card.tokens.items())),
    ]
    if {"shared", "tested", "trained"} <= card.shared.keys():
        shared = card.shared
        text = f"{shared['shared']:,} of {shared['tested']:,} test texts"
        facts.append(
            ("Copies or near-duplicates in train", f"{text} ({shared['trained']:,} searched)")
        )
    facts += [(f"Training example, {key}", text) for key, text in card.example.items()]
    blocks: list[Block] = [Text(title + where, "heading")]
    blocks += [Text(card.description)] if card.description else []
    blocks.append(_by_length(card, where, columns))
    rows = [[name, text] for name, text in facts if text]
    blocks.append(Table(f"{card.name}{where}: data", ["", "Value"], rows, folded=True))
    blocks += [_balance(card, where)] if card.examples else []
    blocks += [Text(f"Finding in the data: {line}.", "warning") for line in card.findings]
    return blocks


def _by_length(card: TaskCard, where: str, columns: Sequence[Column]) -> Table:
    rows: list[list[Entry]] = [
        [
            f"{row.length}",
            "" if row.truncated is None else percent(row.truncated),
            *(score_text(column.values.get(row.length)) for column in columns),
        ]
        for row in card.rows
    ]
    head = ["Length (tokens)", "Test texts cut", *(column.name for column in columns)]
    metric = METRICS.get(card.metric)
    unit = f" (in {metric.unit})" if metric and metric.unit else ""
    tokens = f", in tokens of {card.backbone}" if card.backbone else ""
    caption = f"{card.name}{where}: truncated test texts and baselines{unit} by length{tokens}"
    return Table(caption, head, rows, frozenset(head[1:]))


def _balance(card: TaskCard, where: str) -> Table:
    """Examples and the share of each label, by split."""
    splits = list(card.examples)
    rows: list[list[Entry]] = [["examples", *(f"{card.examples[s]:,}" for s in splits)]]
    names = list(dict.fromkeys(label for part in card.labels.values() for label in part))
    totals = {name: sum(part.get(name, 0) for part in card.labels.values()) for name in names}
    if len(names) > _LABELS:
        names = sorted(names, key=lambda name: -totals[name])[:_LABELS]

    def share(split: str, count: int | None) -> str:
        counted = card.counted.get(split, 0)
        return "" if count is None or not counted else percent(count / counted)

    for name in names:
        rows.append([name, *(share(s, card.labels.get(s, {}).get(name)) for s in splits)])
    if len(totals) > len(names):
        others = [
            sum(n for label, n in card.labels.get(s, {}).items() if label not in names)
            for s in splits
        ]
        rows.append([f"{len(totals) - len(names)} other labels", *map(share, splits, others)])
    part = any(card.counted.get(s, 0) < card.examples[s] for s in splits) and bool(names)
    most = max((card.counted.get(s, 0) for s in splits), default=0)
    caption = joined(
        f"{card.name}{where}: examples{' and label balance' if names else ''}",
        f"labels of the first {most:,} examples of a split" if part else "",
        by=", ",
    )
    return Table(caption, ["", *splits], rows, frozenset(splits), folded=bool(names))
