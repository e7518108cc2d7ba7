"""Each metric against its definition, scikit-learn or SciPy; bounds, intervals and registration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.preprocessing import MultiLabelBinarizer

from harness.core.metrics import METRICS, Metric, bootstrap, common_metric, register

CLASSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)
LABELS = st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s)))


@given(CLASSES)
def test_scores_of_classes_equal_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    predicted, targets = ([p[k] for p in pairs] for k in (0, 1))
    macro = f1_score(targets, predicted, average="macro", zero_division=0)
    assert METRICS["macro_f1"].score(predicted, targets) == float(macro)
    expected = matthews_corrcoef(targets, predicted)
    assert METRICS["matthews"].score(predicted, targets) == pytest.approx(expected)
    accuracy = sum(p == y for p, y in pairs) / len(pairs)
    assert METRICS["accuracy"].score(predicted, targets) == accuracy


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_micro_f1_equals_scikit_learns(
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    predicted, targets = ([p[k] for p in pairs] for k in (0, 1))
    marks = MultiLabelBinarizer(classes=[0, 1, 2])
    marks.fit([])
    one, other = marks.transform(targets), marks.transform(predicted)
    expected = f1_score(one, other, average="micro", zero_division=0)
    assert METRICS["micro_f1"].score(predicted, targets) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(-4, 4), st.floats(-5, 5)), min_size=3, max_size=30))
def test_correlations_equal_scipys(pairs: list[tuple[int, float]]) -> None:
    predicted, targets = ([round(float(p[k]), 2) for p in pairs] for k in (0, 1))
    if len(set(predicted)) < 2 or len(set(targets)) < 2:
        expected = (0.0, 0.0)  # SciPy returns NaN for a constant column
    else:
        expected = (spearmanr(predicted, targets)[0], pearsonr(predicted, targets)[0])
    found = [METRICS[name].score(predicted, targets) for name in ("spearman", "pearson")]
    assert found == pytest.approx(expected, abs=1e-9)


def test_negative_scores_have_an_interval() -> None:
    targets = [k % 2 for k in range(60)]
    predicted = [1 - y if k % 5 else y for k, y in enumerate(targets)]
    numbers = [float(-k) + 20 * (k % 3) for k in range(60)]
    for name, given_ in (("matthews", predicted), ("spearman", numbers), ("pearson", numbers)):
        truth = targets if name == "matthews" else [*range(60)]
        score, low, high = METRICS[name].score_with_interval(given_, truth)
        assert -1 <= low < score < high < 0, name
        assert METRICS[name].worst == METRICS[name].low == -1


def test_accuracy_has_wilsons_interval() -> None:
    score, low, high = METRICS["accuracy"].score_with_interval([0, 1, 1, 2], [0, 1, 2, 2])
    assert score == 0.75
    assert low == pytest.approx(0.3006, abs=1e-4)  # Wilson (1927), by hand
    assert high == pytest.approx(0.9544, abs=1e-4)


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, (400, 1))
    low, high = bootstrap(values, lambda rows: rows.sum(1)[:, 0] / 400)
    middle, half = float(values.mean()), 1.96 * float(values.std()) / 20
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.02)


def test_loss_is_the_mean_over_tokens() -> None:
    rows = [(6.0, 3), (1.0, 1), (0.0, 0)]
    assert METRICS["loss"].score(rows, rows) == 7 / 4
    assert METRICS["loss"].example_scores(rows, rows) == [2.0, 1.0, 0.0]
    assert METRICS["loss"].rank(1.0) > METRICS["loss"].rank(2.0)
    assert METRICS["loss"].worst == math.inf


@pytest.mark.parametrize(
    ("text", "answer", "exact", "rouge"),
    [
        ("The cat!", "cat", 1.0, 2 / 3),
        ("a dog and a cat", "a cat and a dog", 0.0, 0.6),  # "a and a" is the longest in order
        ("dogs running", "dog run", 0.0, 1.0),  # stems
        ("", "x", 0.0, 0.0),
    ],
)
def test_text_scores_by_hand(text: str, answer: str, exact: float, rouge: float) -> None:
    assert METRICS["exact_match"].score([text], [(answer,)]) == exact
    assert METRICS["rouge_l"].score([text], [answer]) == pytest.approx(rouge)


def test_the_best_right_answer_counts() -> None:
    found = METRICS["exact_match"].example_scores(["b", "c"], [("a", "b"), ()])
    assert found == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "answer", "exact"),
    [("", "An", 0), ("the", "A", 0), ("an", "An", 1), ("?", "!", 0), ("the cat", "Cat.", 1)],
)
def test_an_answer_of_articles_only_equals_itself_only(text: str, answer: str, exact: int) -> None:
    assert METRICS["exact_match"].score([text], [answer]) == exact


@given(st.lists(st.sampled_from(["ab", "cd", "ef", "gh"]), min_size=1, max_size=12))
def test_a_text_equals_itself(parts: list[str]) -> None:
    text = " ".join(parts)
    assert METRICS["rouge_l"].score([text], [text]) == 1.0
    assert METRICS["exact_match"].score([text], [text]) == 1.0


def test_no_examples_score_0() -> None:
    assert {metric.score([], []) for metric in METRICS.values()} == {0.0}


def test_bounds_clip_an_interval() -> None:
    assert METRICS["accuracy"].clipped(-0.1, 1.2) == (0.0, 1.0)
    assert METRICS["matthews"].clipped(-0.1, 1.2) == (-0.1, 1.0)
    assert METRICS["loss"].clipped(-0.1, 1.2) == (0.0, 1.2)


def test_the_metric_of_several_scores() -> None:
    assert common_metric([]).name == "accuracy"
    assert common_metric(["loss", "loss"]) is METRICS["loss"]
    assert common_metric(["my_f1"]).label == "my-F1"
    mixed = common_metric(["accuracy", "matthews"])
    assert (mixed.low, mixed.high, mixed.label) == (-1.0, 1.0, "score")
    assert common_metric(["accuracy", "loss"]).high is None


def test_a_name_is_registered_once() -> None:
    taken = METRICS["accuracy"]
    with pytest.raises(ValueError, match="accuracy"):
        register(Metric("accuracy", "other", taken.rows, taken.statistic))
    assert METRICS["accuracy"] is taken


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1", "matthews", "pearson", "spearman"])
def test_values_by_text_have_the_mean_and_the_spread_of_the_score(name: str) -> None:
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 3, 300)
    predicted = np.where(draw.random(300) < 0.3, draw.integers(0, 3, 300), targets)
    metric = METRICS[name]
    values = np.array(metric.text_values(predicted.tolist(), targets.tolist()))
    score, low, high = metric.score_with_interval(predicted.tolist(), targets.tolist())
    assert values.mean() == pytest.approx(score)
    error = values.std(ddof=1) / math.sqrt(300)
    assert 3.92 * error == pytest.approx(high - low, rel=0.12)  # the bootstrap's interval
