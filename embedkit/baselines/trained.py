"""`train`: a network trained end to end, judged on the images and in the numbers of a probe."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from embedkit.baselines.fold import FoldFit, Training, fit_fold, prepare
from embedkit.baselines.pixels import Pixels, as_embeddings, decode_once
from embedkit.baselines.published import beside, in_common
from embedkit.baselines.recipe import Recipe
from embedkit.cache import EmbeddingSet, cache_key
from embedkit.cache.errors import writing_to
from embedkit.cache.sealed import sweep
from embedkit.cost import Cost
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress, Silent
from embedkit.probing import ProbeResult
from embedkit.probing.conclude import conclude
from embedkit.probing.evidence import Evidence
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.settings import Settings


def train(
    dataset: ImageSet,
    test: ImageSet | None,
    recipe: Recipe,
    settings: Settings,
    *,
    workspace: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ProbeResult:
    """Train a network end to end and judge it as a probe of the same settings is judged, on the same images.

    The protocol is the probe's: another set where one is given, else the published split, else grouped folds, each
    with a network of its own, so that a set without a test split costs ``settings.folds`` trainings. The epoch is
    chosen on the split's validation images, else on a grouped stratified eighth of the training images; never on
    judged ones. With the same seed, machine and number of threads the result is the same to the bit on a CPU.

    Args:
        dataset: the images. test: another set with the same classes to judge on.
        recipe: of the training. settings: of the judgement, as for the probe; ``class_weight="balanced"`` weighs
            each class alike in the loss, and the settings of a head and of a learning curve have no effect.
        workspace: the folder (that of the caches) in which decoded pixels and the state after each epoch are kept,
            under ``NAME/.trained``. Killed, a run goes on after the last finished epoch; the weights stay there.
        workers: decoding processes, by default one per core. progress: told of every step.

    Returns:
        A result with ``classifier`` "trained" (from random weights) or "fine-tuned", ``model`` the architecture, and
        ``cost`` with the entries of `embedkit.cost.Cost` for decoding, training and scoring, without the intervals.

    Raises:
        EmbedkitError: unknown names, weights that don't fit, no readable image, labels or groups that permit no
            honest judgement, a full disk.
        Interrupted: Ctrl-C; finished epochs are kept.
    """
    _refuse(settings)
    job, tell = prepare(recipe, settings), progress or Silent()
    sets = [one for one in (dataset, test) if one is not None]
    # Labels and groups that permit no judgement are told before the minutes of decoding.
    make_plan(*_tables(sets, job), settings)
    folder = workspace / dataset.name / ".trained"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    pixels = [decode_once(one, job.preprocessing, folder, workers, tell) for one in sets]
    known, unseen = _tables(sets, job, pixels)
    plan = make_plan(known, unseen, settings)
    tables = [one for one in (known, unseen) if one is not None]
    # A network that is only judged otherwise is the same network.
    place = folder / f"{job.card.slug}.{_key(job, tables, settings.of_fits())}"
    lock = FileLock(folder / f".{place.name}.lock")
    with writing_to(folder):
        lock.acquire()
    try:
        sweep(place)
        fits = [fit_fold(plan, number, job, pixels, place, tell) for number in range(len(plan.folds))]
    finally:
        lock.release()
    result = _judge(plan, known, unseen, fits, job, _key(job, tables, settings))
    total = sum((fit.cost for fit in fits), sum((one.cost for one in pixels), Cost()))
    for one in pixels:
        one.remove()
    notes = [*(in_common(dataset, test) if test is not None else []), *result.notes]
    cost = {**total.to_dict(), **result.cost}
    return replace(result, baselines=beside(result, test or dataset), cost=cost, notes=notes)


def _refuse(settings: Settings) -> None:
    if settings.judged_level != settings.level:
        raise EmbedkitError(
            "a trained network has no embeddings to pool: choose the pool 'probabilities', and leave out views"
        )
    if settings.fractions or settings.shots:
        raise EmbedkitError("a trained network has no learning curve here: leave out fractions and shots")


def _tables(
    sets: Sequence[ImageSet], job: Training, pixels: Sequence[Pixels] = ()
) -> tuple[EmbeddingSet, EmbeddingSet | None]:
    tables = [
        as_embeddings(one, job.card.slug, number, pixels[number] if pixels else None) for number, one in enumerate(sets)
    ]
    return tables[0], tables[1] if len(tables) > 1 else None


def _key(job: Training, tables: Sequence[EmbeddingSet], settings: Settings) -> str:
    sets = [[one.name, one.targets, one.table.to_csv(index=False)] for one in tables]
    text = json.dumps([sets, settings.to_dict()], sort_keys=True, default=str)
    return cache_key({"training": job.describe(), "judged": text})


def _judge(
    plan: Plan, train: EmbeddingSet, test: EmbeddingSet | None, fits: Sequence[FoldFit], job: Training, key: str
) -> ProbeResult:
    """Return the result as a probe's, with what concerns the classifier exchanged."""
    evidence = Evidence(plan, [fit.scores for fit in fits], [fit.temperature for fit in fits], True, job.settings.level)
    result = conclude(train, test, evidence, job.settings, model=job.card.slug)
    best, curves = [fit.course.best for fit in fits], [[row["auc"] for row in fit.course.history] for fit in fits]
    one = len(fits) == 1
    settings = {k: v for k, v in result.protocol["settings"].items() if k not in ("classifier", "standardise")}
    training = {
        **job.describe(),
        "device": job.device,
        "validation_images": [fit.n_val for fit in fits],
        "failed": result.protocol["failed"],
    }
    notes = [*result.notes, *_notes(fits, job)]
    return replace(
        result,
        key=key,
        classifier="trained" if job.weights is None else "fine-tuned",
        selected={
            "parameter": "epoch",
            "epoch": best[0] if one else best,
            "chosen_by": "; ".join(dict.fromkeys(fit.by for fit in fits)),
            "grid": list(range(1, job.recipe.epochs + 1)),
            "scores": curves[0] if one else curves,
        },
        protocol={**result.protocol, "features": None, "settings": settings, "training": training},
        notes=notes,
    )


def _notes(fits: Sequence[FoldFit], job: Training) -> list[str]:
    def of(count: int) -> str:
        return "" if len(fits) == 1 else f" in {count} of {len(fits)} folds"

    notes = []
    if late := sum(fit.course.best == job.recipe.epochs for fit in fits):
        notes.append(
            f"the best epoch is the last{of(late)}: more epochs might do better, and the trained network is understated"
        )
    if blind := sum(fit.n_val > 0 and not fit.course.ranked for fit in fits):
        notes.append(
            f"no class has both sides in the validation images{of(blind)}: their loss chose the epoch, and no "
            "temperature is fitted on them"
        )
    return notes
