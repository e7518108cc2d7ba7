"""Rules for joining the cells of several run folders.

Scores join if task, data version, backbone, version of its weights, number format and protocol
version agree; costs join if the device and the machine agree too. Arms with different settings get
different labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

from harness.core.methods import BASELINES, TFIDF, ZERO_SHOT
from harness.core.values import number
from reports.frame import Result, Run

Conditions = tuple[tuple[str, str], ...]
"""What must agree: (name, value) pairs."""

UNKNOWN = "not recorded"
"""The value of a field that a file lacks: such files join with each other."""

DATA = "data version"
_SCORES = (
    (DATA, "task_revision"),
    ("version of the weights", "backbone_revision"),
    ("number format", "dtype"),
    ("protocol version", "protocol"),
)
MACHINE = ("cpu", "cores", "memory_gib", "platform", "gpu", "python", "torch", "transformers",
           "peft", "numpy")  # fmt: skip
"""The machine of a cost: hardware, system and libraries. The commit is not part of it: it changes
with every document."""
HARDWARE = ("device", "cpu", "cores", "memory_gib", "gpu")
"""The part of the conditions of a cost that no update of software changes."""

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
"""Settings of a sweep as a whole: if they differ, the labels of all arms name them."""
OF_SCORES = frozenset(name for name, _ in SETTINGS)
OF_MODELS = OF_SCORES - {"test_examples"}
"""For values of lm-eval, which has test texts of its own."""
OF_COSTS = frozenset({"batch_size"})
_OF_BASELINES = {
    TFIDF: frozenset({"examples", "test_examples"}),
    ZERO_SHOT: frozenset({"test_examples"}),
}
"""The settings that decide the score of a baseline."""
_STATUS_RANK = {"ok": 0, "diverged": 1}
"""A score counts before a divergence; both count before failures by time, memory or machine."""


def score_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: the conditions of its scores.

    A value that a cell lacks (a failed cell may) is taken from the other cells if they agree.
    """
    return _filled(run, lambda r: [(name, _value(r, column)) for name, column in _SCORES])


def evaluation_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: the conditions of values of lm-eval; versions of its tasks are among them."""
    more = (("tasks of lm-eval", "lm_eval"), ("examples of lm-eval", "evaluation_examples"))
    return _filled(run, lambda r: [(name, _value(r, column)) for name, column in (*_SCORES, *more)])


def cost_conditions(run: Run) -> dict[str, Conditions]:
    """By cell id: the conditions of its costs. A machine that is not recorded joins no other."""

    def pairs_of(r: Result) -> list[tuple[str, str]]:
        own = [(name, _value(r, column)) for name, column in _SCORES]
        own = [pair for pair in own if r["kind"] == "train" or pair[0] != DATA]
        head = (
            "of the language model" if r["settings"].get("uses_lm_head") == "True" else "classifier"
        )
        own += [("device", _value(r, "device")), ("head", head)]
        return own + [(name, _machine(r, name)) for name in MACHINE]

    found = _filled(run, pairs_of)
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
    """Return the cells with labels that name the settings that arms do not share.

    Settings of a sweep differ if cells of one length have several values, or if folders without a
    common length have different values. Learning rates differ if folders tried different rates for
    an arm: then each rate is an arm.

    Args:
        results: cells of one group.
        settings: the settings that matter here.
        baselines: the TF-IDF baselines of the whole report for this task, which get equal labels.

    Returns:
        Rows with `plain_arm` (the label before), `arm_settings` (settings of the sweep in the
        label) and `arm_suffix` (all that the label adds, target and rate included).
    """
    arms = [r for r in results if r["method"] != TFIDF]
    linear = [r for r in results if r["method"] == TFIDF]
    differing = {
        False: _differing(arms, settings),
        True: _differing([*linear, *baselines], settings),
    }
    targets = _arms_where(results, lambda own: len({r["settings"].get("target") for r in own}) > 1)
    rates = set() if settings == OF_COSTS else _arms_where(results, _other_rates)
    found = []
    for r in results:
        own = differing[r["method"] == TFIDF]
        parts = [
            text.format(r["settings"][name])
            for name, text in SETTINGS
            if name in own and name in r["settings"] and _applies(name, r, settings)
        ]
        shared = ", ".join(parts)
        if r["arm"] in targets and "target" in r["settings"]:
            parts.append(f"target {r['settings']['target']}")
        if r["arm"] in rates and r["lr"] is not None:
            parts.append(f"lr {r['lr']:g}")
        label = f"{r['arm']} ({', '.join(parts)})" if parts else r["arm"]
        added = ", ".join(parts)
        found.append(
            r.changed(arm=label, plain_arm=r["arm"], arm_settings=shared, arm_suffix=added)
        )
    return found


def counted_once(
    results: Sequence[Result],
) -> tuple[list[Result], list[tuple[Result, Result]]]:
    """Return cells without duplicates between folders, and (kept, left out) for duplicates.

    Duplicates have the same arm, length, seed and learning rate. A score counts before a failure;
    among equals, the folder that was given first counts.
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
    """Whether a baseline and an arm had as many texts, so that they can be compared."""
    names = _OF_BASELINES.get(str(reference["method"]), frozenset())
    return all(reference["settings"].get(name) == arm["settings"].get(name) for name in names)


def outcome_rank(result: Result) -> int:
    """The rank of an outcome; of two outcomes of one cell the lower rank counts."""
    return _STATUS_RANK.get(str(result["status"]), 2)


def _filled(
    run: Run, conditions: Callable[[Result], list[tuple[str, str]]]
) -> dict[str, Conditions]:
    """The conditions of each cell, unknown values filled in from the other cells of the run."""
    own: dict[str, list[tuple[str, str]]] = {str(r["id"]): conditions(r) for r in run.results}
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
    """Data versions belong to a task, all other conditions to the run."""
    return str(result["task"] or "") if name == DATA else ""


def _value(result: Result, column: str) -> str:
    value = result["settings"].get(column, result.get(column))
    return UNKNOWN if value is None else str(value).removesuffix(" autocast")


def _machine(result: Result, name: str) -> str:
    value = result["environment"].get(name)
    if name == "memory_gib" and value is not None:  # kernels reserve slightly different amounts
        try:
            amount = number(float(value))
        except ValueError:
            amount = None
        return value if amount is None else f"{amount:.0f}"
    return UNKNOWN if value is None else value


def _applies(name: str, result: Result, settings: frozenset[str]) -> bool:
    return name in settings and name in _OF_BASELINES.get(str(result["method"]), {name})


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
        if name in r["settings"]:
            values[str(r["run"])][int(r["length"])].add(r["settings"][name])
            lengths[int(r["length"])].add(r["settings"][name])
    if any(len(found) > 1 for found in lengths.values()):
        return True
    return any(
        not a.keys() & b.keys() and set().union(*a.values()) != set().union(*b.values())
        for a, b in combinations(values.values(), 2)
    )


def _arms_where(results: Sequence[Result], differ: Callable[[Sequence[Result]], bool]) -> set[str]:
    arms: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        if r["method"] not in BASELINES:
            arms[str(r["arm"])].append(r)
    return {arm for arm, own in arms.items() if differ(own)}


def _other_rates(cells: Sequence[Result]) -> bool:
    rates: dict[str, set[float]] = defaultdict(set)
    for r in cells:
        if r["lr"] is not None:
            rates[str(r["run"])].add(float(r["lr"]))
    return len({frozenset(own) for own in rates.values()}) > 1
