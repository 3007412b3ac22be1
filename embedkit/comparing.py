"""`compare`: zero-shot, few-shot, aligned, linear probe and trained network on the same images and splits."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import api, encoders, many, words
from embedkit.cache import EmbeddingSet
from embedkit.extraction import Progress, Silent

if TYPE_CHECKING:
    from embedkit.probing import ProbeResult
    from embedkit.text.fewshot import FewShotResult


@dataclass(frozen=True)
class Comparison:
    """What each route gives on the same judged images.

    Attributes:
        results: of all labels or of none (zero-shot, aligned, linear probe, saved trained networks), the highest AUC
            first, each with its ``comparison`` to the best.
        few_shot: of a few labels. notes: which routes are missing, and why.
    """

    results: "list[ProbeResult]"
    few_shot: "FewShotResult"
    notes: list[str]


def compare(
    data: EmbeddingSet | str,
    *,
    model: str,
    text_encoder: str | None = None,
    test: EmbeddingSet | str | None = None,
    shots: tuple[int, ...] = (1, 2, 4, 8, 16),
    prompts: Path | str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    results: Path | str | None = None,
    weights: Path | str | None = None,
    text_weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Comparison:
    """Compare what words, a few labels, all labels and a trained network give.

    Args:
        data, test, prompts, cache, root, weights, text_weights, precision, device, workers, progress: as in
            `embedkit.align`.
        model: the image encoder. text_encoder: by default its own text tower, else ``minilm``.
        shots: of the few-shot methods. results: where trained networks and few-shot tables are saved, which are read.
        choices: fields of `embedkit.probing.Settings`: target, group, folds, seed, replicates.

    Raises:
        EmbedkitError: as each of the verbs.
    """
    told = progress or Silent()
    own = encoders.has_text(encoders.resolve(model))
    how: dict[str, Any] = {"cache": cache, "root": root, "weights": weights, "precision": precision, "device": device}
    train = api.embeddings(data, model, workers=workers, progress=progress, **how)
    unseen = None if test is None else api.embeddings(test, model, workers=workers, progress=progress, **how)
    towers: dict[str, Any] = {"text_encoder": text_encoder or (model if own else "minilm"), "prompts": prompts}
    shared = own and not model.startswith(f"{encoders.ALIGNED}:")
    towers["text_weights"] = text_weights if text_weights is not None else (weights if shared else None)
    told.note("linear probe")
    found = [api.probe(train, test=unseen, **choices)]
    told.note("aligned pair")
    found.append(words.align(train, test=unseen, **towers, **how, **choices)[1])
    notes = []
    if own and text_encoder in (None, model):
        told.note("zero-shot")
        judged = words.zero_shot(
            unseen or train, model=model, text_weights=text_weights, prompts=prompts, **how, **choices
        )
        # Nothing is learnt, so it may stand beside what is learnt from any set.
        found.append(replace(judged, data=train.name))
    else:
        notes.append(f"no zero-shot: {model} has no text tower in one space with its images")
    folder = many.results_folder(results)
    networks = many.saved_networks(found[0], folder, told)
    if not networks:
        notes.append("no trained network of the same question is saved: `embedkit baseline train` trains one")
    told.note("few-shot methods")
    few = words.few_shot(
        train,
        model=model,
        test=unseen,
        shots=shots,
        progress=progress,
        known=many.saved_tables(folder, told),
        **towers,
        **how,
        **choices,
    )
    return Comparison(many.ranked([*found, *networks]), few, notes)
