"""Cache files and shards as they lie in a folder: found by their names, and removed."""

import glob
from pathlib import Path

from embedkit.cache.checked import checked_note
from embedkit.cache.errors import ForeignCache, writing_to
from embedkit.cache.receipt import receipt
from embedkit.cache.sealed import read_seal


def find_shards(
    cache: Path, dataset: str | None = None, encoder: str | None = None, key: str | None = None
) -> list[Path]:
    """Return the shards of unfinished runs, of all or of one final file, sorted by name."""
    folder = f"{_literal(dataset)}/.shards/{_literal(encoder)}.{_literal(key)}"
    return sorted([*cache.glob(f"{folder}/*.h5"), *cache.glob(f"{folder}/*-of-*/*.h5")])


def _literal(name: str | None) -> str:
    return "*" if name is None else glob.escape(name)


def find(cache: Path, dataset: str | None = None, encoder: str | None = None, key: str | None = None) -> list[Path]:
    """Return the cache files that fit, sorted by name; None fits all."""
    asked = (dataset, encoder, key)
    return sorted(path for path in cache.glob("*/*.h5ad") if path.is_file() and _fits(path, asked))


def _fits(path: Path, asked: tuple[str | None, ...]) -> bool:
    encoder, _, key = path.stem.rpartition(".")
    names = (path.parent.name, encoder, key)
    return all(wanted in (None, name) for wanted, name in zip(asked, names, strict=True))


def remove(path: Path, cache: Path) -> None:
    """Remove a cache file: one that lies in ``cache``, or one that has a seal.

    Raises:
        ForeignCache: neither; another program's file is not ours to remove.
        CacheError: the folder can't be written.
    """
    if path.resolve().parent.parent != cache.resolve():
        try:
            read_seal(path)
        except ForeignCache as error:
            raise ForeignCache(
                f"{path} lies in no cache folder and is not an embedkit cache, or its first bytes are damaged: it is "
                "left as it is"
            ) from error
    with writing_to(path.parent):
        path.unlink()
        for beside in (receipt(path), checked_note(path)):
            beside.unlink(missing_ok=True)
