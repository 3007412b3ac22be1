"""Which images are learnt from and which are judged, decided once and checked before anything is fitted."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.judgeable import (
    held_classes,
    notes_on_judged,
    notes_on_sites,
    refuse_one_class,
    sides_of,
    with_validation,
)
from embedkit.probing.levels import (
    grouped_by_units,
    level_columns,
    notes_on_differing,
    pool_embeddings,
    refuse_across_groups,
)
from embedkit.probing.sample import Sample, read_sample
from embedkit.probing.settings import Settings
from embedkit.probing.splits import Fold, count_folds, grouped_folds, learnable, other_fold, published_fold, site_folds
from embedkit.probing.subgroups import parse_by
from embedkit.probing.target import as_names, choose_target, listed
from embedkit.probing.views import Views, join_views, read_views, views_column

REPEAT_STRIDE = 1000


@dataclass(frozen=True)
class Plan:
    """The images and their folds.

    Attributes:
        kind: ``published`` (the set's own split), ``other set`` (judged on another one), ``folds``, ``sites``, or
            ``untrained`` (nothing is learnt).
        train: what the folds' train and val point into.
        test: what their test points into; the same as ``train`` without another set.
        folds: one, or several that together judge every image once, or once in each repeat.
        notes: what a reader must know.
    """

    kind: str
    train: Sample
    test: Sample
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]


def make_plan(train: EmbeddingSet, test: EmbeddingSet | None, settings: Settings) -> Plan:
    """Decide the protocol: another set where one is given, else sites, the published split, or grouped folds.

    Raises:
        EmbedkitError: the sets don't fit together, or their labels or groups permit no honest judgement.
    """
    name = choose_target(settings.target, train.targets, train.name)
    _refuse_contradictions(settings, test)
    extra = columns_of(settings, test is None)
    sample = read_sample(train, name, train.targets[name], settings.group, extra=extra, level=settings.level)
    views = read_views(settings.views, sample) if settings.views else None
    sample = pooled(sample, settings, views)
    if test is not None:
        return _other_set(train, sample, test, settings, views)
    if settings.sites:
        return _by_sites(train, sample, settings.sites)
    fold = published_fold(sample) if settings.split == "published" else None
    if fold is None:
        return _cross_validated(train, sample, settings)
    if settings.repeats > 1:
        raise EmbedkitError(
            f"{train.name} has a published split, which can't be repeated: leave repeats out, or choose split folds"
        )
    return _published(train, sample, fold)


def pooled(sample: Sample, settings: Settings, views: Views | None) -> Sample:
    """Return the sample at the level and with the views that its embeddings are asked to have.

    Raises:
        EmbedkitError: the units of the level, pooled here or judged together later, don't fit the labels or groups.
    """
    if settings.level != "image":
        sample = grouped_by_units(sample, settings.level)
        by = [column for column, _ in map(parse_by, settings.by) if column in sample.extra]
        sample = replace(sample, notes=(*sample.notes, *notes_on_differing(sample, settings.level, by)))
    how = "max" if settings.pool == "embeddings-max" else "mean"
    if views is not None:
        return join_views(sample, views, settings.level, how)
    if settings.judged_level != settings.level:
        return pool_embeddings(sample, settings.level, how)
    if settings.level != "image":
        refuse_across_groups(sample, settings.level)
    return sample


def _refuse_contradictions(settings: Settings, test: EmbeddingSet | None) -> None:
    given = [
        settings.sites and "sites",
        settings.repeats > 1 and "repeats",
        settings.split == "folds" and "split folds",
    ]
    several = [name for name in given if name]
    if test is not None and several:
        raise EmbedkitError(
            f"{several[0]} cuts one set and {test.name} is another one to judge on: leave out one of the two"
        )
    if settings.sites and len(several) > 1:
        raise EmbedkitError(f"sites are held out in turn, which {several[1]} can't change: leave out one of the two")


def columns_of(settings: Settings, judged: bool) -> list[str]:
    """Return the columns that a protocol reads of a set, whether it is judged or only learnt from."""
    level = level_columns(settings.level)
    by = [column for column, _ in map(parse_by, settings.by)] if judged else []
    views = [views_column(settings.views)] if settings.views else []
    wanted = [*level, *views, *by, *([settings.sites] if settings.sites else [])]
    return list(dict.fromkeys(wanted))


def _other_set(
    train: EmbeddingSet, sample: Sample, test: EmbeddingSet, settings: Settings, views: Views | None
) -> Plan:
    _refuse_other_vectors(train, test)
    name, targets = sample.labels.name, test.targets
    notes = list(sample.notes)
    if name not in targets and len(targets) == 1:
        notes.append(f"the target '{name}' of {train.name} is taken to be '{next(iter(targets))}' of {test.name}")
        columns = next(iter(targets.values()))
    else:
        columns = targets[choose_target(name, targets, test.name)]
    if not sample.labels.exclusive and set(columns) == set(sample.labels.classes):
        columns = sample.labels.classes
    if sample.labels.exclusive != (len(columns) == 1) or (len(columns) > 1 and columns != sample.labels.classes):
        raise EmbedkitError(
            f"the labels of {test.name} ({listed(columns)}) are not those of {train.name} "
            f"({listed(train.targets[name])}): judge on a set that has the same labels"
        )
    group = settings.group
    grouping = group if group is None or group in test.table else None
    if grouping != group:
        notes.append(f"{test.name} has no column '{group}': its images are resampled by its own groups")
    extra = columns_of(settings, judged=True)
    judged = read_sample(test, name, columns, grouping, sample.labels.classes, extra, settings.level)
    judged = pooled(judged, settings, views)
    plan = Plan("other set", sample, judged, (other_fold(sample, judged),), (*notes, *judged.notes))
    return _checked(plan)


def _published(train: EmbeddingSet, sample: Sample, fold: Fold) -> Plan:
    placed = np.flatnonzero(sample.split != "")
    notes = list(sample.notes)
    if len(placed) < len(sample):
        notes.append(f"{len(sample) - len(placed)} images of {train.name} are in no split and were left out")
        sample = sample.select(placed)
        # A class that only such images have is no class of this split.
        sample = replace(sample, labels=held_classes(sample.labels))
        fold = published_fold(sample) or fold
    return _checked(Plan("published", sample, sample, (fold,), tuple(notes)))


def _by_sites(train: EmbeddingSet, sample: Sample, column: str) -> Plan:
    sites = as_names(pd.Series(sample.extra[column]))
    placed = np.flatnonzero(sites.notna())
    notes = list(sample.notes)
    if len(placed) < len(sample):
        notes.append(f"{len(sample) - len(placed)} images of {train.name} have no '{column}' and were left out")
        sample, sites = sample.select(placed), sites.iloc[placed]
    sample = replace(sample, labels=held_classes(sample.labels))
    refuse_one_class(sample.labels)
    cuts = site_folds(sample, sites.to_numpy(str))
    if len(cuts) < 2:
        raise EmbedkitError(
            f"all images of {train.name} have the same '{column}', and holding out sites needs two: "
            "choose another column, or leave sites out"
        )
    notes += notes_on_sites(sample.labels, column, [(site, judged) for site, _, judged in cuts])
    for site, learnt, judged in cuts:
        lost = len(sample) - len(learnt) - len(judged)
        if lost:
            notes.append(f"while '{site}' is judged, {lost} images elsewhere of its groups are not learnt from")
        held = (sample.labels.truth[learnt] == 1).any(axis=0)
        asked = (sample.labels.truth[judged] == 1).any(axis=0)
        if held.sum() < (2 if sample.labels.exclusive else 1):
            raise EmbedkitError(
                f"without the images of '{site}' there are no two classes of the target '{sample.labels.name}' to "
                f"learn from: choose another column than '{column}', or another target"
            )
        alone = [
            name for name, here, there in zip(sample.labels.classes, asked, held, strict=True) if here and not there
        ]
        if alone:
            outcome = (
                "no AUC there, and its images of them count as errors"
                if sample.labels.exclusive
                else "an AUC of .5 there"
            )
            notes.append(f"only '{site}' has {listed(alone)}: {outcome}")
    folds = tuple(Fold(learnt, None, judged) for _, learnt, judged in cuts)
    return Plan("sites", sample, sample, folds, tuple(notes))


def _cross_validated(train: EmbeddingSet, sample: Sample, settings: Settings) -> Plan:
    refuse_one_class(sample.labels)
    count, note = count_folds(sample.labels, sample.groups, settings.folds)
    # Each repeat shuffles with a seed of its own, far from those that a repeat may try.
    cuts = [
        grouped_folds(sample.labels, sample.groups, count, settings.seed + REPEAT_STRIDE * repeat)
        for repeat in range(settings.repeats)
    ]
    if not all(learnable(sample.labels, [rows for rows, _ in cut]) for cut in cuts):
        raise EmbedkitError(
            f"the groups of {train.name} can't be cut into {count} folds with every class of the target "
            f"'{sample.labels.name}' in each training part: ask for fewer folds, or choose another --group or --target"
        )
    notes = list(sample.notes)
    if (sample.split != "").any() and settings.split == "published":
        notes.append(
            f"{train.name} names no {'test' if (sample.split == 'train').any() else 'training'} images, "
            "so all of its images are judged by folds"
        )
    if note:
        notes.append(note)
    folds = tuple(Fold(rows, None, judged) for cut in cuts for rows, judged in cut)
    return Plan("folds", sample, sample, folds, tuple(notes))


def _checked(plan: Plan) -> Plan:
    """Return a plan of one fold with notes on classes that can't be judged, or that can't be chosen on.

    Raises:
        EmbedkitError: too little to learn from, a class that only judged images have, or one class judged.
    """
    labels = plan.train.labels
    fold = plan.folds[0]
    fitted, judged = labels.truth[fold.fitted()], plan.test.labels.truth[fold.test]
    refuse_one_class(replace(labels, truth=fitted))
    for k, name in enumerate(labels.classes):
        for value in sides_of(judged[:, k]) - sides_of(fitted[:, k]):
            raise EmbedkitError(
                f"{(judged[:, k] == value).sum()} test images {'hold' if value else 'do not hold'} '{name}' of the "
                f"target '{labels.name}' and no training image does: leave them out, or move some of them to the "
                "training images"
            )
    fold, of_choice = with_validation(labels, fold)
    return replace(plan, folds=(fold,), notes=(*plan.notes, *notes_on_judged(labels, judged), *of_choice))


def _refuse_other_vectors(train: EmbeddingSet, test: EmbeddingSet) -> None:
    if (train.encoder, train.key) != (test.encoder, test.key):
        raise EmbedkitError(
            f"the embeddings of {train.name} are by {train.encoder} {train.key} and those of {test.name} by "
            f"{test.encoder} {test.key}: extract both with the same model, weights and precision"
        )
    if train.X.shape[1] != test.X.shape[1]:
        raise EmbedkitError(
            f"the embeddings of {train.name} have {train.X.shape[1]} dimensions and those of {test.name} "
            f"{test.X.shape[1]}: extract both with the same model"
        )
    if train.X.shape == test.X.shape and np.array_equal(train.X, test.X):
        raise EmbedkitError(
            f"the test set {test.name} is the training set: name another set to judge on, or leave --test out"
        )
