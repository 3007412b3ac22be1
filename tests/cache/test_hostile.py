"""Cache files that a stranger made or damage changed: refused with a sentence or read, and nothing else happens."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedkit.cache import CacheError, DamagedCache, ForeignCache, read, read_header
from embedkit.cache.elements import write_dict, write_table
from embedkit.cache.sealed import sealed_file
from tests.cache.conftest import PROVENANCE, no_failures, stamps, table_of, vectors

N = 4
Change = Callable[[h5py.File], Any]


def make(path: Path, change: Change = lambda _: None) -> Path:
    """Write a cache file by hand, changed before it is sealed: its checksums are right."""
    packed = {k: v if isinstance(v, str) else json.dumps(v) for k, v in PROVENANCE.items()}
    with sealed_file(path, 1 << 16) as file:
        file["X"] = vectors(list(range(N)))
        write_table(file, "obs", table_of(list(range(N))), index="id")
        write_dict(file, "uns", {"failed": no_failures(), "files": stamps(N), "embedkit": packed})
        change(file)
    return path


def _set(name: str, item: Any) -> Change:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = item
        if isinstance(item, np.ndarray):
            file[name].attrs["encoding-type"] = "array"

    return change


def _created(name: str, **how: Any) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how).attrs["encoding-type"] = "array"

    return change


def _deep(file: h5py.File) -> None:
    group = file["uns/embedkit"]
    for _ in range(2000):
        group = group.create_group("g")
        group.attrs["encoding-type"] = "dict"


def _without(name: str) -> Change:
    return lambda file: file.pop(name)


def _twice(file: h5py.File) -> None:
    file["uns/cycle"] = file["uns"]


def _codes(file: h5py.File) -> None:
    file["obs/label/codes"][...] = np.array([99, 0, 1, -7])


def _attribute(name: str, value: Any) -> Change:
    return lambda file: file["obs"].attrs.__setitem__(name, value)


STRANGE: dict[str, Change] = {
    "link to another file": _set("obs", h5py.ExternalLink("other.h5", "/obs")),
    "vectors in another file": _set("uns/x", h5py.ExternalLink("other.h5", "/X")),
    "link by name": _set("uns/soft", h5py.SoftLink("/uns")),
    "group in itself": _twice,
    "column in another file": _created("obs/count", shape=(N,), dtype="i8", external=[("../secret", 0, 8 * N)]),
    "column of terabytes": _created("obs/count", shape=(1 << 40,), dtype="i8"),
    "compressed zeros": _created("obs/count", data=np.zeros(1 << 20), compression="gzip"),
    "groups without end": _deep,
    "no table": _without("obs"),
    "no uns": _without("uns"),
    "no ledger": _without("uns/failed"),
    "no stamps": _without("uns/files"),
    "no provenance": _without("uns/embedkit"),
    "no key": _without("uns/embedkit/key"),
    "no digests": _without("obs/digest"),
    "codes without category": _codes,
    "columns that are a number": _attribute("column-names", 5),
    "index that is nowhere": _attribute("_index", "nowhere"),
    "table that is an array": _set("obs", np.arange(N)),
    "provenance that is a number": _set("uns/embedkit", np.arange(N)),
    "configuration that is no JSON": _set("uns/embedkit/configuration", np.arange(N)),
    "fewer rows": lambda file: (file.pop("obs"), write_table(file, "obs", table_of([1, 2]), index="id")),
    "fewer stamps": lambda file: (file["uns"].pop("files"), write_table(file["uns"], "files", stamps(2))),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_sealed_file_that_embedkit_would_not_write_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"S" * 1024)
    (tmp_path / "set").mkdir()
    with h5py.File(tmp_path / "set" / "other.h5", "w") as other:
        other["X"] = np.zeros(3)
    path = make(tmp_path / "set" / "x.h5ad", STRANGE[kind])
    with pytest.raises(DamagedCache, match=r"x\.h5ad is damaged"):
        read_header(path)
    with pytest.raises(DamagedCache, match=r"x\.h5ad is damaged"):
        assert read(path).table is None


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.target}",)


def test_a_pickle_in_a_cache_file_is_not_executed(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    payload = pickle.dumps(_Payload(target))

    def hide(file: h5py.File) -> None:
        file["uns/pickle"] = np.void(payload)
        file["uns/pickle"].attrs["encoding-type"] = "pickle"
        file["obs"].attrs["pickle"] = np.void(payload)

    assert len(read(make(tmp_path / "in.h5ad", hide))) == N
    (tmp_path / "is.h5ad").write_bytes(payload)
    with pytest.raises(ForeignCache, match="not an embedkit cache"):
        read(tmp_path / "is.h5ad")
    assert not target.exists()
    pickle.loads(payload)
    assert target.exists(), "the payload must be one that works"


@pytest.mark.parametrize("seal", ["vectors -600 8", "vectors 99999999 8", "vectors 600 -8", "size -1", "vectors x 8"])
def test_a_seal_that_cannot_be_is_refused(seal: str, tmp_path: Path) -> None:
    path = make(tmp_path / "x.h5ad")
    lines = path.read_bytes()[:512].rstrip(b"\0").split(b"\n")
    lines = [seal.encode() if line.startswith(seal.split(maxsplit=1)[0].encode()) else line for line in lines]
    path.write_bytes(b"\n".join(lines).ljust(512, b"\0") + path.read_bytes()[512:])
    with pytest.raises(DamagedCache):
        read(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("hostile") / "whole.h5ad")


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    early=st.booleans(),
    cut=st.integers(0, 3000),
    more=st.binary(max_size=20),
)
@settings(deadline=None, max_examples=100)
def test_wrong_bytes_are_refused_or_change_vectors_alone(
    whole: Path, flips: list[tuple[float, int]], early: bool, cut: int, more: bytes
) -> None:
    data = bytearray(whole.read_bytes())
    for place, value in flips:
        data[int(place * (512 if early else len(data)))] = value
    path = whole.with_name("wrong.h5ad")
    path.write_bytes(bytes(data[: len(data) - cut]) + more)
    try:
        found = read(path)
    except CacheError as error:
        assert "wrong.h5ad" in str(error)
    else:
        assert found.table.equals(read(whole).table)


_NAMES = ["X", "obs", "obs/id", "obs/path", "obs/digest", "obs/label", "obs/label/codes", "uns", "uns/failed",
          "uns/files", "uns/files/size", "uns/embedkit", "uns/embedkit/dataset", "uns/checksums"]  # fmt: skip
_ITEMS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=9),
    st.binary(min_size=1, max_size=9).map(np.void),
    st.lists(st.integers(-9, 9), max_size=5).map(np.array),
    st.lists(st.floats(width=16), max_size=5).map(lambda values: np.array(values, np.float16)),
    st.just(np.zeros((2, 2, 2))),
)
_KINDS = st.sampled_from(["array", "string", "string-array", "dict", "dataframe", "categorical", "numeric-scalar", ""])


@given(st.lists(st.tuples(st.sampled_from(_NAMES), _ITEMS, _KINDS), min_size=1, max_size=3), st.booleans())
@settings(deadline=None, max_examples=30)
def test_sealed_files_of_other_content_are_refused_or_read(
    whole: Path, changes: list[tuple[str, Any, str]], attribute: bool
) -> None:
    def change(file: h5py.File) -> None:
        for name, item, kind in changes:
            if attribute and name in file:
                file[name].attrs[kind or "_index"] = item
                continue
            parent, _, last = f"/{name}".rpartition("/")
            if not isinstance(file.get(parent or "/"), h5py.Group):
                continue
            if name in file:
                del file[name]
            file[f"{parent}/{last}"] = item
            file[name].attrs["encoding-type"] = kind
        if not isinstance(file.get("X"), h5py.Dataset) or file["X"].id.get_offset() is None:
            _set("X", np.zeros((N, 2), np.float32))(file)

    path = make(whole.with_name("other.h5ad"), change)
    try:
        found = read(path)
        assert len(found.table) == len(found.X)
    except CacheError as error:
        assert "other.h5ad" in str(error)
    else:
        assert found.X.ndim == 2
