"""Tables that are packed come back as they were, and take a fraction of the memory meanwhile."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.datasets import ImageSet
from embedkit.datasets.packed import PackedTable, Texts

ODD = ["", "a", "größe", "\ud800", "扫描/1.png", "a\n\0b"]


def test_texts_are_a_sequence() -> None:
    texts = Texts(ODD)
    assert list(texts) == ODD
    assert [texts[-1], texts[1:4], texts[::-2]] == [ODD[-1], ODD[1:4], ODD[::-2]]
    assert texts.array().tolist() == ODD
    assert list(Texts([])) == []
    with pytest.raises(IndexError):
        texts[len(ODD)]


@pytest.mark.parametrize("n", [0, 1, 200, 300, 70_000])
def test_ends_have_room_for_all_letters(n: int) -> None:
    assert list(Texts(["x"] * n)) == ["x"] * n


def _table(n: int) -> pd.DataFrame:
    rows = range(n)
    paths = pd.Series([f"hospital/{row:07}.png" for row in rows], dtype=object)
    return pd.DataFrame(
        {
            "id": paths,
            "path": paths,
            "label": pd.Series(["nævus" if row % 3 else np.nan for row in rows], dtype=object),
            "group": pd.Series([f"patient {row // 2}" for row in rows], dtype=object),
            "nothing": pd.Series([np.nan] * n, dtype=object),
            "mixed": pd.Series([row if row % 2 else "x" for row in rows], dtype=object),
            "none": pd.Series([None, *["x"] * (n - 1)], dtype=object),
            "age": np.arange(n) / 2,
            "count": np.arange(n),
            "left": np.arange(n) % 2 == 0,
        }
    )


@pytest.mark.parametrize("n", [1, 2, 300])
def test_a_table_comes_back_with_its_types_and_gaps(n: int) -> None:
    table = _table(n)
    back = PackedTable(table, {"path": Texts(table["path"])}).table()
    pd.testing.assert_frame_equal(back, table)
    for name in ("mixed", "none"):
        assert [type(cell) for cell in back[name]] == [type(cell) for cell in table[name]]
    assert all(one is other for one, other in zip(back["id"], back["path"], strict=True))


def test_a_set_is_the_same_and_smaller_while_its_table_is_put_away() -> None:
    tracemalloc.start()
    try:
        made = ImageSet("set", Path("/data"), _table(2000)[["id", "path", "label", "group"]], {})
        whole = tracemalloc.get_traced_memory()[0]
        made.put_away()
        small = tracemalloc.get_traced_memory()[0]
        assert len(made) == 2000
        assert made.addresses()[7] == "/data/hospital/0000007.png"
        assert small < whole / 3, f"{small} of {whole} bytes"
    finally:
        tracemalloc.stop()
    pd.testing.assert_frame_equal(made.table, _table(2000)[["id", "path", "label", "group"]])


def test_addresses_of_rows_are_theirs() -> None:
    made = ImageSet("set", Path("/data"), pd.DataFrame({"path": ["a.png", "https://host/b.png", "c.png", "d.png"]}), {})
    some = made.addresses().of(np.array([3, 1, 0]))
    assert list(some) == ["/data/d.png", "https://host/b.png", "/data/a.png"]
    assert list(some.of(np.array([2, 1]))) == some[:0:-1] == ["/data/a.png", "https://host/b.png"]
