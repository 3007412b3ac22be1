"""One fold of a plan: a network is built, trained where an earlier run left it, and scores the judged images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedkit import encoders, images
from embedkit.baselines import network
from embedkit.baselines.course import Course
from embedkit.baselines.pixels import Pixels
from embedkit.baselines.recipe import Recipe
from embedkit.baselines.training import Lesson, Trainer
from embedkit.cost import Cost, measured
from embedkit.extraction import Progress
from embedkit.probing.fitting import temperature_of
from embedkit.probing.heads.balance import row_weights
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.plan import Plan
from embedkit.probing.settings import Settings
from embedkit.probing.splits import Fold, grouped_folds, inner_folds

# One part in so many of the training images chooses the epoch where the set has no validation images.
VALIDATION_PARTS = 8


@dataclass(frozen=True)
class FoldFit:
    """What one fold gave: how its training went, the judged scores (m, K), their temperature or None, what it cost."""

    course: Course
    scores: np.ndarray
    temperature: float | None
    by: str
    n_val: int
    cost: Cost


@dataclass(frozen=True)
class Training:
    """Everything but the images that the networks of all folds share.

    Attributes:
        card: of the architecture. weights: to start from, None for random ones. preprocessing: of every image.
        recipe, settings: as asked. device, precision: as found here where they were not asked.
    """

    card: encoders.EncoderCard
    weights: encoders.Weights | None
    preprocessing: encoders.Preprocessing
    recipe: Recipe
    settings: Settings
    device: str
    precision: str

    def describe(self) -> dict[str, Any]:
        """Return, in the types of JSON, everything of the training that changes the network."""
        chosen = asdict(replace(self.recipe, weights=None, lr=self.recipe.learning_rate))
        for name in ("arch", "device", "precision"):
            chosen.pop(name)
        start = None if self.weights is None else encoders.weights_digest(self.weights.path)
        return {
            **chosen,
            "weights": start,
            "encoder": self.card.source,
            "preprocessing": self.preprocessing.describe(),
            "decoder": images.POLICY,
            "precision": self.precision,
        }


def prepare(recipe: Recipe, settings: Settings) -> Training:
    """Find the architecture, the weights and the device, and refuse what is not there.

    Raises:
        EmbedkitError: an unknown name, absent weights, a device on which nothing can be computed.
    """
    from embedkit.encoders.engines.eager import check_device

    card = network.card_of(recipe.arch)
    weights = None if recipe.weights is None else encoders.find_weights(card, recipe.weights, fetch=False)
    device = recipe.device or encoders.default_device()
    precision = recipe.precision or encoders.default_precision(card)
    check_device(device)
    return Training(card, weights, network.whole_image(card, recipe.size), recipe, settings, device, precision)


def fit_fold(
    plan: Plan, number: int, job: Training, pixels: Sequence[Pixels], place: Path, progress: Progress
) -> FoldFit:
    """Train the network of one fold of a plan and score the images that it judges.

    Args:
        pixels: of the set that is learnt from and, where there is another one, of the judged set.
        place: the folder of the states of all folds. progress: told of every step.

    Raises:
        EmbedkitError, Interrupted: as `Trainer.run`.
    """
    fold, sample, seed = plan.folds[number], plan.train, job.settings.seed
    train, val, by = _validation(plan, fold, seed)
    labels = sample.labels
    truth = labels.truth[train]
    lesson = Lesson(
        pixels=pixels[0].data,
        rows=_pixel_rows(sample.X[train]),
        truth=truth,
        weights=row_weights(job.settings.class_weight, truth, labels.exclusive, np.arange(len(labels.classes))),
        val_rows=_pixel_rows(sample.X[val]),
        val_truth=labels.truth[val],
        exclusive=labels.exclusive,
        seed=seed,
        fold=number,
    )
    path = None if job.weights is None else job.weights.path
    built = network.build(job.card, len(labels.classes), path, job.recipe.size, seed)
    trainer = Trainer(
        built,
        lesson,
        job.recipe,
        job.preprocessing,
        device=job.device,
        precision=job.precision,
        place=place / f"fold-{number}.safetensors",
    )
    where = f", fold {number + 1} of {len(plan.folds)}" if len(plan.folds) > 1 else ""
    course = trainer.run(f"{job.card.slug}{where}", progress)
    judged = plan.test.X[fold.test]
    with measured() as meter:
        scores = trainer.scores(pixels[int(judged[0, 1])].data, _pixel_rows(judged))
        known = trainer.scores(lesson.pixels, lesson.val_rows) if len(val) else None
        meter.multiply_adds = trainer.passes(len(judged) + len(val))
    temperature = None
    if known is not None:
        chosen_on = Judged(lesson.val_truth, known, np.zeros(len(val), np.int64), labels.exclusive)
        temperature = temperature_of(chosen_on, course.ranked)
    return FoldFit(course, scores, temperature, by, len(val), course.cost + meter.cost)


def _pixel_rows(X: np.ndarray) -> np.ndarray:
    return X[:, 0].astype(np.int64)


def _validation(plan: Plan, fold: Fold, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the images to learn from, those that choose the epoch, and in words which these are."""
    if fold.val is not None:
        return fold.train, fold.val, "validation images"
    sample = plan.train
    labels, groups = sample.select_labels(fold.train), sample.groups[fold.train]
    count = inner_folds(labels, groups, VALIDATION_PARTS)
    if not count:
        why = "default: the last epoch, because no class lies in 2 groups of the training images"
        return fold.train, np.empty(0, np.int64), why
    learnt, held = grouped_folds(labels, groups, count, seed)[0]
    return fold.train[learnt], fold.train[held], f"a grouped stratified 1/{count} of the training images"
