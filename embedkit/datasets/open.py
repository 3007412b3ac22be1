"""What a user writes -> an `ImageSet`: a name of the catalog, or a scheme such as ``folder:`` and a path."""

import hashlib
import os
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from embedkit import images
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.catalog import canonical, catalog
from embedkit.datasets.contents import Contents
from embedkit.datasets.fetch import fetch as fetch_files
from embedkit.datasets.footprint import footprint
from embedkit.datasets.image_set import ImageSet
from embedkit.datasets.layouts import reader
from embedkit.datasets.places import absolute, data_root, is_file, locate, not_found
from embedkit.datasets.pseudonyms import PREFIX, Pseudonyms, hidden, salted
from embedkit.errors import EmbedkitError, unknown_name

# The module of `embedkit.datasets.layouts` that reads the user's own set, and its function.
_OWN = {
    "folder": ("folder", "read_folder"),
    "csv": ("table", "read_csv"),
    "npz": ("medmnist", "read_npz"),
    "dicom": ("dicom", "read_dicom"),
    "hf": ("hf", "read_hf"),
    "wds": ("wds", "read_wds"),
}

# What a file of the user's own is read as; any other lies in a folder of images.
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".npz": "npz", ".tar": "wds"}


def open_dataset(spec: str, root: Path | None = None, fetch: bool = True) -> ImageSet:
    """Open a data set without reading a pixel.

    Args:
        spec: a name of the catalog, ``folder:PATH``, ``csv:PATH``, ``npz:PATH`` (the layout of MedMNIST),
            ``dicom:PATH``, ``hf:PATH`` (a directory of Hugging Face's ``datasets``) or ``wds:PATH``
            (webdataset shards).
            Behind ``pseudonymous:``, any of these with pseudonyms for ids, paths and groups.
        root: for a name, the folder of all sets (default EMBEDKIT_DATA, else ./data); for ``csv:``, what its paths
            are relative to (default the folder of the CSV).
        fetch: whether a set that is absent and open to all may be fetched.

    Raises:
        DatasetNotFound: the set is not on this machine, and is not to be fetched.
        EmbedkitError: the name is unknown, fetching failed, or the files are not what they should be.
    """
    if spec.startswith(PREFIX):
        return hidden(open_dataset(spec.removeprefix(PREFIX), root, fetch), dataset_name(spec), salted())
    own = _own(spec)
    if own is None:
        return _from_catalog(_card(spec), data_root(root), fetch)
    scheme, path = own
    module, function = _OWN[scheme]
    read = getattr(import_module(f"embedkit.datasets.layouts.{module}"), function)
    if scheme == "csv":
        base = absolute(root) if root else path.parent
        return _image_set(dataset_name(spec), base, read(path, base), {})
    base = path.parent if scheme == "npz" or is_file(path) else path
    return _image_set(dataset_name(spec), base, read(path), {})


def dataset_name(spec: str) -> str:
    """Return the name of a set's cache folder, without opening anything.

    Raises:
        EmbedkitError: the name is unknown, or a set under pseudonyms has no salt.
    """
    if spec.startswith(PREFIX):
        return _hidden_name(spec.removeprefix(PREFIX), salted())
    own = _own(spec)
    if own is None:
        return _card(spec).name
    scheme, path = own
    path = path.resolve()
    slug = re.sub(
        r"[^a-z0-9]+", "-", (path.stem if scheme in ("csv", "npz") or path.suffix == ".tar" else path.name).lower()
    ).strip("-")
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    return "-".join(filter(None, (scheme, slug[:40].strip("-"), digest[:6])))


def _hidden_name(spec: str, pseudonyms: Pseudonyms) -> str:
    own = _own(spec)
    if own is None:
        # Another salt is another set: one must not overwrite the other.
        return f"{_card(spec).name}-pseudonymous-{pseudonyms('salt')[:6]}"
    return f"{own[0]}-pseudonymous-{pseudonyms(str(own[1].resolve()))[:12]}"


def modality(spec: str) -> str:
    """Return what kind of images a set of the catalog holds, without opening it; empty for any other set."""
    card = catalog().get(canonical(spec.removeprefix(PREFIX)) or "")
    return card.modality if card else ""


def dataset_footprint(spec: str, root: Path | None = None) -> str | None:
    """Return a hash of all that opening a set and reading its images can see, without doing either.

    Args:
        spec, root: as in `open_dataset`.

    Returns:
        The same text as long as nothing changes; None where files are absent or changed in the last two seconds.

    Raises:
        EmbedkitError: the name is unknown, or a set under pseudonyms has no salt.
    """
    if spec.startswith(PREFIX):
        seen = dataset_footprint(spec.removeprefix(PREFIX), root)
        return None if seen is None else salted()(seen)
    own = _own(spec)
    return footprint("", _card(spec).name, root) if own is None else footprint(*own, root)


def _own(spec: str) -> tuple[str, Path] | None:
    """Return scheme and absolute path where `spec` names a user's own set."""
    scheme, colon, path = spec.partition(":")
    if not colon or scheme not in _OWN:
        return None
    if not path.strip() or "\0" in path:
        raise EmbedkitError(f"'{spec}' names nothing: write the path after it, as in {scheme}:scans.")
    if images.is_remote(path):
        raise EmbedkitError(
            f"'{spec}': {scheme}: reads what is on this machine. Name addresses of remote images in the column path "
            "of a CSV here, and write csv: and its path"
        )
    return scheme, absolute(path)


def _card(spec: str) -> DatasetCard:
    name = canonical(spec)
    if name is None:
        _refuse_bare_place(spec)
        also = f"`embedkit datasets` lists all names; your own images are {', '.join(f'{one}:PATH' for one in _OWN)}."
        raise unknown_name("dataset", spec, catalog(), also)
    return catalog()[name]


def _refuse_bare_place(spec: str) -> None:
    place = Path(spec).expanduser()
    # A name may be none that the disk could hold.
    with suppress(OSError, ValueError):
        if spec and place.exists():
            scheme = "folder" if place.is_dir() else _SUFFIXES.get(place.suffix.lower())
            how = f"write {scheme}:{spec}" if scheme else "write folder: and the folder it lies in"
            raise EmbedkitError(f"unknown dataset '{spec}', but there is such a place: {how}.")


def _from_catalog(card: DatasetCard, root: Path, fetch: bool) -> ImageSet:
    place = locate(card, root)
    if place is None:
        if not (fetch and card.files):
            raise not_found(card, root)
        place = root / card.name
        fetch_files(card, place)
    return _image_set(card.name, place, reader(card.layout)(card, place), card.facts(), card.targets)


def _image_set(
    name: str,
    root: Path,
    contents: Contents,
    facts: dict[str, object],
    targets: dict[str, tuple[str, ...]] | None = None,
) -> ImageSet:
    return ImageSet(name, root, contents.table, targets or contents.targets, {**facts, **contents.facts})
