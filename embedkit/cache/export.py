"""A cache file in other forms, for tools that read neither HDF5 nor Python."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.cache.embedding_set import EmbeddingSet
from embedkit.cache.errors import writing_to
from embedkit.cache.store import read
from embedkit.errors import EmbedkitError


def export(path: Path, to: Path) -> None:
    """Write a cache file as ``.npz`` (X and one array per column), ``.csv`` or ``.h5ad``, by the suffix of ``to``.

    Raises:
        EmbedkitError: another suffix, or ``to`` can't be written.
    """

    def copy(_: EmbeddingSet, target: Path) -> None:
        shutil.copyfile(path, target)

    writers = {".npz": _npz, ".csv": _csv, ".h5ad": copy}
    if to.suffix not in writers:
        raise EmbedkitError(f"no export to '{to.suffix}' files: choose {', '.join(writers)}")
    temporary = to.with_name(f".{to.name}.tmp{to.suffix}")
    embeddings = read(path)
    try:
        with writing_to(to.parent):
            to.parent.mkdir(parents=True, exist_ok=True)
            writers[to.suffix](embeddings, temporary)
            temporary.replace(to)
    finally:
        temporary.unlink(missing_ok=True)


def _npz(embeddings: EmbeddingSet, to: Path) -> None:
    columns: dict[str, Any] = {"X": embeddings.X}
    for name, values in embeddings.table.items():
        # Object arrays would be pickled; text becomes fixed-width unicode, a gap the empty text.
        text = values.dtype.kind not in "biuf"
        columns[str(name)] = values.fillna("").to_numpy(str) if text else values.to_numpy()
    np.savez(to, **columns)


def _csv(embeddings: EmbeddingSet, to: Path) -> None:
    vectors = pd.DataFrame(embeddings.X, columns=[f"e{i}" for i in range(embeddings.X.shape[1])])
    pd.concat([embeddings.table, vectors], axis=1).to_csv(to, index=False)
