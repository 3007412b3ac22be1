"""From what the user writes after --text-encoder (or --model) to a TextTower, without importing torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from embedkit.encoders.card import ALIGNED, PROJECTED, EncoderCard, configuration
from embedkit.encoders.catalog import catalog
from embedkit.encoders.pair import AlignedPair
from embedkit.encoders.resolve import resolve
from embedkit.encoders.sentence import SentenceCard, find_folder, resolve_sentence, sentence_catalog, sentence_digest
from embedkit.encoders.text_encoder import TextEncoder, TextTower
from embedkit.encoders.weights import find_weights, weights_digest
from embedkit.errors import EmbedkitError, unknown_name


def text_tower(
    spec: str,
    weights: Path | None = None,
    weights_folder: Path | None = None,
    device: str = "cpu",
    fetch: bool = True,
) -> TextTower:
    """Find a text tower.

    Args:
        spec: ``minilm`` or another row of text_catalog.toml, ``hf:REPOSITORY`` or ``hf:FOLDER`` of a BERT kind, or a
            CLIP as `resolve` takes it: the text tower of the same checkpoint. ``aligned:FILE``: the tower that the
            images were aligned with, with the scale that was learnt then.
        weights: the checkpoint, or the folder of a sentence encoder. weights_folder: where to look for it first.
        device: where it will run. fetch: whether a hub may be asked.

    Raises:
        EmbedkitError: an unknown name, a model without a text tower, no weights, others than at the time of aligning.
    """
    sentence = resolve_sentence(spec)
    if sentence is not None:
        return _sentence(sentence, weights, weights_folder, device, fetch)
    if ":" not in spec and spec not in catalog():
        names = [*sentence_catalog(), *(name for name, card in catalog().items() if has_text(card))]
        raise unknown_name("text encoder", spec, names, "hf:FOLDER and open_clip:MODEL/PRETRAINED are accepted too.")
    if spec.startswith(f"{ALIGNED}:"):
        pair = AlignedPair.load(Path(spec.partition(":")[2]).expanduser())
        return of_pair(pair, text_tower(pair.facts["text_encoder"], weights, weights_folder, device, fetch))
    card = resolve(spec)
    if not has_text(card):
        raise EmbedkitError(
            f"{spec} has no text tower: name a CLIP (such as clip-vit-b16 or open_clip:MODEL/PRETRAINED), or align its "
            f"images with a sentence encoder ({', '.join(sentence_catalog())} or hf:FOLDER)"
        )
    return _clip(card, weights, weights_folder, device, fetch)


def of_pair(pair: AlignedPair, tower: TextTower) -> TextTower:
    """Return the text tower of a pair with the scale that the pair has learnt.

    Raises:
        EmbedkitError: it is another tower, or has other weights.
    """
    if tower.space != pair.facts["space"]:
        raise EmbedkitError(
            f"the spaces differ: the pair was aligned with the texts of {pair.facts['text_encoder']} "
            f"({pair.facts['space']}), and {tower.name} has another space ({tower.space}): leave --text-encoder "
            "out, give the --text-weights of then, or align anew"
        )
    return replace(tower, logit_scale=float(pair.scale[0]))


def has_text(card: EncoderCard) -> bool:
    """Tell whether the model has a text tower in one space with its images."""
    if card.backend == ALIGNED:
        return True
    return card.backend == "open_clip" and card.output == PROJECTED and (card.vision is None or card.text is not None)


def _clip(card: EncoderCard, weights: Path | None, folder: Path | None, device: str, fetch: bool) -> TextTower:
    found = find_weights(card, weights, folder, fetch)

    def load() -> TextEncoder:
        from embedkit.encoders.backends import open_clip_text

        return open_clip_text.load(card, found.path, device)

    whole = configuration(card, weights_digest(found.path), "fp32")
    # The rest is of the images alone: their tower, their preprocessing.
    known: dict[str, Any] = {name: whole[name] for name in ("source", "backend", "architecture", "weights", "output")}
    if card.text is not None:
        shared = {name: value for name, value in (card.vision or {}).items() if name in ("embed_dim", "quick_gelu")}
        known |= {"text": dict(card.text), "vision": shared}
    known |= {"keys": card.keys, "normalised": False, "precision": "fp32"}
    return TextTower(card.name, card.slug, known, load)


def _sentence(card: SentenceCard, given: Path | None, local: Path | None, device: str, fetch: bool) -> TextTower:
    folder = find_folder(card, given, local, fetch)

    def load() -> TextEncoder:
        from embedkit.encoders.backends import transformers

        return transformers.load(card.name, folder, device)

    known = {
        "source": "transformers",
        "backend": "transformers",
        "architecture": "",
        "weights": sentence_digest(folder),
        "output": "sentence",
        "normalised": False,
        "precision": "fp32",
    }
    return TextTower(card.name, card.slug, known, load)
