"""Multinomial logistic regression with an L2 penalty, for several values of C and several folds at once.

All folds share the matrix of embeddings: a row that a fold leaves out weighs 0 in it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields

import numpy as np

from embedkit.cost import count
from embedkit.probing.solver import gpu
from embedkit.probing.solver.blocks import Blocks, row_blocks
from embedkit.probing.solver.features import Features
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.losses import Loss, Sigmoid, Softmax
from embedkit.probing.solver.objective import Objective
from embedkit.probing.solver.path import solve_path
from embedkit.probing.solver.products import one_thread, rounding_pays
from embedkit.probing.solver.rotation import Ready

# Of the probabilities of a fit, on any image.
ACCURACY = 5e-6
# Where less is asked, single precision will do, of embeddings whose means are no more than so many times their spread:
# the mean is taken off the products, and leaves the digits that it has in common with them. Of more rows for each
# feature the classes overlap, and where C is large gradients are small differences of large sums: HAM10000 with 192
# features took six times as long.
_SINGLE, _NEAR, _FEW_ROWS = 1e-4, 100.0, 3


@dataclass(frozen=True)
class Solution:
    """Fitted coefficients, with F folds in front where folds were asked for.

    Attributes:
        coef: (F, C, K, d). intercept: (F, C, K), of the scores ``X @ coef.T + intercept``.
        gap: (F, C, K) of labels, (F, C, 1) of exclusive classes: about by how much the objective exceeds its minimum,
            as a part of it, see `embedkit.probing.solver.newton.Found`.
        converged: of the same shape; one more step would hardly move any probability.
        iterations: of the same shape; conjugate gradients.
        multiply_adds: spent in all.
    """

    coef: np.ndarray
    intercept: np.ndarray
    gap: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    multiply_adds: float


def solve(
    X: np.ndarray | Ready, truth: np.ndarray, exclusive: bool, Cs: Sequence[float], weights: np.ndarray | None = None
) -> Solution:
    """Minimise C * (weighted sum of log losses) + |w|^2 / 2 for each C; the intercept is not penalised.

    Args:
        X: (n, d), or what is `Ready`. truth: (n, K) of 1, 0 or NaN (not judged). exclusive: one softmax over the
            classes, or a sigmoid for each label. Cs: in any order. weights: (n,), or (n, K) of labels; None for 1.

    Returns:
        Coefficients (C, K, d) and intercepts (C, K). A class that no row has gets the intercept -inf; a label that
        all rows have, or none, gets the constant 1 or -1. Two classes hold one vector as -w and w, so that a softmax
        over their scores would see it twice.
    """
    every = np.ones((1, len(X))) if weights is None else np.asarray(weights)[None]
    found = solve_folds(X, truth, exclusive, Cs, every)
    arrays = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "multiply_adds"}
    return Solution(**{name: array[0] for name, array in arrays.items()}, multiply_adds=found.multiply_adds)


def solve_folds(
    X: np.ndarray | Ready,
    truth: np.ndarray,
    exclusive: bool,
    Cs: Sequence[float],
    weights: np.ndarray,
    accuracy: float = ACCURACY,
) -> Solution:
    """As `solve`, for F folds at once.

    Args:
        X: (n, d) and all of its rows, or what is `Ready`. truth, exclusive, Cs: as there.
        weights: (F, n), or (F, n, K) of labels; 0 for a row that is not in the fold.
        accuracy: about by how much a probability may differ from that of the minimum.
    """
    ready = Ready.of(X)
    X = ready.X
    F, K = len(weights), truth.shape[1]
    grid, places = np.unique(np.asarray(Cs, dtype=float), return_inverse=True)
    judged = 1 if exclusive else K
    solution = Solution(
        np.zeros((F, len(grid), K, X.shape[1])),
        np.zeros((F, len(grid), K)),
        np.zeros((F, len(grid), judged)),
        np.ones((F, len(grid), judged), bool),
        np.zeros((F, len(grid), judged), np.int64),
        0.0,
    )
    spent = 0.0
    rounded = ready.device == "cpu" and rounding_pays(float(X.size) * F * len(grid) * K)
    with row_blocks(len(X), None if ready.device == "cpu" else gpu.ROWS) as blocks, ExitStack() as around:
        around.enter_context(gpu.enough_memory(ready.device))
        turned, axes = ready.turned(blocks, rounded)
        around.enter_context(one_thread(turned.products))
        exact = _exact(ready, blocks, accuracy)
        # Where a Hessian's products are no cheaper than gradients.
        single = turned if axes.basis is None else None
        for part in _parts(solution, truth, exclusive, weights):
            there = turned.products.there
            loss, own = part.loss.at(there), there(part.weights)
            objective = Objective(exact, loss, own, blocks)
            hessian = Hessian(turned, loss, own, blocks)
            rough = Objective(single, loss, own, blocks) if single is not None else None
            path = solve_path(objective, hessian, axes, grid, part.start(exact.columns), part.family, accuracy, rough)
            for c, found in enumerate(path):
                coef = found.W[..., :-1]
                part.write(solution, c, coef, found.W[..., -1] - coef @ exact.mean)
                for name in ("gap", "converged", "iterations"):
                    getattr(solution, name)[part.folds, c, part.labels] = getattr(found, name)
            spent += objective.multiply_adds + hessian.multiply_adds
    count(int(spent))
    return Solution(
        solution.coef[:, places],
        solution.intercept[:, places],
        solution.gap[:, places],
        solution.converged[:, places],
        solution.iterations[:, places],
        spent,
    )


def _exact(ready: Ready, blocks: Blocks, accuracy: float) -> Features:
    """Return the embeddings as an objective reads them, in the precision that the accuracy asks for."""
    X, mean = ready.X, ready.mean
    if accuracy < _SINGLE or len(X) > _FEW_ROWS * X.shape[1]:
        return ready.exact(double=True)

    def add(_number: int, rows: slice, so_far: np.ndarray) -> None:
        block = X[rows] - mean.astype(X.dtype)
        so_far += np.einsum("nd,nd->d", block, block)

    spread = np.sqrt(blocks.total(add, mean.shape, np.float64) / len(X))
    return ready.exact(double=bool((np.abs(mean) > _NEAR * spread).any()))


@dataclass(frozen=True)
class _Part:
    """Problems of one loss: folds in which the same classes occur, or all labels that vary, of all folds.

    Attributes:
        loss: of B problems. weights: (B, n). log_shares: (K, B). family: (B,). folds, labels: (B,), places in the
            solution. classes: whose scores the loss has, for exclusive classes.
    """

    loss: Loss
    weights: np.ndarray
    log_shares: np.ndarray
    family: np.ndarray
    folds: np.ndarray
    labels: np.ndarray
    classes: np.ndarray | None

    def start(self, d: int) -> np.ndarray:
        """Return what is best with no coefficients: the shares of the classes, (K, B, d)."""
        start = np.zeros((*self.log_shares.shape, d))
        start[..., -1] = self.log_shares
        return start

    def write(self, solution: Solution, c: int, coef: np.ndarray, intercept: np.ndarray) -> None:
        """Put the coefficients (K, B, d) and intercepts (K, B) of a C in their places."""
        if self.classes is None:
            solution.coef[self.folds, c, self.labels] = coef[0]
            solution.intercept[self.folds, c, self.labels] = intercept[0]
            return
        if len(self.classes) == 2:
            # Two classes share one vector, which says how much more likely the second is than the first.
            coef, intercept = np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
        place = np.ix_(self.folds, self.classes)
        solution.coef[:, c][place] = coef.swapaxes(0, 1)
        solution.intercept[:, c][place] = intercept.T


def _parts(solution: Solution, truth: np.ndarray, exclusive: bool, weights: np.ndarray) -> list[_Part]:
    return _of_classes(solution, truth, weights) if exclusive else _of_labels(solution, truth, weights)


def _of_classes(solution: Solution, truth: np.ndarray, weights: np.ndarray) -> list[_Part]:
    codes = truth.argmax(axis=1)
    mass = weights @ np.eye(truth.shape[1])[codes]
    solution.intercept[np.broadcast_to((mass == 0)[:, None], solution.intercept.shape)] = -np.inf
    parts = []
    for pattern in np.unique(mass > 0, axis=0):
        folds, classes = np.flatnonzero(((mass > 0) == pattern).all(axis=1)), np.flatnonzero(pattern)
        if len(classes) < 2:
            continue
        shares = np.log(mass[np.ix_(folds, classes)]).T
        # Rows of the other classes weigh nothing; what they count as is of no account.
        number = np.clip(np.searchsorted(classes, codes), 0, len(classes) - 1)
        loss: Loss = Softmax(number, len(classes))
        shares = shares - shares.mean(axis=0)
        if len(classes) == 2:
            sign = np.where(number == 1, 1, -1).astype(np.float32)
            loss, shares = Sigmoid(np.broadcast_to(sign, (len(folds), len(sign)))), shares[1:] - shares[:1]
        same, none = np.zeros(len(folds), np.int64), np.zeros(len(folds), np.int64)
        parts.append(_Part(loss, weights[folds].astype(np.float32), shares, same, folds, none, classes))
    return parts


def _of_labels(solution: Solution, truth: np.ndarray, weights: np.ndarray) -> list[_Part]:
    known = ~np.isnan(truth)
    spread = (weights if weights.ndim == 3 else weights[:, :, None]) * known
    held, missing = (np.einsum("fnk,nk->fk", spread, truth == value) for value in (1, 0))
    solution.intercept[:] = np.where(held > 0, 1.0, -1.0)[:, None]
    folds, labels = np.nonzero((held > 0) & (missing > 0))
    if not len(folds):
        return []
    sign = np.where(truth == 1, 1, -1).astype(np.float32).T[labels]
    shares = np.log(held[folds, labels] / missing[folds, labels])
    own = spread[folds, :, labels].astype(np.float32)
    return [_Part(Sigmoid(sign), own, shares[None], labels, folds, labels, None)]
