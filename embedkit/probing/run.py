"""`probe`: a classifier on frozen embeddings, judged on images of patients it has not seen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embedkit.cache import EmbeddingSet
from embedkit.cost import measured
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress, Silent
from embedkit.probing.conclude import conclude
from embedkit.probing.evidence import Evidence
from embedkit.probing.fitting import Fitter, FoldFit, fit_folds
from embedkit.probing.heads.grids import GRIDS, Grid
from embedkit.probing.learning_curve import amounts_of, draws_of, learning_curve
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.result import ProbeResult
from embedkit.probing.settings import Settings
from embedkit.probing.threads import counted_convergence

# The kernel of this many images takes 3 GB in double precision.
KERNEL_ROWS = 20_000


def probe(
    train: EmbeddingSet, test: EmbeddingSet | None = None, *, progress: Progress | None = None, **choices: Any
) -> ProbeResult:
    """Fit a classifier on embeddings and judge it, with 95 % intervals.

    Without ``test``, the set's published split is used where it has one, else every image is judged by a classifier
    fitted on other groups (stratified folds). The parameter (C, k, shrinkage) is chosen on the validation images where
    the split has some, else by folds of the training images; never on judged ones.

    Args:
        train: embeddings to learn from. test: another set with the same classes and encoder to judge on.
        progress: told of each fit.
        choices: as in `Settings`.

    Raises:
        EmbedkitError: unknown names; embeddings that are not finite or not of one encoder; labels or groups that
            permit no honest judgement.
    """
    settings = Settings.of(**choices)
    tell = progress or Silent()
    plan = make_plan(train, test, settings)
    refuse_large_kernel(settings.classifier, plan)
    fitter, amounts = make_fitter(settings), amounts_of(plan, settings)
    parts = sum(draws_of(amount, settings) for amount in amounts if not amount.whole)
    tell.start(f"{train.name}: {settings.classifier} on {train.encoder}", len(plan.folds) * (1 + parts), "fits")
    try:
        with counted_convergence() as unconverged:
            with measured() as meter:
                fits = fit_folds(fitter, plan, tell)
            evidence = Evidence(
                plan,
                [fit.scores for fit in fits],
                [fit.temperature for fit in fits],
                fitter.head.probabilistic,
                settings.judged_level,
            )
            curve = learning_curve(fitter, plan, settings, amounts, fits, tell)
    finally:
        tell.stop()
    result = conclude(train, test, evidence, settings)
    notes = [*result.notes, *_on_choices(fits)]
    if unconverged:
        notes.append(f"{len(unconverged)} fits stopped before they had converged")
    return replace(
        result,
        selected=_selected(fits, GRIDS[settings.classifier]),
        learning_curve=curve,
        notes=notes,
        cost={**meter.cost.to_dict(), **result.cost},
    )


def make_fitter(settings: Settings) -> Fitter:
    """Return the head of the settings with what it is tuned over."""
    from embedkit.probing.heads.classifiers import make_head

    head = make_head(settings.classifier, settings.class_weight)
    return Fitter(head, GRIDS[settings.classifier], settings.standardise, settings.folds, settings.seed)


def _selected(fits: Sequence[FoldFit], grid: Grid) -> dict[str, Any]:
    """Return the chosen value; with folds a list with one entry per fold."""
    values, scores = [fit.choice.value for fit in fits], [list(fit.choice.scores) for fit in fits]
    one = len(fits) == 1
    return {
        "parameter": grid.parameter,
        **({grid.parameter: values[0] if one else values} if grid.parameter else {}),
        "chosen_by": "; ".join(dict.fromkeys(fit.choice.by for fit in fits)),
        "grid": list(grid.values),
        "scores": scores[0] if one else scores,
    }


def _on_choices(fits: Sequence[FoldFit]) -> list[str]:
    edges = [fit.choice.parameter for fit in fits if fit.choice.at_edge]
    if not edges:
        return []
    where = "" if len(fits) == 1 else f" in {len(edges)} of {len(fits)} folds"
    return [f"the chosen {edges[0]} lies at the edge of the grid{where}: a wider grid might do better"]


def refuse_large_kernel(classifier: str, plan: Plan) -> None:
    """Refuse a support vector machine whose kernel would not fit into memory.

    Raises:
        EmbedkitError: more training rows than `KERNEL_ROWS`.
    """
    rows = max(len(fold.fitted()) for fold in plan.folds)
    if classifier.startswith("svm") and rows > KERNEL_ROWS:
        raise EmbedkitError(
            f"{classifier} keeps a matrix of {rows} x {rows} numbers, {rows**2 * 8 / 1e9:.0f} GB, for {rows} training "
            f"images, and {KERNEL_ROWS} is the limit: use the classifier logistic"
        )
