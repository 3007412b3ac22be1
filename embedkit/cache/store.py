"""A cache file under its final name: where it is and how it is replaced."""

import glob
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from embedkit.cache.errors import CacheError, DamagedCache, ForeignCache, writing_to
from embedkit.cache.header import Cached, header_of, pack, read_header, refuse_renamed
from embedkit.cache.merge import BLOCK_BYTES, copy_vectors, row_checksums, take
from embedkit.cache.sealed import open_sealed, reading, sealed_file, sweep, verify_seal
from embedkit.cache.shards import Rows, read_shards, write_shard
from embedkit.cache.whole import whole_file

if TYPE_CHECKING:
    import pandas as pd

_OVERHEAD = 1 << 18
_DIGEST = 96  # bytes of one in a table
_A_LOOK = 5.0  # seconds, in which many others have looked
_NOTES = "rows.json"
_NOTED = ["path", "size", "mtime_ns", "ctime_ns", "digest"]


@dataclass(frozen=True)
class Store:
    """The place of one (data set, encoder configuration): its final file, its shards and its lock.

    Attributes:
        cache: the folder of all caches. dataset, encoder, key: what the file is named by.
        part: where several machines share the work, ``3-of-8`` for the third of eight, with shards and a lock of its
            own; whoever holds the lock of the whole holds those of all parts.
    """

    cache: Path
    dataset: str
    encoder: str
    key: str
    part: str = ""

    @property
    def path(self) -> Path:
        """The final file."""
        return self.cache / self.dataset / f"{self.encoder}.{self.key}.h5ad"

    @property
    def shard_folder(self) -> Path:
        """Where the shards of a run are until they are merged."""
        return self.cache / self.dataset / ".shards" / f"{self.encoder}.{self.key}" / self.part

    @contextmanager
    def lock(self, timeout: float = -1) -> Iterator[None]:
        """Hold the one lock of this file; the system frees it when its holder dies.

        Args:
            timeout: seconds to wait, -1 for ever.

        Raises:
            Timeout: another process holds it.
            CacheError: the folder can't be written, or the whole is being merged while a part is asked for.
        """
        folder = self.path.parent
        with ExitStack() as held:
            with writing_to(folder):
                folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(self._lock_file, timeout=timeout))
                for part in self._part_locks():
                    held.enter_context(FileLock(part, timeout=timeout))
            # Others look too, and hold the lock while they do.
            if self.part and _held(replace(self, part="")._lock_file, patience=_A_LOOK):
                raise CacheError(f"{self.path} is being written by another process: wait for its end")
            yield

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{self.part}.lock" if self.part else f".{self.path.name}.lock")

    def _part_locks(self) -> list[Path]:
        return [] if self.part else sorted(self.path.parent.glob(f".{glob.escape(self.path.name)}.*-of-*.lock"))

    def busy(self) -> bool:
        """Say whether another process holds the lock now, of the whole or of a part."""
        return any(map(_held, [self._lock_file, *self._part_locks()]))

    def read(self) -> Cached | None:
        """Return what the final file holds beside its vectors, or None where there is no file."""
        with writing_to(self.path.parent):
            there = self.path.exists()
        if not there:
            return None
        found = read_header(self.path)
        refuse_renamed(self.path, found.provenance)
        return found

    def shards(self) -> list[Rows]:
        """Return the shards that verify, after removing what killed writers left. Call it under the lock."""
        folders = [self.shard_folder, *self._part_folders()]
        for folder in folders:
            sweep(folder)
        if not self.part:
            sweep(self.path.parent, self.path.name)
        return [rows for folder in folders for rows in read_shards(folder)]

    def tidy(self) -> None:
        """Remove the shards that a run left which was killed just after it had written the final file.

        Where the folder can't be written, or somebody is at work, they stay.
        """
        if self.shard_folder.exists():
            with suppress(Timeout, CacheError), self.lock(timeout=0):
                self.drop_shards()

    def drop_shards(self) -> None:
        """Remove the shards, whose vectors the final file has. Call it under the lock."""
        shutil.rmtree(self.shard_folder, ignore_errors=True)

    def _part_folders(self) -> list[Path]:
        return [] if self.part else sorted(self.shard_folder.glob("*-of-*"))

    def note_rows(self, rows: "pd.DataFrame") -> None:
        """Write down beside the shards of a part which files had which digest; `noted_rows` of the whole reads it.

        Args:
            rows: ``path``, ``size``, ``mtime_ns``, ``ctime_ns`` and ``digest`` of images that have a vector.
        """
        with writing_to(self.shard_folder), whole_file(self.shard_folder / _NOTES) as temporary:
            text = rows.to_json(orient="split", index=False)
            temporary.write_text(f"{_checksum(text)}\n{text}", encoding="utf-8")

    def noted_rows(self) -> "list[pd.DataFrame]":
        """Return what `note_rows` wrote for each part; what can't be read is left aside, its files are hashed again."""
        import pandas as pd

        found = []
        for folder in self._part_folders():
            with suppress(OSError, ValueError, TypeError):
                checksum, _, text = (folder / _NOTES).read_text(encoding="utf-8").partition("\n")
                if checksum == _checksum(text):
                    found.append(pd.DataFrame(**json.loads(text))[_NOTED])
        return found

    def add_shard(self, X: np.ndarray, digests: list[str], engine: str = "") -> Rows:
        """Commit vectors of shape (n, d), which an engine has computed, as a shard."""
        return write_shard(self.shard_folder, X, digests, engine)

    def siblings(self) -> list[Path]:
        """Return the files of other data sets with the same key: their vectors can be reused."""
        others = self.cache.glob(f"*/{self.encoder}.{self.key}.h5ad")
        return sorted(path for path in others if path != self.path)

    def adopt(
        self, path: Path, wanted: Set[str], turned: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> list[Rows]:
        """Copy the vectors of the wanted digests from a sibling into shards; return the shards.

        A sibling has a lock of its own, so its file may be replaced at any time: it is opened once, and its digests
        and its vectors are of one file.

        Args:
            turned: what is kept of some vectors (n, d) of a file of another key, (n, e).

        Raises:
            CacheError: the sibling is damaged or called as another file, or the disk is full or closed.
        """
        with open_sealed(path, verified=True) as file, reading(path):
            header = header_of(file, path)
            refuse_renamed(path, header.provenance)
            digests = header.table["digest"].to_numpy(object)
            _, first = np.unique(digests.astype(str), return_index=True)
            rows = np.sort([row for row in first if digests[row] in wanted])
            step = max(1, BLOCK_BYTES // max(1, file["X"].shape[1] * file["X"].dtype.itemsize))
            blocks = [rows[start : start + step] for start in range(0, len(rows), step)]
            found = ((take(file["X"], block), list(digests[block])) for block in blocks)
            engine = str(header.provenance.get("engine", ""))
            return [self.add_shard(turned(X) if turned else X, names, engine) for X, names in found]

    def damage(self) -> str:
        """Return what is wrong with the final file, nothing if it is intact or absent.

        The format version is part of the key: another version, or another program's file, can't bear this name.
        """
        try:
            if self.path.exists():
                verify_seal(self.path)
        except (DamagedCache, ForeignCache) as error:
            return str(error)
        return ""

    def salvage(self) -> None:
        """Copy the vectors of a damaged final file whose checksums hold into shards. Call it under the lock.

        Where the table that says whose they are is damaged, the file is called as another one, or is of before there
        were checksums of rows, nothing can be kept.
        """
        with suppress(DamagedCache, ForeignCache), open_sealed(self.path) as file, reading(self.path):
            header = header_of(file, self.path)
            refuse_renamed(self.path, header.provenance)
            digests, engine = header.table["digest"].to_numpy(object), str(header.provenance.get("engine", ""))
            stored = file["uns/checksums"][()]
            step = max(1, BLOCK_BYTES // max(1, file["X"].shape[1] * file["X"].dtype.itemsize))
            for start in range(0, len(digests), step):
                X = file["X"][start : start + step]
                kept = np.flatnonzero(row_checksums(X) == stored[start : start + step])
                if len(kept):
                    self.add_shard(X[kept], list(digests[start : start + step][kept]), engine)

    def commit(
        self,
        table: "pd.DataFrame",
        failed: "pd.DataFrame",
        files: "pd.DataFrame",
        sources: list[Rows],
        provenance: dict[str, Any],
        digests: Sequence[str] | None = None,
    ) -> None:
        """Merge vectors from the sources into the final file, in the order of the table, in a stream.

        Args:
            table: one row per vector, with ``id`` and, unless they are given, ``digest``.
            failed: the ledger. files: as in `Cached`, one row per row of the table.
            sources: where the vectors are; every digest of the table stands in one of them.
            provenance: as in `EmbeddingSet`.
            digests: the last column of the table, where its texts are made as they are written; mostly distinct.

        Raises:
            CacheError: the disk is full or closed; the old file, if there was one, stays as it was.
        """
        import pandas as pd

        from embedkit.cache.elements import write_dict, write_table

        # A flipped byte that is merged would have a valid checksum ever after.
        for source in sources:
            verify_seal(source.path)
        uns = {"failed": failed, "files": files, "embedkit": pack(provenance)}
        last = {} if digests is None else {"digest": digests}
        wanted = table["digest"].tolist() if digests is None else digests
        room = _room(len(table), sources[0].path, [table, failed, files]) + _DIGEST * len(table) * len(last)
        with sealed_file(self.path, room) as file:
            file.attrs["encoding-type"] = "anndata"
            file.attrs["encoding-version"] = "0.1.0"
            uns["checksums"] = copy_vectors(file, wanted, sources)
            write_table(file, "obs", table, index="id", distinct=last)
            names = pd.DataFrame({"dimension": np.arange(file["X"].shape[1]).astype(str).astype(object)})
            write_table(file, "var", names, index="dimension")
            write_dict(file, "uns", uns)
            for empty in ("layers", "obsm", "varm", "obsp", "varp"):
                write_dict(file, empty, {})
        self.drop_shards()


def _held(lock_file: Path, patience: float = 0) -> bool:
    """Say whether another process holds a lock, for longer than so many seconds."""
    try:
        with writing_to(lock_file.parent):
            lock_file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(lock_file, timeout=patience):
                return False
    except Timeout:
        return True


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _room(n: int, source: Path, tables: "list[pd.DataFrame]") -> int:
    with open_sealed(source) as file:
        row = int(file["X"].shape[1]) * int(file["X"].dtype.itemsize)
    return n * row + sum(int(table.memory_usage(deep=True).sum()) for table in tables) + _OVERHEAD


def store_of(path: Path) -> Store:
    """Return the place that a final file's name says."""
    encoder, _, key = path.stem.rpartition(".")
    return Store(path.parent.parent, path.parent.name, encoder, key)
