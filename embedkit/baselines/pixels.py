"""Every image decoded once, into one file of small pixels that is mapped into memory and read in any order."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from embedkit import images
from embedkit.cache import EmbeddingSet
from embedkit.cache.errors import writing_to
from embedkit.cache.whole import whole_file
from embedkit.cost import Cost, measured
from embedkit.datasets import ImageSet
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress
from embedkit.extraction.decode import Way, decoded
from embedkit.extraction.plan import canonical_table, file_stamps
from embedkit.machine import cores

_STRETCH = 32


@dataclass(frozen=True)
class Pixels:
    """The decoded images of a set.

    Attributes:
        path: the file. data: (n, size, size, 3) uint8, mapped from it; black where an image could not be read.
        digests: (n,) of the images' bytes, None where one could not be read. failures: row -> (reason, message).
        cost: of decoding them, whenever that was.
    """

    path: Path
    data: np.ndarray
    digests: list[str | None]
    failures: dict[int, tuple[str, str]]
    cost: Cost

    def remove(self) -> None:
        """Remove the file and what was written beside it."""
        with _lock(self.path):
            for path in (self.path, _sidecar(self.path)):
                path.unlink(missing_ok=True)


def decode_once(
    dataset: ImageSet, preprocessing: Preprocessing, folder: Path, workers: int | None, progress: Progress
) -> Pixels:
    """Decode all images of a set, or map the file that an earlier run made of the same files.

    Args:
        folder: where the file is kept. workers: decoding processes, by default one per core.

    Raises:
        EmbedkitError: no image could be read; the disk is full or closed.
    """
    addresses = dataset.addresses()
    stamps = file_stamps(addresses)
    content = [preprocessing.describe(), images.POLICY, list(addresses), stamps.to_numpy().tolist()]
    name = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    path, shape = folder / f"{name}.pixels", (len(addresses), preprocessing.size, preprocessing.size, 3)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            record = _remembered(path) if (stamps["ctime_ns"] > 0).all() else None
            if record is None:
                record = _decode(dataset.name, addresses, preprocessing, path, workers, progress)
            # What is mapped stays readable though another run that is done with it removes the file.
            mapped = np.memmap(path, np.uint8, "r", shape=shape)
    failures = {int(row): (reason, message) for row, (reason, message) in record["failures"].items()}
    if len(failures) == len(addresses):
        raise EmbedkitError(f"none of the {len(addresses)} images of {dataset.name} could be read. {failures[0][1]}")
    return Pixels(path, mapped, record["digests"], failures, Cost.from_dict(record["cost"]))


def as_embeddings(dataset: ImageSet, encoder: str, number: int, pixels: Pixels | None = None) -> EmbeddingSet:
    """Return the set in the form that a plan is made of: the rows and columns that its embeddings would have.

    Args:
        number: of the set, told apart from others by the second column.
        pixels: what was decoded; before that all rows are there, without their digests.

    Returns:
        X of shape (n, 2): the row of the pixels and ``number``.
    """
    table = canonical_table(dataset)
    digests = [None] * len(table) if pixels is None else pixels.digests
    ok = np.array([pixels is None or digest is not None for digest in digests])
    failures = {} if pixels is None else pixels.failures
    lost = np.flatnonzero(~ok).tolist()
    failed = table.loc[lost, ["id", "path"]].reset_index(drop=True)
    for column, name in enumerate(("reason", "message")):
        failed[name] = pd.Series([failures[row][column] for row in lost], dtype=object)
    rows = np.flatnonzero(ok)
    read = table.loc[rows].reset_index(drop=True)
    if pixels is not None:
        read["digest"] = [digests[row] for row in rows]
    about = json.loads(json.dumps({"targets": dataset.targets, "facts": dataset.facts}))
    provenance = {"name": dataset.name, "encoder": encoder, "key": "", "dataset": about}
    return EmbeddingSet(
        np.column_stack([rows, np.full(len(rows), number)]).astype(np.float32), read, provenance, failed
    )


def _decode(
    name: str,
    addresses: Sequence[str],
    preprocessing: Preprocessing,
    path: Path,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    n, size = len(addresses), preprocessing.size
    digests: list[str | None] = [None] * n
    failures: dict[int, tuple[str, str]] = {}
    with path.open("wb") as file:
        # Writing to a mapped file on a full disk would end the process, so the space is asked for beforehand.
        os.posix_fallocate(file.fileno(), 0, n * size * size * 3)
    data = np.memmap(path, np.uint8, "r+", shape=(n, size, size, 3))
    count = cores() if workers is None else workers
    progress.start(f"{name}  decoding at {size} px", n)
    try:
        with measured() as meter:
            meter.multiply_adds = 0
            for stretch in decoded(list(range(n)), addresses, [Way(preprocessing)], workers=count, batch=_STRETCH):
                if stretch.rows:
                    data[stretch.rows] = stretch.pixels[0]
                for row, digest in zip(stretch.rows, stretch.digests, strict=True):
                    digests[row] = digest
                failures.update({failure.row: (failure.reason, failure.message) for failure in stretch.failures})
                progress.advance(len(stretch.rows) + len(stretch.failures))
    finally:
        progress.stop()
    data.flush()
    record = {"digests": digests, "failures": failures, "cost": meter.cost.to_dict()}
    with whole_file(_sidecar(path)) as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")
    return {**record, "failures": {str(row): failure for row, failure in failures.items()}}


def _lock(path: Path) -> FileLock:
    return FileLock(path.with_name(f".{path.name}.lock"))


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _remembered(path: Path) -> dict[str, Any] | None:
    # The record is written last, so where it is the pixels are complete.
    try:
        record: dict[str, Any] = json.loads(_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if path.exists() else None
