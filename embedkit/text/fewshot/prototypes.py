"""Prototypes: the nearest mean direction of a class. No text, nothing to tune.

Source: Snell et al., Prototypical Networks for Few-shot Learning, NeurIPS 2017, with the cosine for the distance.
"""

from torch.nn.functional import normalize

from embedkit.text.fewshot.shots import Fitted, Shots, class_means


def prototypes(shots: Shots) -> Fitted:
    """Return the cosine of each image with the mean vector of each class, times the logit scale."""
    means = normalize(class_means(shots.train.F, shots.labels), dim=-1)
    scores = shots.scale[:, None, None] * (shots.test.F @ means.mT)
    return Fitted(scores, [{} for _ in scores])
