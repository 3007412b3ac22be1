"""Linear probe: logistic regression on the shots, C chosen on the validation shots. No text."""

import numpy as np
import torch

from embedkit.probing import GRIDS
from embedkit.probing.solver import logistic
from embedkit.text.fewshot import choice
from embedkit.text.fewshot.shots import Fitted, Shots

# Of the probabilities that C is chosen by.
SEARCH_ACCURACY = 1e-3


def linear_probe(shots: Shots) -> Fitted:
    """Return the scores of a multinomial logistic regression with an L2 penalty.

    The validation shots choose C and are not learnt from, as in every other method here.
    """
    scores, chosen = [], []
    values = GRIDS["logistic"].values
    for b, labels in enumerate(shots.labels.numpy().astype(float)):
        F, F_val, F_test = (part.F[b].numpy() for part in (shots.train, shots.val, shots.test))
        every = np.ones((1, len(F)))
        path = logistic.solve_folds(F, labels, True, values, every, SEARCH_ACCURACY)
        known = _scores(F_val, path.coef[0], path.intercept[0])
        C = values[choice.best(torch.from_numpy(known), shots.val.y[b])]
        found = logistic.solve(F, labels, True, [C])
        scores.append(torch.from_numpy(_scores(F_test, found.coef, found.intercept)[0]))
        chosen.append({"C": C})
    return Fitted(torch.stack(scores), chosen)


def _scores(F: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    # Two classes hold one vector as -w and w, and a softmax would see it twice.
    share = 0.5 if coef.shape[1] == 2 else 1.0
    return np.asarray(share * (F.astype(float) @ coef.mT + intercept[:, None]))
