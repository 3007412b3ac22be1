"""`probe`: a classifier on frozen embeddings, judged on images of patients it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from embedkit.cache import EmbeddingSet
from embedkit.cost import Cost, measured
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


@dataclass(frozen=True)
class Fits:
    """The fits of all folds, what they cost, and how many had not converged."""

    folds: list[FoldFit]
    cost: Cost
    unconverged: int


class Kept:
    """The last fits, for a probe of the same embeddings, unchanged since, that only judges them otherwise."""

    def __init__(self) -> None:
        self._of: tuple[EmbeddingSet, EmbeddingSet | None, Settings] | None = None
        self._fits: Fits | None = None

    def find(self, train: EmbeddingSet, test: EmbeddingSet | None, settings: Settings) -> Fits | None:
        """Return the fits, where they would be the same."""
        if self._of is None or self._of[0] is not train or self._of[1] is not test:
            return None
        return self._fits if self._of[2] == settings.of_fits() else None

    def keep(self, train: EmbeddingSet, test: EmbeddingSet | None, settings: Settings, fits: Fits) -> None:
        """Keep them in the place of the last ones."""
        self._of, self._fits = (train, test, settings.of_fits()), fits


def probe(
    train: EmbeddingSet,
    test: EmbeddingSet | None = None,
    *,
    progress: Progress | None = None,
    kept: Kept | None = None,
    **choices: Any,
) -> ProbeResult:
    """Fit a classifier on embeddings and judge it, with 95 % intervals.

    Without ``test``, the set's published split is used where it has one, else every image is judged by a classifier
    fitted on other groups (stratified folds). The parameter (C, k, shrinkage) is chosen on the validation images where
    the split has some, else by folds of the training images; never on judged ones.

    Args:
        train: embeddings to learn from. test: another set with the same classes and encoder to judge on.
        progress: told of each fit. kept: of the probe before; fits that would be the same are not made again.
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
    kept = kept or Kept()
    known = kept.find(train, test, settings)
    parts = sum(draws_of(amount, settings) for amount in amounts if not amount.whole)
    total = len(plan.folds) * (parts + (known is None))
    tell.start(f"{train.name}: {settings.classifier} on {train.encoder}", total, "fits")
    try:
        fits = known or _fit(fitter, plan, tell)
        kept.keep(train, test, settings, fits)
        evidence = Evidence(
            plan,
            [fit.scores for fit in fits.folds],
            [fit.temperature for fit in fits.folds],
            fitter.head.probabilistic,
            settings.judged_level,
        )
        with counted_convergence() as unconverged:
            curve = learning_curve(fitter, plan, settings, amounts, fits.folds, tell)
    finally:
        tell.stop()
    result = conclude(train, test, evidence, settings)
    notes = [*result.notes, *_on_choices(fits.folds)]
    if stopped := fits.unconverged + len(unconverged):
        notes.append(f"{stopped} fits stopped before they had converged")
    return replace(
        result,
        selected=_selected(fits.folds, GRIDS[settings.classifier]),
        learning_curve=curve,
        notes=notes,
        cost={**fits.cost.to_dict(), **result.cost},
    )


def make_fitter(settings: Settings) -> Fitter:
    """Return the head of the settings with what it is tuned over."""
    from embedkit.probing.heads.classifiers import make_head

    head = make_head(settings.classifier, settings.class_weight, settings.device)
    return Fitter(head, GRIDS[settings.classifier], settings.standardise, settings.folds, settings.seed)


def _fit(fitter: Fitter, plan: Plan, progress: Progress) -> Fits:
    with counted_convergence() as unconverged, measured() as meter:
        folds = fit_folds(fitter, plan, progress)
    return Fits(folds, meter.cost, len(unconverged))


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
