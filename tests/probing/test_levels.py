"""Images of one eye, lesion or patient judged as one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import probe
from embedkit.probing.levels import maxima, means, pool_embeddings, pool_scores, units_of
from embedkit.probing.sample import Sample, read_sample
from tests.probing.making import QUICK


def sample(y: list[str], groups: list[int], split: list[str] | None = None, **columns: list[object]) -> Sample:
    X = np.random.default_rng(0).normal(size=(len(y), 3)).astype(np.float32)
    source = EmbeddingSet.from_arrays(X, y, groups=groups, split=split)
    for name, values in columns.items():
        source.table[name] = values
    return read_sample(source, "label", ["label"], None, extra=list(columns))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
@settings(deadline=None)
def test_means_are_those_of_a_loop(names: list[int]) -> None:
    codes = np.unique(names, return_inverse=True)[1]
    X = np.random.default_rng(0).normal(size=(len(codes), 4))
    expected = np.stack([X[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    np.testing.assert_allclose(means(X, codes), expected, atol=1e-12)


def test_embeddings_of_a_group_become_their_mean() -> None:
    source = sample(list("aabba"), [5, 5, 6, 6, 7])
    pooled = pool_embeddings(source, "group")
    assert pooled.ids.tolist() == pooled.groups.tolist() == ["5", "6", "7"]
    np.testing.assert_allclose(pooled.X, [source.X[:2].mean(0), source.X[2:4].mean(0), source.X[4]], rtol=1e-6)
    np.testing.assert_array_equal(pooled.labels.truth, [[1, 0], [0, 1], [1, 0]])


def test_a_group_on_both_sides_of_a_split_stays_two() -> None:
    pooled = pool_embeddings(sample(list("aaab"), [1, 1, 1, 2], ["train", "train", "test", "train"]), "group")
    assert list(zip(pooled.ids, pooled.split, strict=True)) == [("1", "train"), ("1", "test"), ("2", "train")]


def test_eyes_lie_within_patients_and_what_differs_within_an_eye_is_not_known() -> None:
    source = sample(list("aabb"), [1, 1, 1, 2], eye=["l1", "l1", "r1", None], view=["x", "y", "x", "y"])
    pooled = pool_embeddings(source, "eye")
    assert pooled.ids.tolist() == ["l1", "r1", "image 3"]
    assert pooled.groups.tolist() == ["1", "1", "2"]
    assert pooled.extra["view"].tolist() == [None, "x", "y"]
    across = sample(list("aab"), [1, 2, 3], eye=["l", "l", "r"])
    with pytest.raises(EmbedkitError, match=r"the level 'eye' cuts across groups \(patients\): the images of l belong"):
        pool_embeddings(across, "eye")


def test_a_level_may_be_several_columns() -> None:
    source = sample(list("aabbb"), [1, 1, 1, 2, 2], laterality=["left", "left", "right", "left", None])
    pooled = pool_embeddings(source, "group+laterality")
    assert pooled.ids.tolist() == ["1 left", "1 right", "2 left", "image 4"]
    assert pooled.groups.tolist() == ["1", "1", "2", "2"]


def test_units_of_several_columns_keep_apart_what_reads_alike() -> None:
    source = sample(list("abcd"), [1, 1, 1, 1], study=["a b", "a", "a", "'a"], side=["c", "b c", "b", "b"])
    assert units_of(source, "study").tolist() == ["a b", "a", "a", "'a"]
    assert units_of(source, "study+side").tolist() == ["'a b' c", "a 'b c'", "a b", "''\"'\"'a' b"]


def test_a_group_with_two_labels_has_none() -> None:
    mixed = sample(list("abab"), [1, 1, 2, 3])
    with pytest.raises(EmbedkitError, match="1 of 3 units of the level 'group' have images with different labels"):
        pool_embeddings(mixed, "group")


def test_labels_that_are_not_judged_in_any_image_stay_so() -> None:
    Y = np.array([[1, np.nan], [1, np.nan], [np.nan, 1], [0, 1]])
    source = EmbeddingSet.from_arrays(np.eye(4), Y, groups=[1, 1, 2, 2])
    pooled = pool_embeddings(read_sample(source, "label", ["label:0", "label:1"], None), "group")
    np.testing.assert_array_equal(pooled.labels.truth, [[1, np.nan], [0, 1]])


def test_probabilities_are_averaged_not_their_logits() -> None:
    codes = np.array([0, 0, 1])
    p = np.array([0.9, 0.2, 0.5])
    logit = np.log(p / (1 - p))
    two = pool_scores(np.column_stack([-logit, logit]), codes, exclusive=True, probabilistic=True)
    np.testing.assert_allclose(1 / (1 + np.exp(-two[:, 1])), [0.55, 0.5])
    np.testing.assert_allclose(two[:, 0], -two[:, 1])
    several = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]])
    pooled = pool_scores(np.log(several), codes, exclusive=True, probabilistic=True)
    np.testing.assert_allclose(np.exp(pooled), [[0.4, 0.15, 0.45], [0.2, 0.2, 0.6]])
    margins = pool_scores(np.array([[1.0], [4], [2]]), codes, exclusive=False, probabilistic=False)
    np.testing.assert_allclose(margins, [[2.5], [2]])


def test_certain_scores_stay_finite() -> None:
    scores = np.array([[-1e4, 1e4], [-1e4, 1e4]])
    assert np.isfinite(pool_scores(scores, np.array([0, 0]), exclusive=True, probabilistic=True)).all()


@pytest.mark.parametrize("pool", ["probabilities", "embeddings"])
def test_noisy_images_of_a_patient_are_judged_better_together(pool: str) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 4)
    y = (rng.random(200) < 0.5).astype(int)[groups]
    X = rng.normal(size=(800, 5)) + 0.7 * y[:, None] * np.eye(5)[0]
    source = EmbeddingSet.from_arrays(X, y, groups=groups)
    alone = probe(source, classifier="lda", **QUICK)
    together = probe(source, classifier="lda", level="group", pool=pool, **QUICK)
    assert (alone.n_test, together.n_test, together.n_groups) == (800, 200, 200)
    assert together.level == "group"
    assert sorted(together.predictions["id"], key=int) == [str(name) for name in range(200)]
    assert together.auc["value"] > alone.auc["value"] + 0.05


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
@settings(deadline=None)
def test_maxima_are_those_of_a_loop(names: list[int]) -> None:
    codes = np.unique(names, return_inverse=True)[1]
    X = np.random.default_rng(0).normal(size=(len(codes), 4))
    expected = np.stack([X[codes == code].max(axis=0) for code in range(codes.max() + 1)])
    np.testing.assert_array_equal(maxima(X, codes), expected)


def test_embeddings_of_a_group_become_their_maximum() -> None:
    source = sample(list("aabba"), [5, 5, 6, 6, 7])
    pooled = pool_embeddings(source, "group", "max")
    np.testing.assert_array_equal(pooled.X, [source.X[:2].max(0), source.X[2:4].max(0), source.X[4]])


@pytest.mark.parametrize("pool", ["probabilities", "embeddings"])
def test_a_unit_whose_images_differ_is_in_no_subgroup_and_a_note_counts_them(pool: str) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(90), 2)
    y = (rng.random(90) < 0.5).astype(int)[groups]
    X = rng.normal(size=(180, 5)) + y[:, None]
    source = EmbeddingSet.from_arrays(X, y, groups=groups)
    source.table["sex"] = np.where(groups % 2, "f", "m")
    source.table.loc[[0, 2, 4], "sex"] = "other"
    source.table.loc[6, "sex"] = None
    result = probe(source, classifier="centroid", level="group", pool=pool, by=["sex"], **QUICK)
    assert [(row["value"], row["n"]) for row in result.subgroups] == [("f", 44), ("m", 43), ("(missing)", 3)]
    said = "3 of 90 units of the level 'group' have images with different values of 'sex': they count as missing there"
    assert said in result.notes


@pytest.mark.parametrize("pool", ["probabilities", "embeddings"])
def test_without_groups_the_units_are_the_groups(pool: str) -> None:
    rng = np.random.default_rng(0)
    eye = np.repeat(np.arange(60), 3)
    y = (rng.random(60) < 0.5).astype(int)[eye]
    columns = {"eye": eye.astype(float), "side": np.where(eye % 2, "left", "right"), "visit": eye // 2}
    plain = EmbeddingSet.from_arrays(rng.normal(size=(180, 5)) + y[:, None], y)
    plain.table[list(columns)] = pd.DataFrame(columns)
    plain.table.loc[178:, "eye"] = np.nan
    how = {"classifier": "centroid", "pool": pool, **QUICK}
    found, named = (probe(plain, level="eye", group=group, **how) for group in (None, "eye"))
    assert (found.n_test, found.n_groups) == (named.n_test, named.n_groups) == (62, 62)
    pd.testing.assert_frame_equal(found.predictions, named.predictions)
    assert found.leakage == named.leakage
    assert "no groups (patients) are known: the units of the level 'eye' are taken for them" in found.notes
    assert probe(plain, level="visit+side", **how).n_groups == 60


@pytest.mark.parametrize("pool", ["probabilities", "embeddings"])
def test_images_without_a_label_are_no_part_of_a_unit_and_a_note_says_so(pool: str) -> None:
    groups = np.repeat(np.arange(40), 2)
    y = np.where(groups % 2, "a", "b").astype(object)
    y[::10] = None
    source = EmbeddingSet.from_arrays(np.random.default_rng(0).normal(size=(80, 4)), y, groups=groups)
    result = probe(source, classifier="centroid", level="group", pool=pool, **QUICK)
    said = "8 of 80 images of arrays have no 'label' and were left out: units of the level 'group' are made of their "
    assert result.notes[0] == said + "other images"
    assert result.n_test == 40
