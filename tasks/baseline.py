"""The baseline beside every accuracy: does a linear model on words do as well?"""

from __future__ import annotations

from collections.abc import Sequence


def tfidf_baseline(
    train_texts: Sequence[str], train_labels: Sequence[int], texts: Sequence[str]
) -> list[int]:
    """Labels for `texts` by TF-IDF of words and logistic regression (scikit-learn's defaults but
    for sublinear counts and C = 10, which were not tuned to any task here).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+", max_features=200_000)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(words.fit_transform(train_texts), train_labels)
    return [int(label) for label in model.predict(words.transform(texts))]
