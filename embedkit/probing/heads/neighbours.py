"""The k nearest neighbours by cosine similarity, for several k at once, in blocks of bounded memory.

A neighbour of similarity s votes with weight exp(s / T) (Wu et al., CVPR 2018), which is finite for exact duplicates,
where the usual 1 / distance is not. Of equally similar rows the earlier one is the nearer neighbour.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TEMPERATURE = 0.07

# Similarities closer than this are rounding of the product, and equal.
_STEP = 2.0**-20
# Numbers per block: 16 MB in double precision.
_BLOCK = 2**21


@dataclass(frozen=True)
class Neighbours:
    """The fitted rows, and what is counted among them.

    Attributes:
        X: (n, d); may hold more rows than the fitted ones. rows: (r,) positions of the fitted ones.
        truth: (r, K) of 1, 0 or NaN (not judged). exclusive: classes, not labels.
        weights: (r,), or (r, K) of labels, of each vote; None for 1.
        ks: how many neighbours vote; all, where there are fewer.
    """

    X: np.ndarray
    rows: np.ndarray
    truth: np.ndarray
    exclusive: bool
    weights: np.ndarray | None
    ks: tuple[int, ...]

    def __call__(self, X_new: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """Return the log odds of the votes, (V, m, K), for the rows ``judged`` of ``X_new``.

        k neighbours share k votes by their weights, and one more is spread evenly over the classes (Perks 1947), so
        that nothing is impossible and all odds are finite. Log-probabilities for more than two exclusive classes,
        -inf for a class that no fitted row has; -s and s for two; log p / (1 - p) for labels.
        """
        # In single precision: equal votes, added in another order, stay equal.
        scores = np.empty((len(self.ks), len(judged), self.truth.shape[1]), np.float32)
        norms = np.sqrt(np.einsum("nd,nd->n", self.X, self.X, dtype=np.float64)).astype(X_new.dtype)
        norms[norms == 0] = 1
        for block in self._blocks(len(judged)):
            similarity = _cosine(X_new[judged[block]], self.X, norms)[:, self.rows]
            for columns, known in self._judged_alike():
                votes, counts = self._votes(similarity if known.all() else similarity[:, known], columns, known)
                scores[:, block, columns] = self._log_odds(votes, counts)
        return scores.astype(np.float64)

    def _blocks(self, count: int) -> Iterator[slice]:
        widest = max(len(self.X), min(max(self.ks), len(self.rows)) * self.truth.shape[1])
        step = max(1, _BLOCK // widest)
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def _judged_alike(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the sets of columns that are judged on the same rows, each with these rows as (r,) of bool."""
        known = np.logical_not(np.isnan(self.truth))
        if known.all():
            return [(np.arange(self.truth.shape[1]), known[:, 0])]
        kinds, kind = np.unique(known, axis=1, return_inverse=True)
        return [(np.flatnonzero(kind.ravel() == number), kinds[:, number]) for number in range(kinds.shape[1])]

    def _votes(self, similarity: np.ndarray, columns: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the votes for each k, (V, b, columns), and how many there were, (V, 1, 1)."""
        ks = np.minimum(self.ks, similarity.shape[1])
        if not similarity.shape[1]:
            return np.zeros((len(ks), len(similarity), len(columns))), ks[:, None, None]
        near, nearest = nearest_first(similarity, int(ks.max()))
        weights = np.exp((near - near[:, :1]) / TEMPERATURE)[:, :, None]
        if self.weights is not None:
            own = self.weights[known]
            weights = weights * (own[nearest][:, :, None] if own.ndim == 1 else own[:, columns][nearest])
        held = np.cumsum(weights * self.truth[np.ix_(known, columns)][nearest], axis=1)[:, ks - 1]
        votes = ks[:, None] * held / np.cumsum(weights, axis=1)[:, ks - 1]
        return votes.swapaxes(0, 1), ks[:, None, None]

    def _log_odds(self, votes: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if not self.exclusive:
            return np.asarray(np.log(votes + 0.5) - np.log(counts - votes + 0.5))
        present = np.asarray(self.truth.any(axis=0))
        log_p = np.full(votes.shape, -np.inf)
        log_p[..., present] = np.log((votes[..., present] + 1 / present.sum()) / (counts + 1))
        if present.all() and len(present) == 2:
            s = log_p[..., 1:] - log_p[..., :1]
            return np.concatenate([-s, s], axis=-1)
        return log_p


def nearest_first(similarity: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k highest similarities of each row, rounded, and their positions, (b, k) each, the highest first.

    Args:
        similarity: (b, n) between -1 and 1. k: at most n.
    """
    n = similarity.shape[1]
    # One whole number holds similarity and position: the order is complete, and no tie is left to the algorithm.
    keys = np.rint(similarity * (1 / _STEP)).astype(np.int64)
    keys *= n
    keys += np.arange(n - 1, -1, -1)
    keys.partition(n - k, axis=1)
    best = np.sort(keys[:, n - k :], axis=1)[:, ::-1]
    steps, backwards = np.divmod(best, n)
    return steps * _STEP, n - 1 - backwards


def _cosine(A: np.ndarray, B: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Return (len(A), len(B)); 0 beside a vector of zeros."""
    own = np.linalg.norm(A, axis=1, keepdims=True)
    similarity: np.ndarray = (A / np.where(own, own, 1)) @ B.T
    similarity /= norms
    return similarity
