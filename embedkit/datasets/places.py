"""Where a set of the catalog lies on the disk, and what to tell a user who does not have it yet."""

import contextlib
import os
from pathlib import Path
from typing import Literal

from embedkit.datasets.addresses import there
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.errors import DatasetNotFound
from embedkit.errors import EmbedkitError


def absolute(path: Path | str) -> Path:
    """Return a path from the root of the disk, ``~`` resolved where there is such a home."""
    given = Path(path)
    with contextlib.suppress(RuntimeError):
        given = given.expanduser()
    return given.absolute()


def is_file(path: Path) -> bool:
    """Return whether a path is that of a file.

    Raises:
        EmbedkitError: the system does not let us see, or has no such names.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise EmbedkitError(f"can't look at {path}: {error.strerror}. Check its permissions.") from error


def data_root(root: Path | None = None) -> Path:
    """Return the folder of all sets: `root`, else EMBEDKIT_DATA, else ./data."""
    return absolute(root or os.environ.get("EMBEDKIT_DATA") or "data")


def candidates(card: DatasetCard, root: Path) -> list[Path]:
    """Return the folders that may hold a set, in the order in which they are tried."""
    own = (card.name, card.name.replace("-", "_"))
    return list(dict.fromkeys(root / folder for folder in (*own, *card.folders)))


def locate(card: DatasetCard, root: Path | None = None) -> Path | None:
    """Return the folder that holds a set, or None."""
    places = candidates(card, data_root(root))
    return next((place for place in places if any(there(place / mark) for mark in card.marks)), None)


def state(card: DatasetCard, root: Path | None = None) -> Literal["ready", "absent"]:
    """Return whether a set can be opened without fetching anything."""
    return "ready" if locate(card, root) else "absent"


def not_found(card: DatasetCard, root: Path) -> DatasetNotFound:
    """Return the error that says where a set was looked for, how to get it and where its files go."""
    looked = ", ".join(str(place) for place in candidates(card, root))
    fetched = "".join(f" {file.url} (MD5 {file.md5})" for file in card.files)
    account = "needs a login" if card.login else "no login needed"
    return DatasetNotFound(
        f"'{card.name}' ({card.title}) is not here: looked for {' or '.join(card.marks)} in {looked}. "
        f"To get it ({account}, licence: {card.licence}): {card.get}{fetched} Homepage: {card.homepage}. "
        f"Put it in {root / card.name}, or name the folder that holds your sets with --root or EMBEDKIT_DATA."
    )
