"""Linear models on TF-IDF features of words: the baselines beside every score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FEATURES = 200_000
"""Words of a model, the most frequent ones."""


def tfidf_baseline(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    texts: Sequence[str],
    *,
    max_features: int = FEATURES,
) -> list[int]:
    """Return labels for `texts` by logistic regression, the same at every call.

    scikit-learn's defaults except sublinear counts and C = 10, which were not tuned on any task
    here. A word is a run of letters, digits and underscores, or one other character, so that code
    is split into its identifiers and operators. If all training texts have one label, every text
    gets it.
    """
    if len(set(train_labels)) == 1:
        return [train_labels[0]] * len(texts)
    if not texts:
        return []
    classes = sorted(set(train_labels))
    likely = fit_probabilities(train_texts, train_labels, texts, max_features)
    return [classes[k] for k in likely.argmax(1)]


def fit_probabilities(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    texts: Sequence[str],
    features: int = FEATURES,
) -> Any:
    """Return probabilities of shape (texts, labels that occur, rising)."""
    if not _has_words(train_texts):  # then the most frequent label is the best answer
        import numpy as np

        shares = [train_labels.count(label) for label in sorted(set(train_labels))]
        return np.tile(np.array(shares) / len(train_labels), (len(texts), 1))
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    words = _vectorizer(features)
    model = LogisticRegression(C=10, max_iter=1000, random_state=0)
    with threadpool_limits(1):
        model.fit(words.fit_transform(train_texts), train_labels)
        return model.predict_proba(words.transform(texts))


def ridge_baseline(
    train_texts: Sequence[str], train_values: Sequence[float], texts: Sequence[str]
) -> list[float]:
    """Return values for `texts` by ridge regression, with scikit-learn's default penalty.

    Without words in the training texts, every text gets the mean of the training values.
    """
    if not texts:
        return []
    if not _has_words(train_texts):
        return [sum(train_values) / max(1, len(train_values))] * len(texts)
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    words = _vectorizer(FEATURES)
    with threadpool_limits(1):
        model = Ridge(random_state=0).fit(words.fit_transform(train_texts), train_values)
        return [float(value) for value in model.predict(words.transform(texts))]


def nearest_texts(train_texts: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Return for each text the index of the training text with the largest TF-IDF cosine."""
    from threadpoolctl import threadpool_limits

    if not texts:
        return []
    if not _has_words(train_texts):
        return [0] * len(texts)
    words = _vectorizer(FEATURES)
    best: list[int] = []
    with threadpool_limits(1):
        known = words.fit_transform(train_texts).T
        vectors = words.transform(texts)
        for start in range(0, len(texts), 256):  # the product is nearly dense
            best += [int(row.argmax()) for row in vectors[start : start + 256] @ known]
    return best


def _has_words(texts: Sequence[str]) -> bool:
    return any(text and not text.isspace() for text in texts)


def _vectorizer(features: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        token_pattern=r"\w+|[^\w\s]",  # noqa: S106  # a pattern of words, no password
        max_features=features,
    )
