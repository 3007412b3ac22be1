"""Which images a draw learns from and which it is tuned on; draws of one size are put together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.learning_curve import Amount, part_of
from embedkit.probing.plan import Plan
from embedkit.probing.splits import Fold, grouped_folds, inner_folds

VALIDATION_PARTS = 8
# Numbers of the vectors of all draws that are computed at once: 1 GB in single precision.
_AT_ONCE = 250_000_000


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw for one fold of the plan.

    Attributes:
        number: of the draw. fold: its number. train, val: rows to learn from and to tune on. test: judged rows.
    """

    number: int
    fold: int
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def draws_of(plan: Plan, amount: Amount, draws: int, seed: int) -> list[Draw]:
    """Draw by group, so that no group is learnt from and tuned on.

    Of shots min(shots, 4) further images per class are tuned on. Of a fraction it is the same fraction of the
    validation images where the split has some, else a grouped stratified eighth of the fraction itself, which is then
    not learnt from.

    Raises:
        EmbedkitError: nothing is left to tune on.
    """
    count = 1 if amount == Amount("fraction", 100) else draws
    found = []
    for number in range(count):
        for place, fold in enumerate(plan.folds):
            part = part_of(plan.train, fold, amount, seed, number, place)
            if part.val is None and amount.kind == "fraction":
                part = hold_out(plan, part, seed)
            if part.val is None:
                raise EmbedkitError(
                    f"{words_of(amount)} leave no images of other groups (patients) to tune on: ask for less, or leave "
                    "out the classes with the fewest groups"
                )
            found.append(Draw(number, place, part.train, part.val, part.test))
    return found


def hold_out(plan: Plan, fold: Fold, seed: int) -> Fold:
    """Return the fold with an eighth of its training images as validation images, stratified, by group."""
    labels, groups = plan.train.select_labels(fold.train), plan.train.groups[fold.train]
    count = inner_folds(labels, groups, VALIDATION_PARTS)
    if not count:
        return fold
    learnt, held = grouped_folds(labels, groups, count, seed)[0]
    return Fold(fold.train[learnt], fold.train[held], fold.test)


def together(draws: Sequence[Draw], width: int) -> Iterator[list[Draw]]:
    """Yield draws with as many images each, as many as may be computed at once.

    Args:
        width: numbers per image.
    """
    sizes = [(len(one.train), len(one.val), len(one.test)) for one in draws]
    for size in dict.fromkeys(sizes):
        same = [one for one, its in zip(draws, sizes, strict=True) if its == size]
        most = max(1, _AT_ONCE // (sum(size) * width))
        yield from (same[start : start + most] for start in range(0, len(same), most))


def words_of(amount: Amount) -> str:
    """Return an amount as a sentence says it."""
    return f"{amount.size:g} {'shots' if amount.kind == 'shots' else '% of the training images'}"
