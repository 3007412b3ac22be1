"""How much each row counts in a fit, where classes are to count alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np

ClassWeight = str | Mapping[Any, float] | None


def row_weights(class_weight: ClassWeight, truth: np.ndarray, exclusive: bool, classes: np.ndarray) -> Any:
    """Return what each row weighs, for each label apart where they may hold together.

    Args:
        class_weight: ``balanced``, n / (K * rows of the class), over the K classes that have rows; a weight for each
            class (of labels: for 1 and 0); or None.
        truth: (n, K) of 1, 0 or NaN (not judged: weighs 0). exclusive: classes, not labels. classes: (K,) names.

    Returns:
        (n,) of exclusive classes, (n, K) of labels, None where all weigh 1.

    Raises:
        ValueError: an unknown ``class_weight``; a weight for a class that does not exist.
    """
    if class_weight is None:
        return None
    if exclusive:
        return _weights(class_weight, classes[truth.argmax(axis=1)])
    weights = np.zeros(truth.shape)
    judged = ~np.isnan(truth)
    for k in np.flatnonzero(judged.any(axis=0)):
        weights[judged[:, k], k] = _weights(class_weight, truth[judged[:, k], k].astype(int))
    return weights


def _weights(class_weight: ClassWeight, y: np.ndarray) -> np.ndarray:
    from sklearn.utils.class_weight import compute_class_weight

    held, codes = np.unique(y, return_inverse=True)
    return np.asarray(compute_class_weight(class_weight, classes=held, y=y))[codes]
