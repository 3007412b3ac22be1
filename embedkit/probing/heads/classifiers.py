"""The classifiers: thin estimators around the mathematics of the modules beside this one."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from embedkit.probing.heads import centroid, discriminant, svm
from embedkit.probing.heads.balance import ClassWeight
from embedkit.probing.heads.estimator import Head, Part, ProbabilisticHead, Problem, Scorer
from embedkit.probing.heads.linear import Linear
from embedkit.probing.heads.neighbours import Neighbours
from embedkit.probing.solver import logistic
from embedkit.probing.solver.rotation import Ready

__all__ = ["CentroidHead", "DiscriminantHead", "Head", "LogisticHead", "NeighboursHead", "SVMHead", "make_head"]

# Of the probabilities that C is chosen by; the fit with the chosen C is as accurate as the solver's default.
SEARCH_ACCURACY = 1e-3


class LogisticHead(ProbabilisticHead):
    """Multinomial logistic regression, L2, C as in scikit-learn; scores of several classes are log-probabilities.

    Args:
        C: of the sum of losses beside |w|^2 / 2. class_weight: ``balanced``, a weight for each class, or None.
        device: where it is fitted, ``cpu`` or ``cuda``; the solution is the same.
    """

    parameter, limits = "C", (1e-12, 1e12)

    def __init__(self, C: float = 0.01, class_weight: ClassWeight = None, device: str = "cpu") -> None:
        self.C = C
        self.class_weight = class_weight
        self.device = device

    def ready(self, X: np.ndarray) -> Ready:
        """As in `Head.ready`."""
        return Ready(X, self.device)

    def learn(self, X: np.ndarray | Ready, truth: np.ndarray, exclusive: bool, values: Sequence[float]) -> Scorer:
        """As in `Head.learn`."""
        return self._solved(X, truth, exclusive, values, self._weights(truth, exclusive))

    def search(
        self, X: np.ndarray | Ready, truth: np.ndarray, exclusive: bool, parts: Sequence[Part], values: Sequence[float]
    ) -> list[np.ndarray]:
        """As in `Head.search`, with all parts and values fitted as one problem."""
        ready = Ready.of(X, self.device)
        of_parts = [self._weights(truth[fitted], exclusive) for fitted, _ in parts]
        weights = np.zeros((len(parts), *truth.shape[: 1 if exclusive else 2]))
        for number, ((fitted, _), own) in enumerate(zip(parts, of_parts, strict=True)):
            weights[number, fitted] = 1 if own is None else own
        found = logistic.solve_folds(ready, truth, exclusive, values, weights, SEARCH_ACCURACY)
        _warn(found.converged)
        return [
            self._scorer(coef, intercept, exclusive)(ready.X, judged)
            for coef, intercept, (_, judged) in zip(found.coef, found.intercept, parts, strict=True)
        ]

    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        return self._solved(problem.fitted(), problem.truth, problem.exclusive, values, problem.weights)

    def _solved(
        self,
        X: np.ndarray | Ready,
        truth: np.ndarray,
        exclusive: bool,
        values: Sequence[float],
        weights: np.ndarray | None,
    ) -> Scorer:
        ready = Ready.of(X, self.device)
        found = logistic.solve(ready, truth, exclusive, values, weights)
        _warn(found.converged)
        return self._scorer(found.coef, found.intercept, exclusive)

    def _scorer(self, coef: np.ndarray, intercept: np.ndarray, exclusive: bool) -> Scorer:
        several = exclusive and coef.shape[1] > 2
        if several and np.isfinite(intercept[0]).sum() == 2:
            # -w and w of the two that have rows: their difference is to be the log odds.
            coef, intercept = coef / 2, intercept / 2
        return Linear(coef, intercept, normalise=several)


def _warn(converged: np.ndarray) -> None:
    """Warn once for each fit that has not converged, so that they can be counted."""
    for _ in range(np.count_nonzero(~converged)):
        warnings.warn("a logistic regression stopped before it converged", ConvergenceWarning, stacklevel=3)


class SVMHead(Head):
    """Support vector machine, one against the rest, ranked by margin.

    Args:
        kernel: ``linear``, x.y / d, or ``rbf``, exp(-gamma |x - y|^2) with gamma = 1 / (d * variance of X).
        C: of the hinge loss. class_weight: ``balanced``, a weight for each class, or None.
    """

    parameter, limits = "C", (1e-12, 1e12)

    def __init__(self, kernel: str = "linear", C: float = 1.0, class_weight: ClassWeight = None) -> None:
        self.kernel = kernel
        self.C = C
        self.class_weight = class_weight

    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        fitted = problem.fitted()
        if self.kernel == "linear":
            kernel = partial(svm.linear_kernel, B=fitted)
        else:
            variance = float(fitted.var(dtype=np.float64))
            gamma = 1 / (fitted.shape[1] * variance) if variance else 1.0
            kernel = partial(svm.rbf_kernel, B=fitted, gamma=gamma)
        dual, intercept = svm.solve(kernel(fitted), problem.truth, problem.exclusive, values, problem.weights)
        return Linear(dual, intercept, features=kernel)


class NeighboursHead(ProbabilisticHead):
    """The k nearest neighbours by cosine similarity; scores are the log odds of their weighted votes.

    Args:
        k: how many vote; all rows, where there are fewer. class_weight: of the votes of a class.
    """

    parameter, limits = "k", (1, 1e9)

    def __init__(self, k: int = 20, class_weight: ClassWeight = None) -> None:
        self.k = k
        self.class_weight = class_weight

    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        return Neighbours(**vars(problem), ks=tuple(map(int, values)))


class DiscriminantHead(ProbabilisticHead):
    """Linear discriminant analysis with a shrunk covariance; scores of several classes are log-probabilities.

    Args:
        shrinkage: of the covariance towards a multiple of the identity, above 0 and up to 1.
        class_weight: ``balanced`` is equal priors, and each class counts alike in the covariance.
    """

    parameter, limits = "shrinkage", (1e-9, 1)

    def __init__(self, shrinkage: float = 0.1, class_weight: ClassWeight = None) -> None:
        self.shrinkage = shrinkage
        self.class_weight = class_weight

    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        coef, intercept = discriminant.solve(**vars(problem), shrinkages=values)
        return Linear(coef, intercept, normalise=problem.exclusive and coef.shape[1] > 2)


class CentroidHead(Head):
    """The class whose mean direction is nearest by cosine similarity; it has no parameter and no use for weights."""

    parameter = ""

    def _learn(self, problem: Problem, values: Sequence[float]) -> Scorer:
        coef, intercept = centroid.solve(problem.X, problem.rows, problem.truth, problem.exclusive)
        return Linear(np.stack([coef] * len(values)), np.stack([intercept] * len(values)), features=centroid.unit)


_HEADS: dict[str, Callable[..., Head]] = {
    "logistic": LogisticHead,
    "svm-linear": partial(SVMHead, "linear"),
    "svm-rbf": partial(SVMHead, "rbf"),
    "knn": NeighboursHead,
    "lda": DiscriminantHead,
    "centroid": CentroidHead,
}


def make_head(classifier: str, class_weight: ClassWeight = None, device: str = "cpu") -> Head:
    """Return the head of a name in `embedkit.probing.heads.grids.GRIDS`; ``centroid`` has no use for weights.

    Args:
        device: where ``logistic`` is fitted; the others are fitted on the processor.
    """
    settings: dict[str, Any] = {} if classifier == "centroid" else {"class_weight": class_weight}
    if classifier == "logistic":
        settings["device"] = device
    return _HEADS[classifier](**settings)
