"""Class texts: the ensemble by hand, the cache and its key, and classes that no text tells apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import CacheError, DamagedCache, find, read
from embedkit.errors import EmbedkitError
from embedkit.text import embed_classes, embed_texts
from embedkit.text.prompts import PromptSet
from tests.text.making import DIM, SCALE, Counted, vector

PROMPTS = PromptSet.from_table(
    {"templates": ["a photo of {}.", "{} it is."], "classes": {"a": "apples", "b": "bears", "c": "cats"}}, "mine"
)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


def test_the_ensemble_is_the_mean_of_unit_vectors_at_length_one() -> None:
    texts = embed_classes(Counted().tower, ["b", "a"], PROMPTS)
    assert texts.texts == (("a photo of bears.", "a photo of apples."), ("bears it is.", "apples it is."))
    for k, name in enumerate(("bears", "apples")):
        one, two = (vector(text).astype(np.float32) for text in (f"a photo of {name}.", f"{name} it is."))
        np.testing.assert_allclose(texts.W[k], _unit(_unit(one) + _unit(two)), atol=1e-7)
        np.testing.assert_allclose(texts.per_template[1, k], _unit(two), atol=1e-7)
    assert texts.W.shape == (2, DIM)
    assert texts.logit_scale == SCALE
    assert texts.absent is None


def test_absent_labels_have_texts_of_their_own() -> None:
    texts = embed_classes(Counted().tower, ["a"], PROMPTS, absent=True)
    negatives = [_unit(vector(text).astype(np.float32)) for text in ("a photo of no apples.", "no apples it is.")]
    np.testing.assert_allclose(texts.absent[0], _unit(negatives[0] + negatives[1]), atol=1e-7)


def test_embedded_once_and_read_again(tmp_path: Path) -> None:
    counted = Counted()
    first = embed_classes(counted.tower, ["a", "b"], PROMPTS, cache=tmp_path)
    again = embed_classes(counted.tower, ["b", "a"], PROMPTS, cache=tmp_path)
    assert counted.built == 1
    assert len(counted.embedded) == 4
    np.testing.assert_array_equal(first.W, again.W[::-1])
    assert (first.key, first.logit_scale, first.cut) == (again.key, again.logit_scale, again.cut)
    [path] = find(tmp_path)
    assert path.match("texts/by-hand.*.h5ad")
    other = {"a": PROMPTS.classes[""]["b"], "b": PROMPTS.classes[""]["a"]}
    exchanged = embed_classes(counted.tower, ["a", "b"], replace(PROMPTS, classes={"": other}), cache=tmp_path)
    assert (counted.built, exchanged.key == first.key) == (1, False)
    assert sorted(read(path).table["text"]) == sorted(counted.embedded)


@pytest.mark.parametrize(
    "change",
    [
        lambda: (Counted(weights="1"), ["a", "b"], PROMPTS),
        lambda: (Counted(architecture="other"), ["a", "b"], PROMPTS),
        lambda: (Counted(), ["a", "c"], PROMPTS),
        lambda: (Counted(), ["a", "b"], replace(PROMPTS, templates=(*PROMPTS.templates, "{}!"))),
        lambda: (Counted(), ["a", "b"], replace(PROMPTS, templates=("a photo of {}",))),
    ],
    ids=["weights", "architecture", "class texts", "one template more", "a full stop less"],
)
def test_whatever_changes_a_vector_changes_the_key(tmp_path: Path, change) -> None:
    before = embed_classes(Counted().tower, ["a", "b"], PROMPTS, cache=tmp_path)
    counted, classes, prompts = change()
    after = embed_classes(counted.tower, classes, prompts, cache=tmp_path)
    assert before.key != after.key
    assert counted.built == 1


def test_the_name_of_the_file_changes_nothing(tmp_path: Path) -> None:
    counted = Counted()
    for name in ("mine", "a copy of mine"):
        embed_classes(counted.tower, ["a", "b"], replace(PROMPTS, name=name), cache=tmp_path)
    assert counted.built == 1


def test_a_damaged_cache_is_refused(tmp_path: Path) -> None:
    counted = Counted()
    embed_texts(counted.tower, ["x"], tmp_path)
    [path] = find(tmp_path)
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedCache):
        embed_texts(counted.tower, ["x"], tmp_path)


def test_what_a_killed_writer_left_is_in_nobodys_way(tmp_path: Path) -> None:
    wanted = embed_texts(Counted().tower, ["x", "y"], tmp_path / "other")
    left = [
        tmp_path / "texts" / f".by-hand.{wanted.key}.h5ad.7.tmp",
        tmp_path / "texts" / ".shards" / f"by-hand.{wanted.key}" / "half.h5",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    np.testing.assert_array_equal(embed_texts(Counted().tower, ["x", "y"], tmp_path).X, wanted.X)
    assert not any(path.exists() for path in left)


def test_a_cache_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CacheError, match="can't be written"):
        embed_texts(Counted().tower, ["x"], tmp_path / "cache")


def test_two_classes_with_the_same_text_are_refused() -> None:
    same = PromptSet.from_table({"templates": ["{}"], "classes": {"a": "x", "b": "y", "c": "x"}}, "mine")
    with pytest.raises(EmbedkitError, match="the classes 'a' and 'c' have the same text 'x' in mine"):
        embed_classes(Counted().tower, ["a", "b", "c"], same)
    embed_classes(Counted().tower, ["a", "b"], same)


def test_a_label_must_say_something_else_where_it_is_absent() -> None:
    same = PromptSet.from_table({"templates": ["{}"], "classes": {"a": {"name": "x", "absent": "x"}}}, "mine")
    with pytest.raises(EmbedkitError, match="'a' has the same text where it is absent"):
        embed_classes(Counted().tower, ["a"], same, absent=True)


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(EmbedkitError, match="empty text"):
        embed_texts(Counted().tower, ["x", " "])


def test_how_much_of_a_long_prompt_was_cut_is_known_from_the_cache_too(tmp_path: Path) -> None:
    for _ in range(2):
        texts = embed_classes(Counted(context=3).tower, ["a", "b"], PROMPTS, cache=tmp_path)
        assert texts.cut == {"a photo of apples.": 1, "a photo of bears.": 1}
        assert texts.context == 3
