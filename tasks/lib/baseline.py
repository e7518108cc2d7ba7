"""The baseline beside every accuracy: does a linear model on words do as well?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tasks.base import WRITING, TaskMetadata

Target = int | tuple[int, ...] | str | tuple[str, ...] | None


def baseline(
    metadata: TaskMetadata,
    train_texts: Sequence[str],
    train_targets: Sequence[Target],
    texts: Sequence[str],
) -> list[Target]:
    """Answers for `texts` by a linear model on words, whatever the task's family.

    A choice's texts are its rows, text with question and answer, the rows of an example one after
    the other: the row that looks most like a right one is the answer. Several labels: one model
    each. An answer to be written is that of the training text with the most similar words.
    """
    if metadata.family == "generation":
        return _nearest(train_texts, train_targets, texts)
    if metadata.family == "multilabel":
        sets = [set(t) if isinstance(t, tuple) else {t} for t in train_targets]
        said = [
            tfidf_baseline(train_texts, [int(label in s) for s in sets], texts)
            for label in range(len(metadata.labels))
        ]
        return [tuple(k for k, column in enumerate(said) if column[i]) for i in range(len(texts))]
    if metadata.family == "choice":
        rows = len(train_texts) // max(1, len(train_targets))
        right = [int(k == target) for target in train_targets for k in range(rows)]
        likely = _fit(train_texts, right, texts, 200_000)[:, 1]
        return [int(best) for best in likely.reshape(-1, rows).argmax(1)]
    labels = [t for t in train_targets if isinstance(t, int)]
    return list(tfidf_baseline(train_texts, labels, texts))


def best_constant(metadata: TaskMetadata, targets: Sequence[Target]) -> float | None:
    """The score of the best constant answer on these targets, in the task's own metric.

    Accuracy: the share of the most frequent label, for a choice of the most frequent place of the
    right answer. Micro-averaged F1: the best set of labels, given to every text. For a set of k
    labels the denominator is fixed, so the k most frequent labels are the best of them. None
    where text is read or written, and where there is no target.
    """
    if metadata.family in WRITING or not targets:
        return None
    if metadata.family != "multilabel":
        return Counter(targets).most_common(1)[0][1] / len(targets)
    counts = Counter(label for t in targets for label in (t if isinstance(t, tuple) else ()))
    total, best, found = counts.total(), 0.0, 0
    for size, (_, count) in enumerate(counts.most_common(), 1):
        found += count
        best = max(best, 2 * found / (size * len(targets) + total))
    return best


def tfidf_baseline(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    texts: Sequence[str],
    *,
    max_features: int = 200_000,
) -> list[int]:
    """Labels for `texts` by TF-IDF of words and logistic regression, the same at every call.

    scikit-learn's defaults but for sublinear counts and C = 10, which were not tuned to any task
    here. A word is a run of letters, digits and underscores, or one other character, so that code
    is cut into its identifiers and operators. Training texts of one label: that label for all.
    """
    if len(set(train_labels)) == 1:
        return [train_labels[0]] * len(texts)
    if not texts:
        return []
    classes = sorted(set(train_labels))
    return [classes[k] for k in _fit(train_texts, train_labels, texts, max_features).argmax(1)]


def _nearest(
    train_texts: Sequence[str], train_targets: Sequence[Target], texts: Sequence[str]
) -> list[Target]:
    """The first right answer of the training text whose TF-IDF vector has the largest cosine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if not texts:
        return []
    firsts = [t[0] if isinstance(t, tuple) and t else "" for t in train_targets]
    if not _has_words(train_texts):
        return [firsts[0]] * len(texts)
    words = _vectorizer(200_000)
    best: list[int] = []
    with threadpool_limits(1):
        known = words.fit_transform(train_texts).T
        vectors = words.transform(texts)
        for start in range(0, len(texts), 256):  # the product is nearly dense
            best += [int(row.argmax()) for row in vectors[start : start + 256] @ known]
    return [firsts[k] for k in best]


def _fit(
    train_texts: Sequence[str], train_labels: Sequence[int], texts: Sequence[str], features: int
) -> Any:
    """Probabilities of shape (texts, labels that occur, rising)."""
    if not _has_words(train_texts):  # then the most frequent label is the best answer
        import numpy as np

        shares = [train_labels.count(label) for label in sorted(set(train_labels))]
        return np.tile(np.array(shares) / len(train_labels), (len(texts), 1))
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    words = _vectorizer(features)
    model = LogisticRegression(C=10, max_iter=1000, random_state=0)
    with threadpool_limits(1):
        model.fit(words.fit_transform(train_texts), train_labels)
        return model.predict_proba(words.transform(texts))


def _has_words(texts: Sequence[str]) -> bool:
    return any(text and not text.isspace() for text in texts)


def _vectorizer(features: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        token_pattern=r"\w+|[^\w\s]",  # noqa: S106  # a pattern of words, no password
        max_features=features,
    )
