"""Scores that are linear in an embedding, or in the features that a kernel makes of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Rows whose features are held at one time.
_BLOCK = 1024


@dataclass(frozen=True)
class Linear:
    """Scores that are linear in some features of an embedding.

    Attributes:
        coef: (V, K, f). intercept: (V, K). features: (b, d) -> (b, f).
        normalise: subtract from the scores of an image the logarithm of the sum of their exponentials.
    """

    coef: np.ndarray
    intercept: np.ndarray
    features: Callable[[np.ndarray], np.ndarray] = np.asarray
    normalise: bool = False

    def __call__(self, X: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return (V, m, K) for the rows of X, in double precision: where C is small they differ in the last digits."""
        from scipy.special import log_softmax

        scores = np.empty((len(self.coef), len(rows), self.coef.shape[1]))
        flat = self.coef.reshape(-1, self.coef.shape[2]).T
        for start in range(0, len(rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            found = self.features(X[rows[block]]) @ flat + self.intercept.ravel()
            logits = found.reshape(-1, *self.intercept.shape).swapaxes(0, 1)
            # Logits are fixed only up to a constant of each image, so they order no images; probabilities do.
            scores[:, block] = log_softmax(logits, axis=-1) if self.normalise else logits
        return scores
