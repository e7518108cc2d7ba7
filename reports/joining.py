"""When cells of several run folders are one set of results, and which of two equal cells counts.

Scores join where task, data version, backbone, version of its weights, number format and protocol
version agree; costs where the device and the machine agree as well. Within them, arms are told
apart by the settings that they do not share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from harness.core.values import number
from reports.files import BASE, BASELINE, REFERENCES, Result, Run

Conditions = tuple[tuple[str, str], ...]
"""What must agree: names and values."""

UNKNOWN = "not recorded"
"""The value of what a file does not hold: files without it join with others without it."""

DATA = "data version"
_SCORES = (
    (DATA, "task_revision"),
    ("version of the weights", "backbone_revision"),
    ("number format", "dtype"),
    ("protocol version", "protocol"),
)
MACHINE = ("cpu", "cores", "memory_gib", "platform", "gpu", "python", "torch", "transformers",
           "peft", "numpy")  # fmt: skip
"""The machine of a cost: what computes and holds the memory, and the libraries that decide how.
The commit is none of it: it changes with every document, and changes of outcomes raise it."""

SETTINGS = (
    ("examples", "train {}"),
    ("test_examples", "test {}"),
    ("epochs", "epochs {}"),
    ("batch_size", "batch {}"),
    ("warmup", "warmup {}"),
    ("weight_decay", "decay {}"),
    ("clip", "clip {}"),
    ("dropout", "dropout {}"),
)
"""Settings that belong to a sweep as a whole: where they differ, every arm is labelled."""
OF_SCORES = frozenset(name for name, _ in SETTINGS)
OF_MODELS = OF_SCORES - {"test_examples"}
"""Of what lm-eval says of a trained model: it has test texts of its own."""
OF_COSTS = frozenset({"batch_size"})
_OF_REFERENCES = {BASELINE: frozenset({"examples", "test_examples"}), BASE: {"test_examples"}}
"""What decides the score of a method that is not trained as arms are."""
_STATUS_RANK = {"ok": 0, "diverged": 1}
"""A score before a divergence, and both before failures that time, memory or machine decide."""


def score_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: what the scores of this run rest on.

    What a cell does not say, as a failed one may not, is taken from the run's others where they
    agree.
    """
    return _filled(run, lambda r: [(name, _told(r, column)) for name, column in _SCORES])


def evaluation_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: what values of lm-eval rest on; they differ by the tasks that were asked, too."""
    more = (("tasks of lm-eval", "lm_eval"), ("examples of lm-eval", "evaluation_examples"))
    return _filled(run, lambda r: [(name, _told(r, column)) for name, column in (*_SCORES, *more)])


def cost_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: what the costs of this run rest on. A machine that is not recorded is its own."""

    def told(r: Result) -> list[tuple[str, str]]:
        own = [(name, _told(r, column)) for name, column in _SCORES]
        own = [pair for pair in own if r["kind"] == "train" or pair[0] != DATA]
        head = "of the language model" if r.asked.get("uses_lm_head") == "True" else "classifier"
        own += [("device", _told(r, "device")), ("head", head)]
        return own + [(name, _machine(r, name)) for name in MACHINE]

    found = _filled(run, told)
    needed = {"cpu": "cpu", "cuda": "gpu"}
    for cell_id, conditions in found.items():
        known = dict(conditions)
        for name in {"cpu", needed.get(known["device"], "cpu")}:
            if known[name] == UNKNOWN:
                known[name] = f"{UNKNOWN} in {run.name}"
        found[cell_id] = tuple(known.items())
    return found


def labelled(
    results: Sequence[Result],
    settings: frozenset[str] = OF_SCORES,
    baselines: Sequence[Result] = (),
) -> list[Result]:
    """The same cells; where arms do not share their settings, these stand in their labels.

    A sweep's settings differ where cells of one length have several values of one, or folders
    without a common length have different ones. Learning rates differ where folders tried
    different ones for an arm: then each rate is an arm. `settings`: those that matter here.
    `baselines`: the linear baselines of the whole report for this task, which are labelled alike
    wherever they stand. Rows get `plain_arm`, the label before, `settings`, those of the sweep that
    are in the label, and `brackets`, all that the label adds, target and rate included.
    """
    arms = [r for r in results if r["method"] != BASELINE]
    linear = [r for r in results if r["method"] == BASELINE]
    differing = {
        False: _differing(arms, settings),
        True: _differing([*linear, *baselines], settings),
    }
    targets = _arms_where(results, lambda own: len({r.asked.get("target") for r in own}) > 1)
    rates = set() if settings == OF_COSTS else _arms_where(results, _other_rates)
    found = []
    for r in results:
        own = differing[r["method"] == BASELINE]
        parts = [
            text.format(r.asked[name])
            for name, text in SETTINGS
            if name in own and name in r.asked and _applies(name, r, settings)
        ]
        shared = ", ".join(parts)
        if r["arm"] in targets and "target" in r.asked:
            parts.append(f"target {r.asked['target']}")
        if r["arm"] in rates and r["lr"] is not None:
            parts.append(f"lr {r['lr']:g}")
        label = f"{r['arm']} ({', '.join(parts)})" if parts else r["arm"]
        more = {"arm": label, "plain_arm": r["arm"], "settings": shared}
        more["brackets"] = ", ".join(parts)
        found.append(replace(r, row={**r.row, **more}))
    return found


