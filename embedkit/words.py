"""The verbs that need words: each composes the rooms below, as `embedkit.api` does for those that need none."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import api, datasets, encoders
from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress

if TYPE_CHECKING:
    from embedkit.encoders import AlignedPair
    from embedkit.probing import ProbeResult
    from embedkit.text import PromptSet
    from embedkit.text.fewshot import FewShotResult


_ALIGNED = f"{encoders.ALIGNED}:"


def tower_for(
    model: str | None,
    text_encoder: str | None = None,
    *,
    weights: Path | str | None = None,
    text_weights: Path | str | None = None,
    device: str | None = None,
) -> encoders.TextTower:
    """Return the text tower of a name, by default that of the image encoder's own checkpoint.

    Args:
        model: the image encoder. text_encoder: another tower; by default the model's.
        weights: of the model, a checkpoint or a folder of them. text_weights: of another tower, or its folder.
        device: ``cpu`` or ``cuda``.

    Raises:
        EmbedkitError: as `embedkit.encoders.text_tower`; neither name is given.
    """
    name = text_encoder or model
    if name is None:
        raise EmbedkitError("which text tower? Give model= or text_encoder=")
    # Those of an aligned pair's image encoder are not those of its text tower.
    shared = name == model and not name.startswith(_ALIGNED)
    given = text_weights if text_weights is not None else (weights if shared else None)
    path = None if given is None else Path(given)
    # A folder given for a CLIP is one of checkpoints; that of a sentence encoder is the encoder itself.
    holds_many = path is not None and path.is_dir() and not (path / "config.json").is_file()
    tower = encoders.text_tower(
        name,
        weights=None if holds_many else path,
        weights_folder=path if holds_many else None,
        # Few texts: of several devices one is enough.
        device=next(iter(encoders.devices_of(device)), "cpu"),
    )
    if model is not None and model.startswith(_ALIGNED) and name != model:
        return encoders.of_pair(load_aligned(model.removeprefix(_ALIGNED)), tower)
    return tower


def zero_shot(
    data: EmbeddingSet | str,
    *,
    model: str | None = None,
    text_encoder: str | None = None,
    prompts: Path | str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    text_weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    known: "Callable[[str], ProbeResult | None] | None" = None,
    **choices: Any,
) -> "ProbeResult":
    """Tell the classes of images apart by their words alone, and judge that as a probe is judged.

    Args:
        data: an `EmbeddingSet` of a CLIP's image tower, or the name of a data set; what is missing is extracted.
        model: a CLIP: a catalog name or ``open_clip:MODEL/PRETRAINED``; or ``aligned:FILE``, which has met labels.
        text_encoder: by default the model's own.
        prompts: a .toml or .json file, or the name of a shipped set; by default that of the set's modality.
        cache, root, weights, precision, device, workers, progress: as in `embedkit.extract`.
        text_weights: of ``text_encoder``, where that is another model.
        known: gives a result that is saved already, as `embedkit.saved.zero_shots` does.
        choices: fields of `embedkit.probing.Settings`: target, group, level, by, seed, replicates.

    Returns:
        As `embedkit.text.zero_shot`.

    Raises:
        EmbedkitError: the spaces of images and texts differ; unknown names; prompts that miss a class or give two the
            same text; as `embedkit.extract`.
    """
    from embedkit.probing import Settings
    from embedkit.text import refuse_other_space
    from embedkit.text import zero_shot as judge

    if isinstance(data, str) and model is None:
        raise EmbedkitError(f"which encoder's embeddings of {data}? Give model=")
    tower = tower_for(model, text_encoder, weights=weights, text_weights=text_weights, device=device)
    # What can't go well is told before the minutes of embedding.
    Settings.of(**choices)
    if isinstance(data, EmbeddingSet):
        refuse_other_space(data, tower)
    else:
        places: dict[str, Any] = {"cache": cache, "root": root, "workers": workers, "progress": progress}
        job = api.job_for(str(model), weights=weights, precision=precision, device=device, **places)
        _refuse_early(job.configuration["encoder"], tower, str(model))
    chosen = prompts_for(data, prompts)
    how: dict[str, Any] = {"weights": weights, "precision": precision, "device": device, "workers": workers}
    images = api.embeddings(data, model, cache=cache, root=root, progress=progress, **how)
    result = judge(images, tower, chosen, cache=api.cache_folder(cache), known=known, **choices)
    return api.in_context(result, images, None)


def prompts_for(data: EmbeddingSet | str, given: Path | str | None) -> "PromptSet":
    """Return the prompts that are given, or those of the modality of a set; nothing of the set is read.

    Raises:
        EmbedkitError: as `embedkit.text.choose_prompts`.
    """
    from embedkit.text import choose_prompts

    if isinstance(data, EmbeddingSet):
        return choose_prompts(given, str(data.facts.get("modality", "")))
    return choose_prompts(given, datasets.modality(data))


def _refuse_early(configuration: dict[str, Any], tower: encoders.TextTower, model: str) -> None:
    """Refuse towers that don't belong together before any image is embedded."""
    if encoders.space(configuration) != tower.space:
        raise EmbedkitError(
            f"the spaces differ: {model} and {tower.name} are not the two towers of one checkpoint, so that no image "
            "of the one can be compared with a text of the other. Leave --text-encoder out, give both the same "
            "--weights, or align the images with the texts first"
        )


