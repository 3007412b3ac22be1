"""What the readers of published sets share: the images a publisher lists, found on the disk or not."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedkit.datasets.addresses import by_stem
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError


def find_images(place: Path, listed: Sequence[str], where: str, suffix: str) -> tuple[list[str], dict[str, Any]]:
    """Find the image of every listed name under `place`, in whichever folder it lies.

    Returns:
        One path per name, relative to `place`. An image that is absent keeps a path (beside the others), so that
        the extraction names it as failed; and the facts ``missing`` and ``unlisted`` (images beside the
        listed ones) where there are such.

    Raises:
        EmbedkitError: none of them is there.
    """
    stems = by_stem(walk(place).files)
    found = [name for name in listed if name in stems]
    if not found:
        raise EmbedkitError(
            f"{place / where} lists {len(listed)} images, and none of them is under {place} "
            f"(looked for {listed[0]}{suffix}). Unpack the images there."
        )
    beside = posixpath.dirname(stems[found[0]])
    paths = [stems.get(name) or posixpath.join(beside, name + suffix) for name in listed]
    folders, names = {posixpath.dirname(stems[name]) for name in found}, set(listed)
    unlisted = [name for name, path in stems.items() if name not in names and posixpath.dirname(path) in folders]
    facts = {"missing": len(listed) - len(found), "unlisted": len(unlisted)}
    return paths, {name: count for name, count in facts.items() if count}


def require_unique(names: Sequence[str], where: Path) -> None:
    """Refuse a list that names an image twice.

    Raises:
        EmbedkitError: it does.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EmbedkitError(f"{where} lists '{name}' twice: keep one of its rows.")
        seen.add(name)


def first_mark(place: Path, marks: Sequence[str]) -> str:
    """Return which of the marks of a set is there."""
    return next(mark for mark in marks if (place / mark).exists())
