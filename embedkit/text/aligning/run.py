"""`align`: a projection from image embeddings to class texts, judged as a probe is judged."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedkit.cache import EmbeddingSet, cache_key
from embedkit.cost import measured
from embedkit.encoders import AlignedPair, TextTower, unit
from embedkit.errors import EmbedkitError, unknown_name
from embedkit.probing import Evidence, ProbeResult, Settings, conclude, fingerprint, make_plan
from embedkit.probing.measures.calibration import fit_temperature
from embedkit.probing.plan import Plan
from embedkit.probing.sample import Sample
from embedkit.probing.splits import Fold
from embedkit.text.aligning import projection
from embedkit.text.aligning.losses import check_loss
from embedkit.text.classes import ClassTexts, embed_classes
from embedkit.text.fewshot.draws import hold_out as held_out_fold
from embedkit.text.prompts import PromptSet
from embedkit.text.similarity import as_scores
from embedkit.text.zeroshot import notes_on

CLASSIFIER = "aligned"
Tell = Callable[[str], None]


def align(
    train: EmbeddingSet,
    test: EmbeddingSet | None,
    tower: TextTower,
    prompts: PromptSet,
    *,
    loss: str = "cross-entropy",
    hold_out: Sequence[str] = (),
    image_model: str = "",
    cache: Path | None = None,
    tell: Tell | None = None,
    known: Callable[[str], tuple[AlignedPair, ProbeResult] | None] | None = None,
    **choices: Any,
) -> tuple[AlignedPair, ProbeResult]:
    """Learn a linear projection of image embeddings to the texts of their classes, and a temperature.

    Both towers stay as they are. The projection sees unit embeddings less their mean. The number of steps and the L2
    penalty are chosen on the split's validation images, else on a grouped stratified eighth of the training images;
    never on judged ones. Images are classified by the nearest class text.

    Args:
        train: embeddings to learn from. test: another set with the same classes and encoder to judge on.
        tower, prompts: of the class texts. loss: a name of `LOSSES`.
        hold_out: classes whose images and texts are not learnt from; they are judged by their texts alone.
        image_model: what the image encoder is called by whoever asks for it, by default its plain name.
        cache: of the text embeddings. tell: told in words what is being done.
        known: gives the saved pair of a key with its result, where there is one; it is then not learnt again.
        choices: as in `Settings`.

    Returns:
        The pair (with a test split or another set to judge on, the one that was judged; with folds, one learnt from
        all images) and a result with ``classifier`` "aligned".

    Raises:
        EmbedkitError: unknown names; a target of labels; no class or no images left to learn or to choose from; what
            `make_plan` and `embed_classes` refuse.
    """
    settings, say = Settings.of(**choices), tell or (lambda _: None)
    check_loss(loss)
    if settings.views:
        raise EmbedkitError("a pair is for embeddings of single images, and views make other ones: leave views out")
    plan = make_plan(train, test, settings)
    seen = _seen(plan, hold_out)
    plan = replace(plan, folds=tuple(_to_learn(plan, fold, seen, settings.seed) for fold in plan.folds))
    labels = plan.train.labels
    texts = embed_classes(tower, labels.classes, prompts, target=labels.name, cache=cache)
    learnt = "its training images" if len(plan.folds) == 1 else "all its images"
    facts = {
        **_facts(train, test, texts, loss, hold_out, settings),
        # No part of the key: where a file lies changes no vector.
        "image_model": image_model or train.encoder,
        "learnt_from": learnt,
    }
    if known is not None and (saved := known(facts["key"])) is not None:
        pair, result = saved
        return replace(pair, facts={**pair.facts, "image_model": facts["image_model"]}), result
    pairs, scores, temperatures = [], [], []
    with measured() as meter:
        for number, fold in enumerate(plan.folds, start=1):
            say(f"aligning by {loss}" + (f", fold {number} of {len(plan.folds)}" if len(plan.folds) > 1 else ""))
            pair = _fit(plan.train, fold, texts, seen, facts)
            pairs.append(pair)
            assert fold.val is not None
            chosen_on, judged = (
                as_scores(pair.logits(sample.vectors(rows)).astype(float))
                for sample, rows in ((plan.train, fold.val), (plan.test, fold.test))
            )
            scores.append(judged)
            temperatures.append(fit_temperature(chosen_on, labels.truth[fold.val], exclusive=True))
        if len(plan.folds) > 1:
            say("aligning on all images")
            every = Fold(np.arange(len(plan.train)), None, np.empty(0, np.int64))
            pairs.append(_fit(plan.train, _to_learn(plan, every, seen, settings.seed), texts, seen, facts))
    evidence = Evidence(plan, scores, temperatures, True, settings.judged_level)
    result = conclude(train, test, evidence, settings, model=f"{train.encoder}+{texts.tower}")
    found = _as_aligned(result, pairs[: len(plan.folds)], facts, meter.cost.to_dict())
    return pairs[-1], replace(found, notes=[*found.notes, *notes_on(texts)])


def _seen(plan: Plan, hold_out: Sequence[str]) -> np.ndarray:
    """Return the numbers of the classes that are learnt from."""
    labels = plan.train.labels
    if not labels.exclusive:
        raise EmbedkitError(
            f"the target '{labels.name}' has labels that may hold together, and an image is aligned with the text of "
            "one class: choose a target of classes"
        )
    for name in hold_out:
        if name not in labels.classes:
            raise unknown_name("class", name, labels.classes, f"There are {', '.join(labels.classes)}.")
    seen = np.flatnonzero([name not in hold_out for name in labels.classes])
    if len(seen) < 2:
        raise EmbedkitError("fewer than two classes are left to learn from: hold out fewer")
    return seen


def _to_learn(plan: Plan, fold: Fold, seen: np.ndarray, seed: int) -> Fold:
    """Return the fold with images of seen classes only, and with some to choose on."""
    truth = plan.train.labels.truth[:, seen] == 1

    def of_seen(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[truth[rows].any(axis=1)])

    fold = Fold(of_seen(fold.train), None if fold.val is None else of_seen(fold.val), fold.test)
    if fold.val is None or not len(fold.val):
        fold = held_out_fold(plan, Fold(fold.train, None, fold.test), seed)
    if fold.val is None:
        raise EmbedkitError(
            "no validation images are left: no class lies in two groups (patients) of the training images. Name some "
            "in the column 'split' (val), or learn from more patients"
        )
    return fold


def _fit(sample: Sample, fold: Fold, texts: ClassTexts, seen: np.ndarray, facts: dict[str, Any]) -> AlignedPair:
    assert fold.val is not None
    X, X_val = unit(sample.vectors(fold.train)), unit(sample.vectors(fold.val))
    mean = X.mean(axis=0)
    number = sample.labels.truth[:, seen].argmax(axis=1)
    F, F_val = (torch.from_numpy(unit(one - mean).astype(np.float32))[None] for one in (X, X_val))
    y, y_val = (torch.from_numpy(number[rows])[None] for rows in (fold.train, fold.val))
    W = torch.from_numpy(texts.W[seen].astype(np.float32))
    found = projection.fit(F, y, F_val, y_val, W, facts["loss"])
    return AlignedPair(
        mean=mean.astype(np.float32),
        projection=found.A[0].numpy(),
        bias=found.b[0].numpy(),
        basis=found.basis.numpy(),
        texts=texts.W.astype(np.float32),
        scale=found.scale.numpy(),
        facts={**facts, "chosen": found.chosen[0]},
    )


def _facts(
    train: EmbeddingSet,
    test: EmbeddingSet | None,
    texts: ClassTexts,
    loss: str,
    hold_out: Sequence[str],
    settings: Settings,
) -> dict[str, Any]:
    facts = {
        "image_encoder": train.encoder,
        "image_key": train.key,
        "text_encoder": texts.tower,
        "text_key": texts.key,
        "space": texts.space,
        "classes": list(texts.labels),
        "class_texts": {label: [row[k] for row in texts.texts] for k, label in enumerate(texts.labels)},
        "held_out": list(hold_out),
        "data": train.name,
        "target": settings.target or next(iter(train.targets)),
        "loss": loss,
        "seed": settings.seed,
    }
    return {"key": cache_key({**facts, "learnt_from": fingerprint(train, test, settings)}), **facts}


def _as_aligned(
    result: ProbeResult, pairs: Sequence[AlignedPair], facts: dict[str, Any], cost: dict[str, Any]
) -> ProbeResult:
    chosen = [pair.facts["chosen"] for pair in pairs]
    steps, penalties = [int(one["step"]) for one in chosen], [one["penalty"] for one in chosen]
    one = len(pairs) == 1
    settings = {k: v for k, v in result.protocol["settings"].items() if k not in ("classifier", "standardise")}
    held = ", ".join(f"'{name}'" for name in facts["held_out"])
    notes = [f"images and texts of {held} were not learnt from: they are judged by their texts alone"] if held else []
    if projection.PENALTIES[-1] in penalties:
        notes.append("the chosen penalty is the largest of the grid: a wider grid might do better")
    return replace(
        result,
        key=facts["key"],
        classifier=CLASSIFIER,
        selected={
            "parameter": "step",
            "step": steps[0] if one else steps,
            "penalty": penalties[0] if one else penalties,
            "chosen_by": "validation images, or an eighth of the training images",
            "grid": list(range(projection.LOOK_EVERY, projection.STEPS + 1, projection.LOOK_EVERY)),
            "scores": [],
        },
        protocol={**result.protocol, "settings": settings, "alignment": {**facts, "chosen": chosen}},
        cost={**cost, **result.cost},
        notes=[*result.notes, *notes],
    )
