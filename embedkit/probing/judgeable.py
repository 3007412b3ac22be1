"""Which classes can be learnt and which have an AUC: what is refused for want of a second one, and what is noted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.splits import Fold
from embedkit.probing.target import Labels, listed


def notes_on_judged(labels: Labels, judged: np.ndarray) -> list[str]:
    """Return which classes have no AUC; ``judged`` is the truth (m, K) of the test images.

    Raises:
        EmbedkitError: no class has one.
    """
    sides = {name: sides_of(column) for name, column in zip(labels.classes, judged.T, strict=True)}
    if not _ranked(judged):
        raise EmbedkitError(
            f"all {len(judged)} test images are of one class of the target '{labels.name}', and an AUC needs two. "
            "Judge on images of two classes or more"
        )
    return [
        f"'{name}' has no {'negative' if 1.0 in one else 'positive'} test image, so it has no AUC"
        for name, one in sides.items()
        if len(one) < 2
    ]


def notes_on_sites(labels: Labels, column: str, judged: Sequence[tuple[str, np.ndarray]]) -> list[str]:
    """Return which sites have no AUC; ``judged`` names each with the positions of its images.

    Raises:
        EmbedkitError: no site has one.
    """
    alone = [site for site, rows in judged if not _ranked(labels.truth[rows])]
    if len(alone) == len(judged):
        raise EmbedkitError(
            f"no '{column}' has images of two classes of the target '{labels.name}' ({listed(alone)} have one each), "
            "and an AUC needs two at one site: choose another column, or leave sites out"
        )
    if not alone:
        return []
    return [
        f"all images of each of {listed(alone)} are of one class, so there is no AUC there: the AUC is of the other "
        f"{len(judged) - len(alone)} of {len(judged)} sites"
    ]


def refuse_one_class(labels: Labels) -> None:
    """Refuse labels that a classifier can't be fitted to.

    Raises:
        EmbedkitError: all rows are of one class.
    """
    held = held_classes(labels)
    if len(held.classes) < 2:
        raise EmbedkitError(
            f"all {len(labels.truth)} training images are of one class of the target '{labels.name}', "
            f"'{held.classes[0]}': a classifier needs two"
        )


def with_validation(labels: Labels, fold: Fold) -> tuple[Fold, list[str]]:
    """Return a fold whose validation images can choose, and what a reader must know of the choice.

    Where they can't they are training images: then it is made by folds of all, as where nobody set images apart.
    """
    if fold.val is None:
        return fold, []
    learnt, chosen_on = labels.truth[fold.train], labels.truth[fold.val]
    alone = labels.exclusive and (learnt == 1).any(axis=0).sum() < 2
    if alone or not _ranked(chosen_on):
        why = "the training images are of one class" if alone else "no class has both sides among the validation images"
        return Fold(fold.fitted(), None, fold.test), [
            f"{why}, so nothing can be chosen on the validation images: they are training images, and the parameter is "
            "chosen by folds of all of these"
        ]
    values = {1.0} if labels.exclusive else {0.0, 1.0}
    return fold, [
        f"no training image {'holds' if value else 'does not hold'} '{name}', and validation images do: the parameter "
        "was chosen and probabilities were calibrated without it"
        for name, a, b in zip(labels.classes, learnt.T, chosen_on.T, strict=True)
        for value in sorted((sides_of(b) - sides_of(a)) & values)
    ]


def held_classes(labels: Labels) -> Labels:
    """Return the labels without the classes that no row has; labels of a multilabel target all stay."""
    if not labels.exclusive:
        return labels
    held = (labels.truth == 1).any(axis=0)
    names = tuple(name for name, kept in zip(labels.classes, held, strict=True) if kept)
    return replace(labels, classes=names, truth=labels.truth[:, held])


def _ranked(judged: np.ndarray) -> bool:
    """Return whether any class has an AUC among images of this truth (m, K)."""
    return any(len(sides_of(column)) == 2 for column in judged.T)


def sides_of(column: np.ndarray) -> set[float]:
    """Return which of 1 and 0 a class has among its judgements (m,), without those that are not judged."""
    return set(np.unique(column[~np.isnan(column)]).tolist())