def align(
    data: EmbeddingSet | str,
    *,
    image_encoder: str | None = None,
    text_encoder: str = "minilm",
    test: EmbeddingSet | str | None = None,
    loss: str = "cross-entropy",
    hold_out: Sequence[str] = (),
    prompts: Path | str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    text_weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    known: "Callable[[str], tuple[AlignedPair, ProbeResult] | None] | None" = None,
    **choices: Any,
) -> "tuple[AlignedPair, ProbeResult]":
    """Learn a projection from the cached embeddings of an image encoder to the texts of the classes, and judge it.

    Args:
        data, test: an `EmbeddingSet` or the name of a data set; what is missing is extracted.
        image_encoder: any encoder. text_encoder: a sentence encoder, or a CLIP for its text tower.
        loss: ``cross-entropy``, ``textual`` or ``contrastive``. hold_out: classes that are judged by their texts alone.
        prompts: as in `zero_shot`. weights: of the image encoder. text_weights: of the text encoder.
        cache, root, precision, device, workers, progress: as in `embedkit.extract`.
        known: gives a pair that is saved already, as `embedkit.saved.pairs` does.
        choices: fields of `embedkit.probing.Settings`.

    Returns:
        The pair, which `embedkit.encoders.AlignedPair` describes, and the result, as `embedkit.probe`.

    Raises:
        EmbedkitError: as `embedkit.text.aligning.align` and `embedkit.extract`.
    """
    from embedkit.probing import Settings
    from embedkit.text.aligning import align as learn
    from embedkit.text.aligning import check_loss

    # Before anything that takes minutes.
    check_loss(loss)
    Settings.of(**choices)
    chosen = prompts_for(data, prompts)
    tower = tower_for(None, text_encoder, text_weights=text_weights, device=device)
    how: dict[str, Any] = {"weights": weights, "precision": precision, "device": device, "workers": workers}
    places: dict[str, Any] = {"cache": cache, "root": root, "progress": progress, **how}
    train = api.embeddings(data, image_encoder, **places)
    unseen = None if test is None else api.embeddings(test, image_encoder, **places)
    pair, result = learn(
        train,
        unseen,
        tower,
        chosen,
        loss=loss,
        hold_out=hold_out,
        image_model=image_encoder or "",
        cache=api.cache_folder(cache),
        tell=None if progress is None else progress.note,
        known=known,
        **choices,
    )
    return pair, api.in_context(result, train, unseen)


def few_shot(
    data: EmbeddingSet | str,
    *,
    model: str | None = None,
    text_encoder: str | None = None,
    aligned: "AlignedPair | Path | str | None" = None,
    test: EmbeddingSet | str | None = None,
    methods: Sequence[str] = (),
    loss: str = "cross-entropy",
    prompts: Path | str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    text_weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    known: "Callable[[str], FewShotResult | None] | None" = None,
    **choices: Any,
) -> "FewShotResult":
    """Compare what several methods make of a few images per class, or of a part of them.

    Args:
        data, test: an `EmbeddingSet` or the name of a data set; what is missing is extracted.
        model: any encoder. text_encoder: where the class texts come from; by default the model's own text tower, or
            that of the aligned pair. Without any, only methods that read no text are compared. If its texts lie in
            another space than the images, a projection is learnt from the shots of each draw.
        aligned: a pair from `align`, best from another data set, or its file: images are taken into its text space.
        methods: names, by default all that can be had. loss: of the projection, as in `align`.
        prompts, cache, root, weights, text_weights, precision, device, workers, progress: as in `align`.
        known: gives a table that is saved already, as `embedkit.saved.tables` does.
        choices: fields of `embedkit.probing.Settings`: shots, fractions, draws, seed.

    Raises:
        EmbedkitError: prompts that nothing reads; as `embedkit.text.fewshot.few_shot` and `embedkit.extract`.
    """
    from embedkit.text.fewshot import few_shot as compare
    from embedkit.text.fewshot import what_is_asked

    pair = None if aligned is None else load_aligned(aligned)
    name = text_encoder or (pair.facts["text_encoder"] if pair else None)
    if name is None and model is not None and encoders.has_text(encoders.resolve(model)):
        tower: encoders.TextTower | None = tower_for(model, weights=weights, text_weights=text_weights, device=device)
    else:
        tower = None if name is None else tower_for(None, name, text_weights=text_weights, device=device)
    if pair and tower:
        tower = encoders.of_pair(pair, tower)
    # Before anything that takes minutes.
    what_is_asked(methods, tower is not None, loss, **choices)
    if tower is None and prompts is not None:
        raise EmbedkitError(f"{model} has no text tower that would read the prompts {prompts}: give --text-encoder too")
    chosen = prompts_for(data, prompts) if tower else None
    how: dict[str, Any] = {"weights": weights, "precision": precision, "device": device, "workers": workers}
    sets = [
        api.embeddings(one, model, cache=cache, root=root, progress=progress, **how)
        for one in (data, test)
        if one is not None
    ]
    train, *unseen = [pair.apply(one) for one in sets] if pair else sets
    return compare(
        train,
        unseen[0] if unseen else None,
        tower,
        chosen,
        methods=methods,
        loss=loss,
        met=train.facts.get("aligned_with"),
        cache=api.cache_folder(cache),
        tell=None if progress is None else progress.note,
        known=known,
        **choices,
    )


def load_aligned(pair: "AlignedPair | Path | str") -> "AlignedPair":
    """Return a pair, read from its file if it is one.

    Raises:
        EmbedkitError: there is no such file, or it is no whole pair.
    """
    return pair if isinstance(pair, encoders.AlignedPair) else encoders.AlignedPair.load(pair)
