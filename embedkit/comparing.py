"""`compare`: zero-shot, few-shot, aligned, linear probe and trained network on the same images and splits."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import api, encoders, many, saved, words
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
        files: where what each route gave is saved.
    """

    results: "list[ProbeResult]"
    few_shot: "FewShotResult"
    notes: list[str]
    files: list[Path]


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
    again: bool = False,
    **choices: Any,
) -> Comparison:
    """Compare what words, a few labels, all labels and a trained network give.

    What a verb of its own has saved is read, and what is made is saved as that verb saves it.

    Args:
        data, test, prompts, cache, root, weights, text_weights, precision, device, workers, progress: as in
            `embedkit.align`.
        model: the image encoder. text_encoder: by default its own text tower, else ``minilm``.
        shots: of the few-shot methods. results: the folder of all results, as in `embedkit.saved.results_folder`.
        again: compute what is saved already once more.
        choices: fields of `embedkit.probing.Settings`: target, group, folds, seed, replicates.

    Raises:
        EmbedkitError: as each of the verbs.
    """
    from embedkit.probing import Settings
    from embedkit.text.fewshot import what_is_asked

    told, folder = progress or Silent(), saved.results_folder(results)
    own = encoders.has_text(encoders.resolve(model))
    how: dict[str, Any] = {"cache": cache, "root": root, "weights": weights, "precision": precision, "device": device}
    towers: dict[str, Any] = {"text_encoder": text_encoder or (model if own else "minilm"), "prompts": prompts}
    shared = own and not model.startswith(f"{encoders.ALIGNED}:")
    towers["text_weights"] = text_weights if text_weights is not None else (weights if shared else None)
    # Before anything that takes minutes.
    what_is_asked((), True, shots=shots, **choices)
    words.prompts_for(data, prompts)
    words.tower_for(None, towers["text_encoder"], text_weights=towers["text_weights"], device=device)
    train = api.embeddings(data, model, workers=workers, progress=progress, **how)
    unseen = None if test is None else api.embeddings(test, model, workers=workers, progress=progress, **how)
    # What the set does not allow, more shots than images or a class without words, is refused here.
    told.note("few-shot methods")
    few = words.few_shot(
        train,
        model=model,
        test=unseen,
        shots=shots,
        progress=progress,
        known=None if again else saved.tables(folder, told),
        **towers,
        **how,
        **choices,
    )
    cell = many.Cell(train, unseen, Settings.of(**choices))
    found = [many.probe_cell(cell, folder, told, again)]
    told.note("aligned pair")
    pair, aligned = words.align(
        train,
        test=unseen,
        image_encoder=model,
        known=None if again else saved.pairs(folder, told),
        **towers,
        **how,
        **choices,
    )
    found.append(aligned)
    pair.save(saved.place_of_pair(aligned, folder))
    files = [cell.place(folder), saved.place_of(aligned, folder), saved.place_of_table(few, folder)]
    aligned.save(files[1])
    few.save(files[2])
    notes = []
    if own and text_encoder in (None, model):
        told.note("zero-shot")
        judged = words.zero_shot(
            unseen or train,
            model=model,
            text_weights=text_weights,
            prompts=prompts,
            known=None if again else saved.zero_shots(folder, told),
            **how,
            **choices,
        )
        files.append(saved.place_of(judged, folder))
        judged.save(files[-1])
        # Nothing is learnt, so it may stand beside what is learnt from any set.
        found.append(replace(judged, data=train.name))
    else:
        notes.append(f"no zero-shot: {model} has no text tower in one space with its images")
    networks = saved.networks(found[0], folder, told)
    if not networks:
        notes.append("no trained network of the same question is saved: `embedkit baseline train` trains one")
    return Comparison(many.ranked([*found, *networks]), few, notes, files)
