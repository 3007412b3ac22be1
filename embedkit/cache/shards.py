"""Row shards: what a run has done so far, in immutable sealed files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedkit.cache.errors import DamagedCache, ForeignCache
from embedkit.cache.sealed import open_sealed, reading, sealed_file

if TYPE_CHECKING:
    import h5py

_OVERHEAD = 1 << 16
_ENGINE = "engine"


@dataclass(frozen=True)
class Rows:
    """Where vectors are: the file, how many rows it has, and what computed a shard's, empty where that isn't known.

    The digests behind the rows stay in the file: of all shards of a run they would be much of what it holds.
    """

    path: Path
    count: int
    engine: str = ""

    def digests(self) -> np.ndarray:
        """Return the digest of the image behind each row, as bytes of shape (count,).

        Raises:
            ForeignCache, DamagedCache: see `open_sealed`.
        """
        with open_sealed(self.path) as file, reading(self.path):
            stored = file.get("digest")
            return _digests_of_table(file) if stored is None else np.asarray(stored[()])


def _digests_of_table(file: "h5py.File") -> np.ndarray:
    from embedkit.cache.elements import read_column

    return read_column(file["obs/digest"]).astype("S")


def write_shard(folder: Path, X: np.ndarray, digests: list[str], engine: str) -> Rows:
    """Write vectors of shape (n, d) with the digests of their images, and what computed them.

    The name is made of the digests, so that two writers of the same rows agree on it.
    """
    name = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:24]
    path = folder / f"{name}.h5"
    with sealed_file(path, room=X.nbytes + 32 * len(digests) + _OVERHEAD) as file:
        file["X"] = X
        file["digest"] = np.array(digests, dtype="S32")
        file.attrs[_ENGINE] = engine
    return Rows(path, len(digests), engine)


def read_shards(folder: Path) -> Iterator[Rows]:
    """Yield the shards that verify to the last byte; one that does not is removed, its rows are done again.

    Raises:
        CacheError: one can't be read, which may be intact.
    """
    for path in sorted(path for path in folder.glob("*.h5") if path.is_file()):
        try:
            with open_sealed(path, verified=True) as file, reading(path):
                yield Rows(path, len(file["digest"]), str(file.attrs.get(_ENGINE, "")))
        except (DamagedCache, ForeignCache):
            path.unlink()