def counted_once(
    results: Sequence[Result],
) -> tuple[list[Result], list[tuple[Result, Result]]]:
    """Cells of which no two folders have the same, and (kept, left out) for those that both had.

    The same is the same id, or the same arm, length, seed and learning rate. A score counts before
    a failure; of two alike, that of the folder which was given first.
    """
    runs = list(dict.fromkeys(str(r["run"]) for r in results))
    same: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for r in results:
        same[r["kind"], r["arm"], r["length"], r["seed"], r["lr"]].append(r)
    kept: set[int] = set()
    repeated: list[tuple[Result, Result]] = []
    for cells in same.values():
        first = min(cells, key=lambda r: (outcome_rank(r), runs.index(str(r["run"]))))
        kept |= {id(r) for r in cells if r["run"] == first["run"]}
        repeated += [(first, r) for r in cells if r["run"] != first["run"]]
    return [r for r in results if id(r) in kept], repeated


def same_texts(reference: Result, arm: Result) -> bool:
    """Whether a reference was given as many texts as an arm, so that one is held to the other."""
    names = _OF_REFERENCES.get(str(reference["method"]), frozenset())
    return all(reference.asked.get(name) == arm.asked.get(name) for name in names)


def outcome_rank(result: Result) -> int:
    """Which of two outcomes of one cell counts: the lower."""
    return _STATUS_RANK.get(str(result["status"]), 2)


def _filled(run: Run, told: Callable[[Result], list[tuple[str, str]]]) -> dict[str, Conditions]:
    """The conditions of each cell; what is unknown is that of the run's cells of its group."""
    own: dict[str, list[tuple[str, str]]] = {str(r["id"]): told(r) for r in run.results}
    known: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for r in run.results:
        for name, value in own[r["id"]]:
            if value != UNKNOWN and r["in_sweep"]:
                known[_scope(name, r), str(r["backbone"] or ""), name].add(value)
    found = {}
    for r in run.results:
        pairs = []
        for name, value in own[r["id"]]:
            values = known[_scope(name, r), str(r["backbone"] or ""), name]
            pairs.append(
                (name, next(iter(values)) if value == UNKNOWN and len(values) == 1 else value)
            )
        found[str(r["id"])] = tuple(pairs)
    return found


def _scope(name: str, result: Result) -> str:
    """Data differ by task, all else does not."""
    return str(result["task"] or "") if name == DATA else ""


def _told(result: Result, column: str) -> str:
    value = result.asked.get(column, result.row.get(column))
    return UNKNOWN if value is None else str(value).removesuffix(" autocast")


def _machine(result: Result, name: str) -> str:
    value = result.environment.get(name)
    if name == "memory_gib" and value is not None:  # a kernel keeps a little more or less of it
        try:
            amount = number(float(value))
        except ValueError:
            amount = None
        return value if amount is None else f"{amount:.0f}"
    return UNKNOWN if value is None else value


def _applies(name: str, result: Result, settings: frozenset[str]) -> bool:
    return name in settings and name in _OF_REFERENCES.get(str(result["method"]), {name})


def _differing(cells: Sequence[Result], settings: frozenset[str]) -> set[str]:
    """The settings that these cells do not share."""
    return {
        name
        for name, _ in SETTINGS
        if _differs([r for r in cells if _applies(name, r, settings)], name)
    }


def _differs(cells: Sequence[Result], name: str) -> bool:
    values: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    lengths: dict[int, set[str]] = defaultdict(set)
    for r in cells:
        if name in r.asked:
            values[str(r["run"])][int(r["length"])].add(r.asked[name])
            lengths[int(r["length"])].add(r.asked[name])
    if any(len(found) > 1 for found in lengths.values()):
        return True
    return any(
        not a.keys() & b.keys() and set().union(*a.values()) != set().union(*b.values())
        for a, b in combinations(values.values(), 2)
    )


def _arms_where(results: Sequence[Result], differ: Callable[[Sequence[Result]], bool]) -> set[str]:
    arms: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        if r["method"] not in REFERENCES:
            arms[str(r["arm"])].append(r)
    return {arm for arm, own in arms.items() if differ(own)}


def _other_rates(cells: Sequence[Result]) -> bool:
    rates: dict[str, set[float]] = defaultdict(set)
    for r in cells:
        if r["lr"] is not None:
            rates[str(r["run"])].add(float(r["lr"]))
    return len({frozenset(own) for own in rates.values()}) > 1
