"""`probe`: a classifier on frozen embeddings, judged on images of patients it has not seen."""

import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numpy as np

from embedkit._version import __version__
from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError, unknown_name
from embedkit.probing.bootstrap import LEVEL, intervals
from embedkit.probing.evidence import Evidence, counts
from embedkit.probing.metrics import NAMES, measure
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.result import ProbeResult
from embedkit.probing.select import GRIDS, Choice, Fitter, choose
from embedkit.probing.threads import counted_convergence, side_by_side

# The kernel of this many images takes 3 GB in double precision.
KERNEL_ROWS = 20_000

# numpy's generators take 32 bits, and the folds need a few seeds behind the one given.
MAX_SEED = 2**31

Progress = Callable[[str], None]


def probe(
    train: EmbeddingSet,
    test: EmbeddingSet | None = None,
    *,
    classifier: str = "logistic",
    target: str | None = None,
    group: str | None = None,
    seed: int = 0,
    folds: int = 5,
    replicates: int = 2000,
    standardise: bool = True,
    progress: Progress | None = None,
) -> ProbeResult:
    """Fit a classifier on embeddings and judge it, with 95 % intervals.

    Judged are, in this order: the images of ``test``; the test images of the set's published split; else all
    images, each by the one of several grouped stratified folds that did not learn from its group. C is chosen on
    the split's validation images, else by grouped folds of the training images; never on judged ones.

    Args:
        train: what to learn from. test: another set with the same classes, embedded by the same encoder.
        classifier: a name in `GRIDS`: ``logistic``, ``svm-linear`` or ``svm-rbf``.
        target: what to predict, by default the set's first target.
        group: the column of patients or lesions, by default ``group``.
        seed: of folds and bootstrap. folds: how many. replicates: of the bootstrap.
        standardise: shift and scale features to mean 0 and deviation 1 over the training rows.
        progress: told in words what is being done.

    Raises:
        EmbedkitError: unknown names; embeddings that are not finite or not of one encoder; labels or groups that
            permit no honest judgement.
    """
    _refuse_settings(classifier, seed, folds, replicates)
    tell = progress or (lambda _: None)
    plan = make_plan(train, test, target, group, folds, seed)
    _refuse_large_kernel(classifier, plan)
    started, processor = time.perf_counter(), time.process_time()
    with counted_convergence() as unconverged:
        choices, scores, fit_seconds = _fit(plan, classifier, standardise, folds, seed, tell)
    fitted = time.perf_counter()
    tell(f"{classifier}: {replicates} bootstrap replicates")
    evidence = Evidence(plan, choices, np.concatenate(scores), len(unconverged))
    found = intervals(lambda W: measure(evidence.judged, W), evidence.groups(), replicates, seed)
    labels, learnt = plan.train.labels, evidence.learnt()
    return ProbeResult(
        data=train.name,
        test=train.name if test is None else test.name,
        model=train.encoder,
        key=train.key,
        classifier=classifier,
        target=labels.name,
        n_train=len(learnt),
        n_test=len(evidence.rows),
        n_groups=int(evidence.groups().max()) + 1,
        classes=list(labels.classes),
        **dict(zip(NAMES, found, strict=False)),
        per_class=evidence.per_class(found[len(NAMES) :]),
        selected=evidence.selected(GRIDS[classifier]),
        leakage=evidence.leaked,
        baselines=[],
        cost={
            "choice_seconds": fitted - started - fit_seconds,
            "fit_seconds": fit_seconds,
            "interval_seconds": time.perf_counter() - fitted,
            "processor_seconds": time.process_time() - processor,
        },
        protocol={
            "split": plan.kind,
            "folds": len(plan.folds) if plan.kind == "folds" else None,
            "folds_asked": folds,
            "group": group or ("group" if "group" in train.table else None),
            "standardised": standardise,
            "seed": seed,
            "replicates": replicates,
            "level": LEVEL,
            "features": train.X.shape[1],
            "multilabel": not labels.exclusive,
            "class_counts": {
                "train": counts(labels.classes, labels.truth[learnt]),
                "test": counts(labels.classes, evidence.judged.truth),
            },
            "versions": {"embedkit": __version__} | {name: version(name) for name in ("numpy", "scikit-learn")},
        },
        notes=[*_unread(train, test), *evidence.notes()],
        predictions=evidence.predictions(),
    )


def _unread(train: EmbeddingSet, test: EmbeddingSet | None) -> list[str]:
    return [
        f"{len(one.failed)} images of {one.name} could not be embedded and are not in these numbers: "
        + ", ".join(one.failed["path"].head(3).map(repr))
        + (" and others" if len(one.failed) > 3 else "")
        for one in (train, test)
        if one is not None and len(one.failed)
    ]


def _fit(
    plan: Plan, classifier: str, standardise: bool, folds: int, seed: int, tell: Progress
) -> tuple[list[Choice], list[np.ndarray], float]:
    from embedkit.probing.heads import make_head

    fitter = Fitter(make_head(classifier), GRIDS[classifier], standardise)
    choices, scores, seconds = [], [], 0.0
    for number, fold in enumerate(plan.folds, start=1):
        where = f", fold {number} of {len(plan.folds)}" if len(plan.folds) > 1 else ""
        tell(f"{classifier}: choosing C{where}")
        choice = choose(fitter, plan.train, fold, folds, seed)
        tell(f"{classifier}: fitting C = {choice.C:g}{where}")
        started = time.perf_counter()
        score = partial(fitter.scores, plan.train, fold.fitted(), plan.test, fold.test)
        found = side_by_side(score, [(choice.C,)])
        seconds += time.perf_counter() - started
        choices.append(choice)
        scores.append(found[0][0])
    return choices, scores, seconds


def check_classifier(classifier: str) -> None:
    """Refuse a classifier that does not exist.

    Raises:
        EmbedkitError: with the closest names and all of them.
    """
    if classifier not in GRIDS:
        raise unknown_name("classifier", classifier, GRIDS, f"There are {', '.join(GRIDS)}.")


def _refuse_settings(classifier: str, seed: int, folds: int, replicates: int) -> None:
    check_classifier(classifier)
    for name, value, least in (("seed", seed, 0), ("folds", folds, 2), ("replicates", replicates, 1)):
        if value < least:
            raise EmbedkitError(f"{name} = {value} is too small: give {least} or more")
    if seed > MAX_SEED:
        raise EmbedkitError(f"seed = {seed} is too large: give {MAX_SEED} or less")


def _refuse_large_kernel(classifier: str, plan: Plan) -> None:
    rows = max(len(fold.fitted()) for fold in plan.folds)
    if classifier.startswith("svm") and rows > KERNEL_ROWS:
        raise EmbedkitError(
            f"{classifier} keeps a matrix of {rows} x {rows} numbers, {rows**2 * 8 / 1e9:.0f} GB, for {rows} training "
            f"images, and {KERNEL_ROWS} is the limit: use the classifier logistic"
        )
