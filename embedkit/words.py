"""The verbs that need words: each composes the rooms below, as `embedkit.api` does for those that need none."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import api, datasets, encoders
from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress

if TYPE_CHECKING:
    from embedkit.probing import ProbeResult


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
    given = text_weights if text_weights is not None else (weights if text_encoder in (None, model) else None)
    path = None if given is None else Path(given)
    # A folder given for a CLIP is one of checkpoints; that of a sentence encoder is the encoder itself.
    holds_many = path is not None and path.is_dir() and not (path / "config.json").is_file()
    return encoders.text_tower(
        name,
        weights=None if holds_many else path,
        weights_folder=path if holds_many else None,
        device=device or "cpu",
    )


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
    **choices: Any,
) -> "ProbeResult":
    """Tell the classes of images apart by their words alone, and judge that as a probe is judged.

    Args:
        data: an `EmbeddingSet` of a CLIP's image tower, or the name of a data set; what is missing is extracted.
        model: a CLIP: a catalog name or ``open_clip:MODEL/PRETRAINED``. text_encoder: by default the model's own.
        prompts: a .toml or .json file, or the name of a shipped set; by default that of the set's modality.
        cache, root, weights, precision, device, workers, progress: as in `embedkit.extract`.
        text_weights: of ``text_encoder``, where that is another model.
        choices: fields of `embedkit.probing.Settings`: target, group, level, by, seed, replicates.

    Returns:
        As `embedkit.text.zero_shot`.

    Raises:
        EmbedkitError: the spaces of images and texts differ; unknown names; prompts that miss a class or give two the
            same text; as `embedkit.extract`.
    """
    from embedkit.text import choose_prompts, refuse_other_space
    from embedkit.text import zero_shot as judge

    folder = api.cache_folder(cache)
    if isinstance(data, EmbeddingSet):
        tower = tower_for(model, text_encoder, weights=weights, text_weights=text_weights, device=device)
        refuse_other_space(data, tower)
        chosen = choose_prompts(prompts, str(data.facts.get("modality", "")))
        images = data
    elif model is None:
        raise EmbedkitError(f"which encoder's embeddings of {data}? Give model=")
    else:
        # What can't go well is told before the minutes of embedding.
        tower = tower_for(model, text_encoder, weights=weights, text_weights=text_weights, device=device)
        job = api.job_for(model, weights=weights, precision=precision, device=device)
        _refuse_early(job.configuration["encoder"], tower, model)
        card = datasets.catalog().get(datasets.canonical(data) or "")
        chosen = choose_prompts(prompts, card.modality if card else "")
        place = None if root is None else Path(root)
        images = api.bring_up_to_date(job, data, cache=folder, root=place, workers=workers, progress=progress)
    return api.in_context(judge(images, tower, chosen, cache=folder, **choices), images, None)


def _refuse_early(configuration: dict[str, Any], tower: encoders.TextTower, model: str) -> None:
    """Refuse towers that don't belong together before any image is embedded."""
    if encoders.space(configuration) != tower.space:
        raise EmbedkitError(
            f"the spaces differ: {model} and {tower.name} are not the two towers of one checkpoint, so that no image "
            "of the one can be compared with a text of the other. Leave --text-encoder out, give both the same "
            "--weights, or align the images with the texts first"
        )
