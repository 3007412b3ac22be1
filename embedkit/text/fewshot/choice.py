"""The choice of an epoch or a parameter on validation shots: by macro AUC, and where that ties by the log loss."""

import numpy as np
from scipy.special import log_softmax
from scipy.stats import rankdata
from torch import Tensor

# Of two AUCs closer than this, rounding decides which is higher.
_EQUAL = 1e-9


def macro_auc(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mean one-vs-rest AUC over the classes that have both sides, NaN where none has.

    Args:
        scores: (..., m, K). y: (m,) of class numbers.

    Returns:
        (...).
    """
    m, K = scores.shape[-2:]
    held = (y[:, None] == np.arange(K)).astype(float)
    positives = held.sum(axis=0)
    both = (positives > 0) & (positives < m)
    if not both.any():
        return np.full(scores.shape[:-2], np.nan)
    ranks = rankdata(scores[..., both], axis=-2)
    P, held = positives[both], held[:, both]
    wins = (ranks * held).sum(axis=-2) - P * (P + 1) / 2
    return np.asarray((wins / (P * (m - P))).mean(axis=-1))


def best(scores: Tensor, y: Tensor) -> int:
    """Return which of several scorings of the validation shots is best.

    With one shot per class many rank all images right: of equal AUCs the lowest log loss decides, of those the first.

    Args:
        scores: (G, m, K) logits; what is ranked are their log-probabilities. y: (m,).
    """
    found, truth = log_softmax(scores.double().numpy(), axis=-1), y.numpy()
    aucs = np.nan_to_num(macro_auc(found, truth), nan=0.0)
    equal = np.flatnonzero(aucs >= aucs.max() - _EQUAL)
    return int(equal[(-found[equal][:, np.arange(len(truth)), truth].mean(axis=-1)).argmin()])
