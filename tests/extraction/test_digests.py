"""Digests in 16 bytes each behave as texts in sets and dictionaries do."""

import hashlib

import numpy as np

from embedkit.extraction.digests import RAW, UNKNOWN, Firsts, among, gathered, packed, unpacked

# Zeros at the end are what numpy drops from an element.
TEXTS = [hashlib.sha256(bytes([n])).hexdigest()[:32] for n in range(60)] + ["ab" + "0" * 30, "00" * 15 + "01"]


def test_texts_come_back() -> None:
    assert unpacked(packed(TEXTS)) == TEXTS


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
