"""Parquet and Arrow files with images -> the columns of an `ImageSet`: class labels, flags, groups, metadata."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from embedkit.datasets.contents import Contents, without_empty
from embedkit.datasets.splits import SPLITS
from embedkit.errors import EmbedkitError
from embedkit.images import ImageError, columns

if TYPE_CHECKING:
    import pyarrow as pa

FILE_NAME = "file_name"


def from_tables(place: Path, files: list[tuple[str, str]]) -> Contents:
    """Read the labels and other columns of Parquet and Arrow files that hold images.

    Args:
        files: relative to `place`, each with the split it is of, or nothing.

    Raises:
        EmbedkitError: a file is damaged or holds no images; pyarrow is missing.
    """
    targets: dict[str, tuple[str, ...]] = {}
    facts: dict[str, Any] = {}
    parts = [_table(place, name, split, targets, facts) for name, split in files]
    table = pd.concat(parts, ignore_index=True)
    if not len(table):
        raise EmbedkitError(f"the {len(files)} files of {place} hold no rows.")
    table = without_empty(table, "split", "group")
    if "group" in table:
        facts["group"] = "the column group of the table"
    ordered = dict(sorted(targets.items(), key=lambda item: item[0] not in ("label", "labels")))
    first = next(iter(ordered), None)
    if first is not None and len(ordered[first]) == 1:
        table = table.rename(columns={ordered[first][0]: "label"})
        ordered[first] = ("label",)
    return Contents(table, ordered, facts)


def _table(
    place: Path, file: str, split: str, targets: dict[str, tuple[str, ...]], facts: dict[str, Any]
) -> pd.DataFrame:
    try:
        columns.require_pyarrow(place / file)
        whole = columns.Columnar(str(place / file))
    except ImageError as error:
        raise EmbedkitError(str(error)) from error
    except columns.damage() as error:
        raise EmbedkitError(
            f"{place / file} cannot be read ({error}): it is cut short or damaged, copy it again."
        ) from error
    features = _features(whole.schema)
    image = _image_column(place / file, whole.schema, features)
    paths = [f"{file}#{image}[{row}]" for row in range(whole.rows)]
    made: dict[str, Any] = {"id": paths, "path": paths}
    kept = [
        name
        for name in whole.schema.names
        if name != image and _kept(whole.schema.field(name).type, features.get(name))
    ]
    left_out = sorted(set(whole.schema.names) - {image, *kept})
    if left_out:
        facts["columns_left_out"] = left_out
    cells = whole.columns(kept)
    for name in kept:
        taken = {"id", "path", "label", "split", "group", *whole.schema.names}
        made |= _column(place / file, name, cells[name], features.get(name) or {}, targets, taken)
    if "path" in [field.name for field in _fields(whole.schema.field(image).type)]:
        names = whole.field(image, "path").to_pandas()
        if names.notna().any():
            made[FILE_NAME] = names
    if split or "split" in made:
        own = pd.Series(made.get("split", [split] * whole.rows), dtype=object)
        made["split"] = own.map(lambda name: SPLITS.get(str(name).lower(), np.nan)) if "split" in made else own
    return pd.DataFrame(made)


def _column(
    file: Path,
    name: str,
    cells: "pa.ChunkedArray",
    feature: dict[str, Any],
    targets: dict[str, tuple[str, ...]],
    taken: set[str],
) -> dict[str, Any]:
    """Return what becomes of one column, and note the target that it is; no flag bears a name that is taken."""
    if name in {"id", "path", "digest"}:
        return {f"{name}_of_the_set": cells.to_pandas()}
    classes = _classes(feature)
    if classes is not None and _is_list(feature):
        held = [None if row is None else set(row) for row in cells.to_pylist()]
        flags = tuple(f"{name}_{label}" if label in taken else label for label in classes)
        targets[name] = flags
        return {
            flag: [np.nan if row is None else float(number in row) for row in held] for number, flag in enumerate(flags)
        }
    if classes is not None:
        numbers = cells.to_pylist()
        strange = [number for number in numbers if number is not None and not -1 <= number < len(classes)]
        if strange:
            raise EmbedkitError(f"{file}: '{name}' holds {strange[0]}, and its names are {', '.join(classes)}.")
        targets[name] = (name,)
        # -1 is how test sets without labels are published.
        return {name: [np.nan if number in (None, -1) else classes[number] for number in numbers]}
    values = cells.to_pandas()
    if name in ("label", "labels", "group"):
        if name != "group":
            targets[name] = (name,)
        return {name: values.map(lambda value: value if pd.isna(value) else _written(value)).astype(object)}
    return {name: values}


def _written(value: object) -> str:
    # A gap among whole numbers makes pandas hold them as floats.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _features(schema: "pa.Schema") -> dict[str, Any]:
    """Return what ``datasets`` says of each column in the metadata of the schema."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        # Older releases write a list of something as a list of one.
        return {
            name: {"_type": "List", "feature": one[0]} if isinstance(one, list) else one for name, one in said.items()
        }
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return {}


def _classes(feature: dict[str, Any]) -> list[str] | None:
    inner = feature.get("feature", feature) if _is_list(feature) else feature
    named = isinstance(inner, dict) and inner.get("_type") == "ClassLabel"
    return [str(name) for name in inner["names"]] if named and inner.get("names") else None


def _is_list(feature: dict[str, Any]) -> bool:
    return feature.get("_type") in ("Sequence", "List", "LargeList")


def _kept(kind: "pa.DataType", feature: dict[str, Any] | None) -> bool:
    from pyarrow import types

    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    return any(test(kind) for test in plain) or _classes(feature or {}) is not None


def _fields(kind: "pa.DataType") -> list[Any]:
    from pyarrow import types

    return [kind.field(number) for number in range(kind.num_fields)] if types.is_struct(kind) else []


def _image_column(file: Path, schema: "pa.Schema", features: dict[str, Any]) -> str:
    from pyarrow import types

    def holds_bytes(kind: "pa.DataType") -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    named = [name for name, feature in features.items() if (feature or {}).get("_type") == "Image"]
    likely = [
        field.name
        for field in schema
        if holds_bytes(field.type)
        or any(part.name == "bytes" and holds_bytes(part.type) for part in _fields(field.type))
    ]
    found = named or likely
    if not found:
        raise EmbedkitError(f"{file} has no column of images: its columns are {', '.join(schema.names)}.")
    chosen = "image" if "image" in found else found[0]
    if len(found) > 1 and chosen != "image":
        raise EmbedkitError(
            f"{file} has several columns of images ({', '.join(found)}): rename the one meant to 'image'."
        )
    if not chosen.isidentifier():
        raise EmbedkitError(f"{file}: the column of images is named '{chosen}': rename it to 'image'.")
    return chosen
