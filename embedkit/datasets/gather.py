"""The rows of a described set as its publisher wrote them: every cell text, and where each image is."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from embedkit.datasets.addresses import inside
from embedkit.datasets.description import Description, Join, Names, Source
from embedkit.datasets.published import find_images, first_there, require_unique
from embedkit.datasets.tabular import Dialect, MissingColumn, read_rows, read_text
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

ID, PATH, SPLIT = "id", "path", "split"


class Gathered(NamedTuple):
    """Rows of one file: columns of text as written, and apart from them ``id``, ``path`` and ``split``.

    Attributes:
        where: the file, for messages; the index of both tables is the line.
        rows: what is written. places: where each image is.
    """

    where: Path
    rows: pd.DataFrame
    places: pd.DataFrame
    facts: dict[str, Any]


def gather(description: Description, place: Path, required: Names) -> Iterator[Gathered]:
    """Yield the rows of each file of a set that is there, or of its folders.

    Args:
        required: columns that each file (with those joined to it) must have.

    Raises:
        EmbedkitError: no file of the set is there, one can't be read, or none of its images is there.
    """
    if description.paths:
        yield _from_paths(description, place)
        return
    for source in description.tables:
        file = first_there(place, source.file)
        if file is not None:
            yield _from_table(description, place, source, file, required)


def _from_table(description: Description, place: Path, source: Source, file: str, required: Names) -> Gathered:
    rows = _read(place / file, description, ())
    for join in description.joins:
        rows = _joined(rows, place, join, description)
    views = description.views
    needed = [column for view in views.values() for column in view.values()] if views else [description.image]
    _require(place / file, rows, description, (*needed, *(() if views else required)))
    if views:
        rows = _views(rows, description)
        _require(place / file, rows, description, required)
    for column, values in description.keep.items():
        if column in rows:
            rows = rows[[any(re.fullmatch(value, cell) for value in values) for cell in rows[column]]]
    names = list(rows["image" if views else description.image])
    _check_names(place, place / file, list(rows.index), names)
    ids = list(rows[description.id]) if description.id else names
    if not description.votes:
        require_unique(ids, place / file)
    folder = next((folder for folder in source.images if (place / folder).is_dir()), "")
    paths, facts = find_images(place, names, file, description.suffix, folder=folder, stem=description.stem)
    if source.images:
        ids = [f"{source.split}/{name}" for name in ids]
    places = pd.DataFrame({ID: ids, PATH: paths}, index=rows.index)
    split = _listed(description.lists, place, paths, facts) if description.lists else source.split or None
    if split is not None:
        places[SPLIT] = split
    return Gathered(place / file, rows.drop(columns="image" if views else description.image), places, facts)


def _check_names(place: Path, file: Path, lines: Sequence[int], names: Sequence[str]) -> None:
    for line, name in zip(lines, names, strict=True):
        if not name:
            raise EmbedkitError(f"{file}, line {line}: no image is named.")
        if "/" in name and inside(place, name) is None:
            raise EmbedkitError(f"{file}, line {line}: '{name}' is outside {place}.")


def _from_paths(description: Description, place: Path) -> Gathered:
    patterns = [re.compile(pattern) for pattern in description.paths]
    found, others, rows = [], 0, []
    for path in walk(place).files:
        match = next(filter(None, (pattern.fullmatch(path) for pattern in patterns)), None)
        if match is None:
            others += 1
            continue
        found.append(path)
        rows.append(
            {name: value or "" for name, value in match.groupdict().items()} | _beside(description, place, path)
        )
    if not found:
        raise EmbedkitError(
            f"no images in the folders of the set under {place}, where {others} other images are: unpack them there."
        )
    places = pd.DataFrame({ID: found, PATH: found})
    return Gathered(place, pd.DataFrame(rows).fillna(""), places, {"other_images": others} if others else {})


def _beside(description: Description, place: Path, path: str) -> dict[str, str]:
    file, patterns = description.beside
    if not file:
        return {}
    text = place / file.format(stem=posixpath.splitext(posixpath.basename(path))[0])
    written = read_text(text) if text.is_file() else ""
    matches = {name: re.search(pattern, written, re.IGNORECASE) for name, pattern in patterns.items()}
    return {name: match[1] if match else "" for name, match in matches.items()}


def _read(file: Path, description: Description, required: Sequence[str]) -> pd.DataFrame:
    dialect = Dialect(description.delimiter, description.header, description.rename)
    try:
        return read_rows(file, required, dialect)
    except MissingColumn as error:
        raise _other_release(error, description) from None


def _require(file: Path, rows: pd.DataFrame, description: Description, required: Sequence[str]) -> None:
    names = [str(name) for name in rows]
    for name in required:
        if name not in rows:
            shown = ", ".join(f"'{other}'" for other in names[:40])
            raise _other_release(MissingColumn(f"{file} has no column '{name}': it has {shown}.", names), description)


def _other_release(error: MissingColumn, description: Description) -> EmbedkitError:
    likely = [name for name, columns in description.releases.items() if set(columns) <= set(error.names)]
    return EmbedkitError(f"{error} It looks like another release: {likely[0]}.") if likely else error


def _joined(rows: pd.DataFrame, place: Path, join: Join, description: Description) -> pd.DataFrame:
    file = first_there(place, join.file)
    if file is None:
        if join.optional:
            return rows
        raise EmbedkitError(f"{place} lacks {' or '.join(join.file)}, which the set needs: put it there.")
    more = _read(place / file, description, join.on)
    keys = [name for name in join.on if name in rows]
    repeated = more[more.duplicated(keys)]
    if len(repeated):
        raise EmbedkitError(f"{place / file}, line {repeated.index[0]}: another row has the same {', '.join(keys)}.")
    fresh = [name for name in more if name not in rows]
    known = [name for name in more if name in rows and name not in keys]
    merged = rows.merge(more[[*keys, *fresh, *known]], on=keys, how="left", suffixes=("", "\0"))
    for name in known:
        # Of a column that both have (a join per split), what the first one lacks comes from the second.
        merged[name] = merged[name].where(merged[name].fillna("") != "", merged[f"{name}\0"])
    merged.index = rows.index
    return merged[[*rows, *fresh]].fillna("")


def _views(rows: pd.DataFrame, description: Description) -> pd.DataFrame:
    """Return a row for each image that a row lists, one after the other."""
    several = description.views
    rest = rows.drop(columns=[column for view in several.values() for column in view.values()])
    made = [
        rest.assign(**{ours: rows[theirs] for ours, theirs in view.items()}, **{description.view: name})
        for name, view in several.items()
    ]
    whole = pd.concat(made).sort_index(kind="stable")
    return whole[whole["image"] != ""]


def _listed(lists: Any, place: Path, paths: Sequence[str], facts: dict[str, Any]) -> list[str | float]:
    """Return the split of each image from the files that list them, one name per line."""
    splits: dict[str, str] = {}
    for split, name in lists.items():
        for line in read_text(place / name).splitlines():
            written = line.split()[0] if line.strip() else ""
            image = posixpath.splitext(posixpath.basename(written))[0]
            if image and splits.setdefault(image, split) != split:
                raise EmbedkitError(f"{place / name} lists '{written}', which is in {splits[image]} too: keep one.")
    stems = [posixpath.splitext(posixpath.basename(path))[0] for path in paths]
    strange = len(set(splits) - set(stems))
    if strange == len(splits):
        raise EmbedkitError(
            f"{place}: none of the {strange} images that {', '.join(lists.values())} list is in the set."
        )
    if strange:
        facts["in_split_lists_only"] = strange
    return [splits.get(stem, np.nan) for stem in stems]
