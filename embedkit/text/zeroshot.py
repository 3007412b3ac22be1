"""Zero-shot: images are told apart by the words for their classes alone, and judged as a probe is."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from embedkit.cache import EmbeddingSet, cache_key
from embedkit.encoders import TextTower, space, unit
from embedkit.errors import EmbedkitError
from embedkit.probing import Evidence, ProbeResult, Settings, conclude, fingerprint, plan_untrained
from embedkit.probing.measures.bootstrap import Interval, intervals
from embedkit.probing.measures.calibration import bins_moved, measure_calibration
from embedkit.probing.measures.metrics import measure
from embedkit.probing.plan import Plan
from embedkit.text.classes import ClassTexts, embed_classes
from embedkit.text.prompts import PromptSet
from embedkit.text.similarity import class_scores, label_scores

CLASSIFIER = "zero-shot"
NUMBERS = ("auc", "accuracy", "balanced_accuracy", "brier", "ece")
# The scale of a CLIP is the inverse of the temperature it was trained with; its probabilities are taken as they are.
TEMPERATURE = 1.0


def space_of(images: EmbeddingSet) -> str:
    """Return the space that the embeddings lie in, as `embedkit.encoders.space` names it; empty where nobody says."""
    if "space" in images.provenance:
        return str(images.provenance["space"])
    configuration = images.provenance.get("configuration", {}).get("encoder")
    return space(configuration) if configuration else ""


def refuse_other_space(images: EmbeddingSet, tower: TextTower) -> None:
    """Refuse texts that can't be compared with the images.

    Raises:
        EmbedkitError: the spaces differ, with both.
    """
    if space_of(images) != tower.space:
        raise EmbedkitError(
            f"the spaces differ: the embeddings of {images.name} lie in that of {images.encoder} "
            f"({space_of(images) or 'unknown'}), the texts in that of {tower.name} ({tower.space}). Take both "
            "towers of one checkpoint, with the same --weights, or align the images with the texts first"
        )


def zero_shot(
    images: EmbeddingSet,
    tower: TextTower,
    prompts: PromptSet,
    *,
    cache: Path | None = None,
    known: Callable[[str], ProbeResult | None] | None = None,
    **choices: Any,
) -> ProbeResult:
    """Classify images by the nearest class text, and judge that with 95 % intervals.

    The test images are judged where the split names some, else all that are labelled: those that a probe of the same
    set judges. Exclusive classes get the softmax over ``logit_scale * cosine``; each label of a multilabel target gets
    the softmax over the text that it holds and the one that it does not. Nothing is fitted, the calibration is that of
    the model's own scale.

    Args:
        images: embeddings after the projection. tower: the text tower of the same checkpoint.
        prompts: from `choose_prompts`. cache: the folder of all caches.
        known: gives the saved result of a fingerprint, where there is one; it is then not made again.
        choices: as in `Settings`.

    Returns:
        A result with ``classifier`` "zero-shot" and in its ``wording``: ``prompts``, ``text_encoder``, ``text_key``,
        ``logit_scale``; ``templates``, each with its ``auc``, ``accuracy``, ``balanced_accuracy``, ``brier`` and
        ``ece`` as intervals; ``spread`` of each of these over the templates (``lowest``, ``highest``, ``deviation``);
        ``texts`` of each class, ``cut`` (texts longer than the context, with how many tokens were not read).

    Raises:
        EmbedkitError: the spaces differ; as `embed_classes` and `embedkit.probing.plan_untrained`.
    """
    settings = Settings.of(**choices)
    refuse_other_space(images, tower)
    plan = plan_untrained(images, settings)
    labels = plan.test.labels
    texts = embed_classes(tower, labels.classes, prompts, target=labels.name, absent=not labels.exclusive, cache=cache)
    mark = cache_key({"probe": fingerprint(images, None, settings), "texts": [texts.key, texts.logit_scale]})
    if known is not None and (saved := known(mark)) is not None:
        return saved
    result = conclude(images, None, _evidence(plan, texts.W, texts.absent, texts.logit_scale, settings), settings)
    kept = {k: v for k, v in result.protocol["settings"].items() if k not in ("classifier", "standardise", "folds")}
    return replace(
        result,
        classifier=CLASSIFIER,
        calibration={
            **result.calibration,
            "temperature": TEMPERATURE,
            "fitted_on": "nothing: the model's own scale",
            "uncalibrated": None,
        },
        wording=_wording(plan, texts, settings),
        protocol={**result.protocol, "fingerprint": mark, "settings": kept},
        notes=[*result.notes, *notes_on(texts), *_met(images)],
    )


def _met(images: EmbeddingSet) -> list[str]:
    name = images.facts.get("aligned_with")
    return (
        [f"{images.encoder} has learnt from labels of {name}: this is no zero-shot in the strict sense"] if name else []
    )


def _evidence(plan: Plan, W: np.ndarray, absent: np.ndarray | None, scale: float, settings: Settings) -> Evidence:
    features = unit(plan.test.vectors(plan.folds[0].test))
    scores = class_scores(features, W, scale) if absent is None else label_scores(features, W, absent, scale)
    return Evidence(plan, [scores], [TEMPERATURE], probabilistic=True, level=settings.judged_level)


def _wording(plan: Plan, texts: ClassTexts, settings: Settings) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for number, template in enumerate(texts.templates):
        absent = None if texts.absent_per_template is None else texts.absent_per_template[number]
        evidence = _evidence(plan, texts.per_template[number], absent, texts.logit_scale, settings)
        rows.append({"template": template, **_numbers(evidence, settings)})
    values = {name: np.array([row[name]["value"] for row in rows], np.float64) for name in NUMBERS}
    return {
        "prompts": texts.prompts,
        "text_encoder": texts.tower,
        "text_key": texts.key,
        "logit_scale": texts.logit_scale,
        "templates": rows,
        "spread": {name: _spread(some) for name, some in values.items()},
        "texts": {label: [row[k] for row in texts.texts] for k, label in enumerate(texts.labels)},
        "cut": [{"text": text, "tokens": tokens} for text, tokens in texts.cut.items()],
    }


def _numbers(evidence: Evidence, settings: Settings) -> dict[str, Interval]:
    judged = evidence.judged
    of = judged.truth, np.asarray(evidence.uncalibrated), judged.exclusive

    def statistic(W: np.ndarray) -> np.ndarray:
        return np.concatenate([measure(judged, W)[:, :3], measure_calibration(*of, W)], axis=1)

    moved = {NUMBERS.index("ece"): partial(bins_moved, *of)}
    found = intervals(statistic, evidence.groups, settings.replicates, settings.seed, moved)
    return dict(zip(NUMBERS, found, strict=True))


def _spread(values: np.ndarray) -> dict[str, float | None]:
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"lowest": float(values.min()), "highest": float(values.max()), "deviation": deviation}


def notes_on(texts: ClassTexts) -> list[str]:
    """Return what a reader must know of the texts: what was cut, and which templates were left out."""
    notes = []
    if texts.cut:
        text, most = max(texts.cut.items(), key=lambda item: item[1])
        notes.append(
            f"{len(texts.cut)} prompts are longer than the {texts.context} tokens that {texts.tower} reads, and their "
            f"ends were cut: most of all, by {most} tokens, {text!r}"
        )
    if texts.left_out:
        notes.append(
            f"{len(texts.left_out)} of the templates of {texts.prompts} were left out, because not every class has a "
            "description (an absent label never has)"
        )
    return notes
