"""What the readers of published sets share: the images a publisher lists, found on the disk or not."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedkit.datasets.addresses import by_stem, inside
from embedkit.datasets.walk import IMAGE_SUFFIXES, walk
from embedkit.datasets.walk import suffix as endings
from embedkit.errors import EmbedkitError


def find_images(
    place: Path, listed: Sequence[str], where: str, suffix: str, *, folder: str = "", stem: str = ""
) -> tuple[list[str], dict[str, Any]]:
    """Find the image of every listed name under `place`, in whichever folder it lies.

    Args:
        listed: names with or without their endings, or paths, which may begin above `place`.
        where: the file that lists them. suffix: what an absent image would end with.
        folder: where below `place` to look. stem: the pattern of file names of which group 1 is listed.

    Returns:
        One path per name, relative to `place`. An image that is absent keeps a path (beside the others), so that
        the extraction names it as failed; and the facts ``missing`` and ``unlisted`` (images beside the
        listed ones) where there are such.

    Raises:
        EmbedkitError: none of them is there.
    """
    files = [posixpath.join(folder, file) for file in walk(place / folder).files] if (place / folder).is_dir() else []
    there, stems = set(files), by_stem(files, stem)
    found = [_find(name, there, stems) for name in listed]
    known = [path for path in found if path]
    if not known:
        ending = "" if _ending(listed[0]) else suffix
        raise EmbedkitError(
            f"{place / where} lists {len(listed)} images, and none of them is under {place / folder} "
            f"(looked for {listed[0]}{ending}). Unpack the images there."
        )
    beside = posixpath.dirname(known[0])
    paths = [path or _absent(place, name, beside, suffix) for name, path in zip(listed, found, strict=True)]
    folders, used = {posixpath.dirname(path) for path in known}, set(known)
    unlisted = sum(path not in used and posixpath.dirname(path) in folders for path in stems.values())
    facts = {"missing": len(listed) - len(known), "unlisted": unlisted}
    return paths, {name: count for name, count in facts.items() if count}


def _find(name: str, there: set[str], stems: dict[str, str]) -> str | None:
    if "/" not in name:
        return stems.get(name.removesuffix(_ending(name)))
    while name and name not in there:
        _, _, name = name.partition("/")
    return name or None


def _absent(place: Path, name: str, beside: str, suffix: str) -> str:
    if "/" not in name:
        return posixpath.join(beside, name + ("" if _ending(name) else suffix))
    return inside(place, name) or name


def _ending(name: str) -> str:
    extension = endings(name)
    return name[len(name) - len(extension) :] if extension in IMAGE_SUFFIXES else ""


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


def first_there(place: Path, names: Sequence[str]) -> str | None:
    """Return the first of these files that is there, or None."""
    return next((name for name in names if (place / name).is_file()), None)
