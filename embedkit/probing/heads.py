"""The classifiers: small scikit-learn estimators that also score a whole path of C in one call."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from embedkit.probing import logistic, svm

Features = Callable[[np.ndarray], np.ndarray]
Solver = Callable[[np.ndarray, np.ndarray, bool, Sequence[float]], tuple[np.ndarray, np.ndarray]]


class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What all heads share: scores are linear in some features of an embedding."""

    C: float

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one C.

        Args:
            X: (n, d). y: (n,) of any labels, or (n, L) of 1, 0 or NaN (not judged).
        """
        X, y = np.asarray(X, np.float32), np.asarray(y)
        self.n_features_in_, self.exclusive_ = X.shape[1], y.ndim == 1
        if self.exclusive_:
            self.classes_, codes = np.unique(y, return_inverse=True)
            truth = np.eye(len(self.classes_))[codes]
        else:
            self.classes_, truth = np.arange(y.shape[1]), y.astype(float)
        self.features_, solve = self._problem(X)
        coef, intercept = solve(self.features_(X), truth, self.exclusive_, [self.C])
        self.coef_, self.intercept_ = coef[0], intercept[0]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return margins: (n,) for two classes, (n, K) for more, (n, L) for labels."""
        scores = self._scores(X)
        return scores[:, 1] if self.exclusive_ and scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the highest margin, (n,); of labels 1 where the margin is above 0, (n, L)."""
        scores = self._scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)] if self.exclusive_ else (scores > 0).astype(int))

    def path(
        self, X: np.ndarray, truth: np.ndarray, exclusive: bool, X_new: np.ndarray, Cs: Sequence[float]
    ) -> np.ndarray:
        """Fit every C and score new images; leaves the estimator as it is, so that threads can share it.

        Args:
            X: (n, d) float32. truth: (n, K) of 1, 0 or NaN. exclusive: classes, not labels. X_new: (m, d).
            Cs: rising.

        Returns:
            (C, m, K); for two classes -s and s. The score of a class that ``truth`` lacks is -inf.
        """
        features, solve = self._problem(X)
        coef, intercept = solve(features(X), truth, exclusive, Cs)
        flat = features(X_new) @ coef.reshape(-1, coef.shape[2]).T + intercept.ravel()
        return self._ranks(flat.reshape(len(X_new), *intercept.shape).swapaxes(0, 1), exclusive)

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        scores = self.features_(np.asarray(X, np.float32)) @ self.coef_.T + self.intercept_
        return self._ranks(scores, self.exclusive_)

    def _ranks(self, scores: np.ndarray, exclusive: bool) -> np.ndarray:
        """Return (..., n, K) scores that order images by class k, one against the rest."""
        return np.asarray(scores)

    def _problem(self, X: np.ndarray) -> tuple[Features, Solver]:
        """Return what maps images to the features that scores are linear in, and what fits the coefficients."""
        return np.asarray, logistic.solve


class LogisticHead(Head):
    """Multinomial logistic regression, L2, C as in scikit-learn; scores of several classes are log-probabilities."""

    def __init__(self, C: float = 0.01) -> None:
        self.C = C

    def _ranks(self, scores: np.ndarray, exclusive: bool) -> np.ndarray:
        if not exclusive or scores.shape[-1] == 2:
            return np.asarray(scores)
        from scipy.special import log_softmax

        # Logits are fixed only up to a constant of each image, so they order no images; probabilities do.
        return np.asarray(log_softmax(scores, axis=-1))


class SVMHead(Head):
    """Support vector machine, one against the rest, ranked by margin.

    Args:
        kernel: ``linear``, x.y / d, or ``rbf``, exp(-gamma |x - y|^2) with gamma = 1 / (d * variance of X).
        C: of the hinge loss.
    """

    def __init__(self, kernel: str = "linear", C: float = 1.0) -> None:
        self.kernel = kernel
        self.C = C

    def _problem(self, X: np.ndarray) -> tuple[Features, Solver]:
        if self.kernel == "linear":
            return partial(svm.linear_kernel, B=X), svm.solve
        variance = float(X.var(dtype=np.float64))
        gamma = 1 / (X.shape[1] * variance) if variance else 1.0
        return partial(svm.rbf_kernel, B=X, gamma=gamma), svm.solve


def make_head(classifier: str) -> Head:
    """Return the head of a name in `embedkit.probing.GRIDS`."""
    return LogisticHead() if classifier == "logistic" else SVMHead(classifier.removeprefix("svm-"))
