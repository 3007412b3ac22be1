"""What images and texts of one space say of each other: ensembles of prompts, scores, ranks."""

import numpy as np

from embedkit.encoders import unit


def ensemble(per_template: np.ndarray) -> np.ndarray:
    """Return the mean of unit vectors over templates, at length 1 again: (T, K, d) to (K, d).

    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision (ICML 2021), 3.1.4.
    """
    return unit(per_template.mean(axis=0))


def class_scores(features: np.ndarray, W: np.ndarray, scale: float) -> np.ndarray:
    """Return the log-probabilities of exclusive classes, (n, K): the log-softmax of ``scale * features @ W.T``.

    Images are ranked by them, not by the logits: an image that is near to all texts is no likelier of any class. Of
    two classes the columns are -s and s, s being the difference of the logits, as the measures take them.

    Args:
        features: (n, d) and W: (K, d), unit vectors. scale: the tower's.
    """
    return as_scores(scale * features @ W.T)


def as_scores(logits: np.ndarray) -> np.ndarray:
    """Return logits of exclusive classes (n, K) in the form in which the measures take them, as `class_scores`."""
    from scipy.special import log_softmax

    if logits.shape[1] == 2:
        difference = logits[:, 1] - logits[:, 0]
        return np.column_stack([-difference, difference])
    return np.asarray(log_softmax(logits, axis=1))


def label_scores(features: np.ndarray, W: np.ndarray, absent: np.ndarray, scale: float) -> np.ndarray:
    """Return the logits of labels that may hold together, (n, K): ``scale * features @ (W - absent).T``.

    Their sigmoid is the softmax over the two texts "there is X" and "there is no X" of each label.

    Source: Tiu et al., Expert-level detection of pathologies from unannotated chest X-ray images via self-supervised
    learning (Nature Biomedical Engineering 6, 2022).

    Args:
        features: (n, d), W and absent: (K, d), unit vectors. scale: the tower's.
    """
    return np.asarray(scale * features @ (W - absent).T)
