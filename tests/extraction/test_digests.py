"""Digests in 16 bytes each behave as texts in sets and dictionaries do."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from embedkit.extraction.digests import RAW, UNKNOWN, Firsts, Hexadecimal, among, gathered, packed, unpacked

# Zeros at the end are what numpy drops from an element.
TEXTS = [hashlib.sha256(bytes([n])).hexdigest()[:32] for n in range(60)] + ["ab" + "0" * 30, "00" * 15 + "01"]


def test_texts_come_back() -> None:
    assert unpacked(packed(TEXTS)) == TEXTS


def test_texts_are_made_when_asked_for() -> None:
    made = Hexadecimal(packed(TEXTS))
    assert (len(made), list(made), made[:], made[2:5]) == (len(TEXTS), TEXTS, TEXTS, TEXTS[2:5])
    assert made[-1] == TEXTS[-1]


@pytest.mark.parametrize("numbers", [[], [0], [0, 0], [0, 1], [0, 0, 1], [0, 1, 0, 1], [0, 1, 2, 2]])
def test_they_are_mostly_distinct_where_a_column_of_them_is_stored_as_text(numbers: list[int]) -> None:
    column = pd.Series([TEXTS[number] for number in numbers], dtype=object)
    stored_as_text = column.nunique() > len(column) // 2
    assert Hexadecimal(packed(column)).mostly_distinct() == stored_as_text


def test_what_is_no_digest_is_unknown() -> None:
    found = packed([TEXTS[0], None, "", "xyz", TEXTS[1][:30], 5, float("nan"), "é" * 32, TEXTS[-2]])
    assert (found == UNKNOWN).tolist() == [False, *[True] * 7, False]


def test_members_are_those_of_a_set() -> None:
    rng = np.random.default_rng(0)
    asked, one, other = (rng.choice(TEXTS, size).tolist() for size in (200, 20, 15))
    known = gathered([packed([*one, None]), packed(other)])
    assert set(unpacked(known)) == {*one, *other}
    assert among(packed([*asked, None]), known).tolist() == [text in {*one, *other} for text in [*asked, None]]
    assert not among(packed(asked), gathered([])).any()


def test_the_first_of_each_is_that_of_a_set() -> None:
    rng = np.random.default_rng(1)
    texts = rng.choice(TEXTS, 150).tolist()
    order = rng.permutation(150).tolist()
    digests = np.zeros(150, RAW)
    firsts, seen = Firsts(digests), set()
    for row in [*order, *order]:
        digests[row] = packed([texts[row]])[0]
        assert firsts.is_first(row) == (texts[row] not in seen)
        seen.add(texts[row])
