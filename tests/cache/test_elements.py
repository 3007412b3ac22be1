"""What goes in comes out, for embedkit and for anndata."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedkit.cache.elements import read_dict, read_table, write_dict, write_table

text = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8)
columns = st.one_of(
    st.lists(text | st.none(), min_size=3, max_size=3).map(
        lambda v: pd.Series([np.nan if x is None else x for x in v], dtype=object)
    ),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(pd.Series),
    st.lists(st.floats(), min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype=np.float64)),
    st.lists(st.booleans(), min_size=3, max_size=3).map(pd.Series),
)
names = text.filter(lambda name: name not in ("", "_index", "id"))


@given(st.dictionaries(names, columns, max_size=4))
@settings(deadline=None, max_examples=60)
def test_tables_round_trip(data: dict[str, pd.Series]) -> None:
    table = pd.DataFrame({"id": ["a", "b\n", "\N{SNOWMAN}"], **data})
    with h5py.File.in_memory() as file:
        write_table(file, "obs", table, index="id")
        pd.testing.assert_frame_equal(read_table(file["obs"]), table)


def test_dictionaries_round_trip() -> None:
    value = {
        "text": "ä\n",
        "number": 3,
        "share": 0.5,
        "array": np.arange(3),
        "inner": {"table": pd.DataFrame({"a": [1]})},
    }
    with h5py.File.in_memory() as file:
        write_dict(file, "uns", value)
        back = read_dict(file["uns"])
    assert (back["text"], back["number"], back["share"]) == ("ä\n", 3, 0.5)
    np.testing.assert_array_equal(back["array"], np.arange(3))
    pd.testing.assert_frame_equal(back["inner"]["table"], pd.DataFrame({"a": [1]}))


def test_texts_made_as_they_are_written_lie_in_the_file_as_if_written_at_once(tmp_path: Path) -> None:
    rows = range(150_000)
    table = pd.DataFrame({"id": [f"image {row}" for row in rows], "name": [f"ä{row}" for row in rows]})
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        write_table(file, "obs", table, index="id")
        write_dict(file, "rest", {"array": np.arange(3)})
    with h5py.File(tmp_path / "parts.h5", "w") as file:
        write_table(file, "obs", table[["id"]], index="id", distinct={"name": table["name"].tolist()})
        write_dict(file, "rest", {"array": np.arange(3)})
    assert (tmp_path / "parts.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_anndata_reads_every_kind_of_column(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    table = pd.DataFrame(
        {"id": ["a", "b", "c"], "label": ["x", np.nan, "x"], "name": ["p", "q", "r"], "w/h": [1.0, 2.0, np.nan]}
    )
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        write_table(file, "obs", table, index="id")
    with h5py.File(path) as file:
        obs = anndata.io.read_elem(file["obs"])
    assert list(obs.index) == ["a", "b", "c"]
    assert obs["label"].isna().tolist() == [False, True, False]
    assert obs["name"].tolist() == ["p", "q", "r"]
    np.testing.assert_array_equal(obs["w\N{FRACTION SLASH}h"], table["w/h"])
