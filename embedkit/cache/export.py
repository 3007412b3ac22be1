"""A cache file in other forms, for tools that read neither HDF5 nor Python."""

import csv
import shutil
from collections.abc import Container
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd

from embedkit.cache.embedding_set import EmbeddingSet
from embedkit.cache.header import read
from embedkit.cache.whole import saved
from embedkit.errors import EmbedkitError


def export(path: Path, to: Path) -> None:
    """Write a cache file as ``.npz`` (X and one array per column), ``.csv`` or ``.h5ad``, by the suffix of ``to``.

    Raises:
        EmbedkitError: another suffix, or ``to`` can't be written.
        DamagedCache: any byte of the cache file was changed.
    """

    def copy(_: EmbeddingSet, target: Path) -> None:
        shutil.copyfile(path, target)

    writers = {".npz": _npz, ".csv": _csv, ".h5ad": copy}
    if to.suffix not in writers:
        raise EmbedkitError(f"no export to '{to.suffix}' files: choose {', '.join(writers)}")
    # What leaves the file has no checksum any more.
    embeddings = read(path, verified=True)
    with saved("the export", to) as temporary:
        if to.is_dir():
            raise EmbedkitError(f"{to} is a folder: name the file to write")
        writers[to.suffix](embeddings, temporary)


def _npz(embeddings: EmbeddingSet, to: Path) -> None:
    other = _free("X", {"X", *embeddings.table})
    with ZipFile(to, "w") as archive:
        _member(archive, "X", embeddings.X)
        for name, values in embeddings.table.items():
            # Object arrays would be pickled; text becomes fixed-width unicode, a gap the empty text.
            text = values.dtype.kind not in "biuf"
            column = values.fillna("").to_numpy(str) if text else values.to_numpy()
            _member(archive, other if name == "X" else str(name), column)


def _member(archive: ZipFile, name: str, values: np.ndarray) -> None:
    # numpy.savez takes names as keywords, and some of them (file) are its own.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, values, allow_pickle=False)


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name


def _csv(embeddings: EmbeddingSet, to: Path) -> None:
    d = embeddings.X.shape[1]
    vectors = pd.DataFrame(embeddings.X, columns=[_free(f"e{i}", embeddings.table) for i in range(d)])
    # Only what holds a line feed is quoted by itself: a carriage return alone would end the row for whoever reads it.
    pd.concat([embeddings.table, vectors], axis=1).to_csv(to, index=False, quoting=csv.QUOTE_NONNUMERIC)
