"""The baseline beside every accuracy: does a linear model on words do as well?"""

from __future__ import annotations

from collections.abc import Sequence


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
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(set(train_labels)) == 1:
        return [train_labels[0]] * len(texts)
    words = TfidfVectorizer(
        sublinear_tf=True,
        token_pattern=r"\w+|[^\w\s]",  # noqa: S106  # a pattern of words, no password
        max_features=max_features,
    )
    model = LogisticRegression(C=10, max_iter=1000, random_state=0)
    with threadpool_limits(1):
        model.fit(words.fit_transform(train_texts), train_labels)
        return [int(label) for label in model.predict(words.transform(texts))]
