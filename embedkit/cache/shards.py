"""Row shards: what a run has done so far, in immutable sealed files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedkit.cache.errors import CacheError
from embedkit.cache.sealed import open_sealed, reading, sealed_file

_OVERHEAD = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Where vectors are: the file, and the digest of the image behind each of its rows."""

    path: Path
    digests: tuple[str, ...]


def write_shard(folder: Path, X: np.ndarray, digests: list[str]) -> Rows:
    """Write vectors of shape (n, d) with the digests of their images.

    The name is made of the digests, so that two writers of the same rows agree on it.
    """
    name = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:24]
    path = folder / f"{name}.h5"
    with sealed_file(path, room=X.nbytes + 32 * len(digests) + _OVERHEAD) as file:
        file["X"] = X
        file["digest"] = np.array(digests, dtype="S32")
    return Rows(path, tuple(digests))


def read_shards(folder: Path) -> Iterator[Rows]:
    """Yield the shards that verify to the last byte; one that does not is removed, its rows are done again."""
    for path in sorted(folder.glob("*.h5")):
        try:
            with open_sealed(path, verified=True) as file, reading(path):
                yield Rows(path, tuple(file["digest"].asstr()[()]))
        except CacheError:
            path.unlink()
