"""What all classifiers share: a scikit-learn estimator of one value, and a whole path of them in one call."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from embedkit.probing.heads.balance import ClassWeight, row_weights
from embedkit.probing.threads import side_by_side

Part = tuple[np.ndarray, np.ndarray]
# The scores (V, m, K) of the rows at some positions of a matrix.
Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]

_PRECISIONS = [np.float32, np.float64]


@dataclass(frozen=True)
class Problem:
    """What is learnt from.

    Attributes:
        X: (n, d). rows: (r,) positions of the rows to fit, so that X need not be copied for each fold.
        truth: (r, K) of 1, 0 or NaN (not judged). exclusive: classes, not labels that may hold together.
        weights: (r,), or (r, K) of labels; None where all rows weigh 1.
    """

    X: np.ndarray
    rows: np.ndarray
    truth: np.ndarray
    exclusive: bool
    weights: np.ndarray | None

    def fitted(self) -> np.ndarray:
        """Return the rows to fit, (r, d), copied only where X has others."""
        return self.X if len(self.rows) == len(self.X) else self.X[self.rows]


class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What all heads share.

    Attributes:
        parameter: the name of what is chosen, "" where there is nothing. limits: its least and largest value.
        probabilistic: softmax of the scores (sigmoid, for two classes and for labels) gives the head's probabilities;
            otherwise scores only rank.
    """

    parameter: ClassVar[str]
    limits: ClassVar[tuple[float, float]]
    probabilistic: ClassVar[bool] = False
    class_weight: ClassWeight = None

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one value of the parameter.

        Args:
            X: (n, d). y: (n,) of any labels, or (n, L) of 1, 0 or NaN (not judged) for L labels that may hold together.

        Raises:
            ValueError: NaN or infinite embeddings; numbers to regress on; a parameter out of its limits.
        """
        value = self._value()
        X, truth = self._read(X, y)
        weights = row_weights(self.class_weight, truth, self.exclusive_, self.classes_)
        self.scorer_ = self._learn(Problem(X, np.arange(len(X)), truth, self.exclusive_, weights), [value])
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return scores: (n,) for two classes, above 0 for the second; (n, K) for more; (n, L) for labels."""
        scores = self._scores(X)
        return scores[:, 1] if self.exclusive_ and scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the highest score, (n,); of labels 1 where the score is above 0, (n, L)."""
        scores = self._scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)] if self.exclusive_ else (scores > 0).astype(int))

    def ready(self, X: np.ndarray) -> Any:
        """Return X (n, d) in the form in which `search` and `learn` share what they find out about it."""
        return X

    def learn(self, X: Any, truth: np.ndarray, exclusive: bool, values: Sequence[float]) -> Scorer:
        """Fit every value; leaves the estimator as it is, so that threads can share it.

        Args:
            X: (n, d) float32, or what `ready` made of it. truth: (n, K) of 1, 0 or NaN. exclusive: classes, not labels.
            values: of the parameter, rising; for a head without one, placeholders.

        Returns:
            What scores the rows at some positions of a matrix, (V, m, K); for two classes -s and s. The score of a
            class that ``truth`` lacks is -inf.
        """
        return self._learn(Problem(X, np.arange(len(X)), truth, exclusive, self._weights(truth, exclusive)), values)

    def search(
        self, X: Any, truth: np.ndarray, exclusive: bool, parts: Sequence[Part], values: Sequence[float]
    ) -> list[np.ndarray]:
        """Fit every value on some rows and score others, for each of several parts.

        Args:
            X, truth, exclusive, values: as in `learn`. parts: positions of the fitted and of the judged rows.

        Returns:
            For each part (V, m, K), as in `learn`.
        """

        def one(part: Part) -> np.ndarray:
            fitted, judged = part
            problem = Problem(X, fitted, truth[fitted], exclusive, self._weights(truth[fitted], exclusive))
            return self._learn(problem, values)(X, judged)

        return side_by_side(one, parts)

    @abstractmethod
    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        """Fit every value, without a copy of all rows where that can be."""

    def _weights(self, truth: np.ndarray, exclusive: bool) -> np.ndarray | None:
        weights: np.ndarray | None = row_weights(self.class_weight, truth, exclusive, np.arange(truth.shape[1]))
        return weights

    def _value(self) -> float:
        if not self.parameter:
            return 0.0
        value, (least, largest) = getattr(self, self.parameter), self.limits
        if not least <= value <= largest:
            raise ValueError(
                f"{self.parameter} = {value}: give {type(self).__name__} one from {least:g} to {largest:g}"
            )
        return float(value)

    def _read(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Check both, keep what is known of them, and return X and the truth (n, K)."""
        given = np.asarray(y)
        self.exclusive_ = given.ndim != 2 or given.shape[1] == 1
        if self.exclusive_:
            X, y = validate_data(self, X, y, dtype=_PRECISIONS)
            check_classification_targets(y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            return X, np.eye(len(self.classes_))[codes]
        X = validate_data(self, X, dtype=_PRECISIONS)
        truth = check_array(y, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y")
        if len(truth) != len(X):
            raise ValueError(f"y has {len(truth)} rows and X {len(X)}: give one row of labels for each embedding")
        if not np.isin(truth[~np.isnan(truth)], (0, 1)).all():
            raise ValueError("Unknown label type: y has several columns, and each must hold 1, 0, or NaN (not judged)")
        self.classes_ = np.arange(truth.shape[1])
        return X, truth

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_PRECISIONS, reset=False)
        scores: np.ndarray = self.scorer_(X, np.arange(len(X)))[0]
        return scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class ProbabilisticHead(Head):
    """A head whose scores are logarithms of probabilities or of odds."""

    probabilistic = True

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, K), which sum to 1; of each label, (n, L), which do not."""
        from scipy.special import expit, softmax

        scores = self._scores(X).astype(np.float64)
        alone = not self.exclusive_ or scores.shape[1] == 2
        return np.asarray(expit(scores) if alone else softmax(scores, axis=1))
