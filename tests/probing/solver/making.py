"""Small problems of both losses, and their derivatives written out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.blocks import Blocks, row_blocks
from embedkit.probing.solver.features import Features
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.losses import Loss, Sigmoid, Softmax
from embedkit.probing.solver.objective import Objective, Problems
from embedkit.probing.solver.rotation import Axes, Ready, principal_axes

ROWS, DIMENSIONS, CLASSES = 700, 9, 4


@dataclass(frozen=True)
class Made:
    """Two folds at two values of C: four problems, on more rows than a block has.

    Attributes:
        classes: 1 for a sigmoid. truth: (n, K) of 1 and 0. weights: (2, n). W: (K, 4, d + 1), somewhere.
    """

    X: np.ndarray
    classes: int
    truth: np.ndarray
    weights: np.ndarray
    problems: Problems
    W: np.ndarray
    loss: Loss
    blocks: Blocks
    axes: Axes
    objective: Objective
    hessian: Hessian

    def centred(self) -> np.ndarray:
        """Return X less its mean with a 1 behind each row, in double precision."""
        X = self.X.astype(np.float64)
        return np.column_stack([X - X.mean(axis=0), np.ones(len(X))])

    def probabilities(self, W: np.ndarray) -> np.ndarray:
        """Return those of the classes, of a sigmoid that of the label, (P, n, K)."""
        scores = np.einsum("kpd,nd->pnk", W, self.centred())
        if self.classes == 1:
            return 1 / (1 + np.exp(-scores))
        return np.exp(scores - np.logaddexp.reduce(scores, axis=2, keepdims=True))

    def value(self, W: np.ndarray) -> np.ndarray:
        """Return the objectives at W, (P,), by their definition."""
        p = self.probabilities(W)
        right = (
            np.where(self.truth == 1, p, 1 - p) if self.classes == 1 else (p * self.truth).sum(axis=2, keepdims=True)
        )
        losses = -np.log(right[..., 0]) * self.weights[self.problems.base]
        return self.problems.C * losses.sum(axis=1) + (W[..., :-1] ** 2).sum(axis=(0, 2)) / 2

    def matrix(self, W: np.ndarray, p: int) -> np.ndarray:
        """Return the second derivatives of problem ``p`` at W, (K (d + 1), K (d + 1)), by their definition."""
        Z, q = self.centred(), self.probabilities(W)[p]
        each = self.problems.C[p] * self.weights[self.problems.base[p]]
        K, d = self.classes, Z.shape[1]
        found = np.zeros((K, d, K, d))
        for k in range(K):
            for other in range(K):
                curvature = q[:, k] * ((k == other) - q[:, other])
                found[k, :, other] = (Z * (each * curvature)[:, None]).T @ Z
            found[k, :-1, k, :-1] += np.eye(d - 1)
        return found.reshape(K * d, K * d)


@contextmanager
def made(classes: int = CLASSES, n: int = ROWS, d: int = DIMENSIONS, scale: float = 1.0) -> Iterator[Made]:
    """Give problems of a softmax over ``classes``, or of a sigmoid where that is 1; ``scale`` multiplies W."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + 2).astype(np.float32)
    codes = rng.integers(0, max(classes, 2), n)
    weights = rng.uniform(0, 2, (2, n)).astype(np.float32) * (rng.random((2, n)) < 0.8)
    problems = Problems(np.array([0, 1, 0, 1]), np.array([0.1, 0.1, 3.0, 3.0]))
    W = scale * rng.normal(size=(classes, 4, d + 1))
    W -= W.mean(axis=0) * (classes > 1)
    sign = np.where(codes == 1, 1, -1).astype(np.float32)
    loss: Loss = Softmax(codes, classes) if classes > 1 else Sigmoid(np.stack([sign, sign]))
    truth = np.eye(classes)[codes] if classes > 1 else (codes == 1).astype(float)[:, None]
    with row_blocks(n) as blocks:
        turned, axes = principal_axes(Ready(X), blocks)
        exact = Features.plain(X, X.mean(axis=0, dtype=np.float64), np.float64)
        yield Made(
            X,
            classes,
            truth,
            weights,
            problems,
            W,
            loss,
            blocks,
            axes,
            Objective(exact, loss, weights, blocks),
            Hessian(turned, loss, weights, blocks),
        )
