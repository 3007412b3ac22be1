"""What a result shows beside its numbers, and hard but honest input that still gets a right answer."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from embedkit.cache import EmbeddingSet
from embedkit.probing import GRIDS, ProbeResult, compare_to_best, probe
from tests.probing.making import QUICK, a_set, clustered, split_of


def test_predictions_give_the_numbers_again(published: ProbeResult) -> None:
    table = published.predictions
    assert table.columns.tolist() == ["id", "group", "fold", "truth", "score_0", "score_1", "score_2"]
    source = a_set(split=split_of(240)).table.set_index("id")
    assert table["id"].tolist() == source.index[source["split"] == "test"].tolist()
    assert table["truth"].tolist() == source.loc[table["id"], "label"].astype(str).tolist()
    assert table["group"].tolist() == source.loc[table["id"], "group"].astype(str).tolist()
    aucs = [roc_auc_score(table["truth"] == str(k), table[f"score_{k}"]) for k in range(3)]
    assert published.auc["value"] == pytest.approx(np.mean(aucs), abs=1e-12)


def test_a_split_that_breaks_groups_is_used_and_told(published: ProbeResult) -> None:
    source = a_set(split=split_of(240)).table
    seen = set(source.loc[source["split"] != "test", "group"])
    shared = source.loc[source["split"] == "test", "group"].isin(seen)
    assert published.leakage["images"] == shared.sum()
    assert published.leakage["share"] == pytest.approx(shared.mean())
    assert any("the published split is used as it is" in note for note in published.notes)


def test_copies_of_training_images_in_another_set_are_counted() -> None:
    train, test = a_set(name="here"), a_set(seed=5, n=90, name="there")
    train.table["digest"] = [f"a{i}" for i in range(240)]
    test.table["digest"] = [f"a{i}" for i in range(7)] + [f"b{i}" for i in range(83)]
    result = probe(train, test, **QUICK)
    assert result.leakage["duplicates"] == 7
    assert "7 test images are copies, byte for byte, of training images" in result.notes


def test_labels_that_may_hold_together() -> None:
    X, _, groups = clustered(n=300)
    Y = (X[:, :3] + np.random.default_rng(0).normal(size=(300, 3)) > 1).astype(float)
    Y[::9, 1] = np.nan
    Y[::50] = np.nan
    result = probe(EmbeddingSet.from_arrays(X, Y, groups=groups), **QUICK)
    assert result.n_test == 294
    assert result.protocol["multilabel"] is True
    assert result.notes == ["6 of 300 images of arrays have no 'label' and were left out"]
    rows = result.predictions
    per_label = []
    for k, row in enumerate(result.per_class):
        known = rows[rows[f"truth_label:{k}"].notna()]
        folds = [roc_auc_score(part[f"truth_label:{k}"], part[f"score_label:{k}"]) for _, part in known.groupby("fold")]
        per_label.append(np.mean(folds))
        assert row["n"] == known[f"truth_label:{k}"].sum()
    assert [row["auc"]["value"] for row in result.per_class] == pytest.approx(per_label, abs=1e-12)
    assert result.auc["value"] == pytest.approx(np.mean(per_label), abs=1e-12)


def test_a_label_that_nobody_holds_has_no_auc_and_harms_nothing() -> None:
    X, _, groups = clustered(n=120)
    Y = np.column_stack([X[:, 0] > 0.5, np.zeros(120)]).astype(float)
    source = EmbeddingSet.from_arrays(X, Y, groups=groups, split=split_of(120))
    for classifier in GRIDS:
        result = probe(source, classifier=classifier, **QUICK)
        assert result.per_class[1]["auc"]["value"] is None
        assert result.auc["value"] == result.per_class[0]["auc"]["value"]
        assert "'label:1' has no positive test image, so it has no AUC" in result.notes


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_hard_but_honest_input_gives_a_finite_answer(classifier: str, tmp_path: Path) -> None:
    X, y, groups = clustered(n=90, d=150, classes=2, patients=30)
    X[:, 3] = 7.0  # constant
    X[:, 4] = X[:, 5]  # twice the same
    X[40:] = np.concatenate([X[:25], X[40:65]])  # duplicate rows
    labels = np.array([5, 900])[y]  # integers with gaps
    result = probe(EmbeddingSet.from_arrays(X, labels, groups=groups), classifier=classifier, **QUICK)
    assert result.classes == ["5", "900"]
    assert np.isfinite(result.predictions[["score_5", "score_900"]]).all(axis=None)
    result.save(tmp_path / "r.json")
    assert "NaN" not in (tmp_path / "r.json").read_text()


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_embeddings_that_are_all_the_same_are_worth_a_half(classifier: str) -> None:
    source = EmbeddingSet.from_arrays(np.ones((40, 6)), list("abab") * 10)
    assert probe(source, classifier=classifier, **QUICK).auc["value"] == 0.5


def test_classes_that_every_c_ranks_perfectly_are_told_apart_too() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 200, p=[0.8, 0.1, 0.1])
    result = probe(EmbeddingSet.from_arrays(np.eye(3)[y] * 50 + rng.normal(size=(200, 3)), y), **QUICK)
    assert result.auc["value"] == 1
    assert result.accuracy["value"] > 0.99


def test_a_classifier_that_says_one_class_only_is_told() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(["common", "rare"], 300, p=[0.9, 0.1])
    result = probe(EmbeddingSet.from_arrays(rng.normal(size=(300, 5)), y), **QUICK)
    assert set(result.predictions["score_rare"] > 0) == {False}
    assert any(note.startswith("every test image is called 'common'") for note in result.notes)


def test_many_classes_work() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), 6)
    X = np.eye(40)[y] * 4 + rng.normal(size=(240, 40))
    result = probe(EmbeddingSet.from_arrays(X, y), classifier="svm-linear", **QUICK)
    assert result.auc["value"] > 0.95
    assert result.classes == [str(k) for k in range(40)]


def test_a_class_with_fewer_groups_than_folds_reduces_the_folds_and_says_so() -> None:
    X, y, groups = clustered(n=200, classes=2)
    y[:] = 0
    y[np.isin(groups, [3, 11])] = 1
    result = probe(EmbeddingSet.from_arrays(X, y, groups=groups), replicates=20)
    assert result.protocol["folds"] == 2
    assert "2 folds instead of 5: the class '1' lies in 2 groups only" in result.notes
    # With one group of the class left to learn from, C can be chosen by the other class's folds only.
    assert all(np.isfinite(result.predictions["score_1"]))


def test_one_judged_patient_has_no_interval() -> None:
    source = a_set(n=120, classes=2)
    source.table["split"] = np.where(np.arange(120) < 80, "train", "test")
    source.table.loc[80:, "group"] = 999
    result = probe(source, **QUICK)
    assert (result.auc["low"], result.auc["high"]) == (None, None)
    assert result.n_groups == 1


def test_a_class_that_only_one_site_has_is_no_auc_there_and_an_error() -> None:
    X, y, groups = clustered(n=300, classes=3, patients=300, signal=3)
    sites = np.where(y == 2, "x", np.where(np.arange(300) % 2, "x", "y"))
    source = EmbeddingSet.from_arrays(X, y, groups=groups)
    source.table["site"] = sites
    result = probe(source, classifier="lda", sites="site", **QUICK)
    assert result.protocol["split"] == "sites"
    assert any(note.startswith("only 'x' has 2: no AUC there") for note in result.notes)
    assert result.per_class[2]["auc"]["value"] is None
    table = result.predictions
    assert (table.loc[table["fold"] == 0, "score_2"] == -np.inf).all()
    own = [
        np.mean([roc_auc_score(part["truth"] == str(k), part[f"score_{k}"]) for _, part in table.groupby("fold")])
        for k in range(2)
    ]
    assert result.auc["value"] == pytest.approx(np.mean(own))
    in_x = table[table["fold"] == 0]
    assert result.accuracy["value"] < 1 - (in_x["truth"] == "2").sum() / 300 + 1e-9
    assert {row["value"] for row in result.subgroups} == {"x", "y"}
    assert result.gaps[0]["metric"] == "auc"


def test_few_groups_of_a_class_and_a_column_that_may_tell_patients_apart_are_told() -> None:
    X, y, groups = clustered(60)
    split = np.where(np.arange(60) < 45, "train", "test")
    y[45:] = np.arange(15) % 2
    told = EmbeddingSet.from_arrays(X, y % 2, split=split)
    told.table["Patient_ID"] = groups
    result = probe(told, **QUICK)
    assert "the table has a column 'Patient_ID': if it tells them apart, give --group Patient_ID" in result.notes
    assert any(note.startswith("the test images of '1' are of 7 groups, or images") for note in result.notes)
    named = probe(told, group="Patient_ID", **QUICK)
    assert not any("--group" in note for note in named.notes)
    assert any("an interval from so few is too narrow" in note for note in named.notes)
    many = probe(EmbeddingSet.from_arrays(*clustered(240)[:2], groups=np.arange(240), split=split_of(240)), **QUICK)
    assert not any("too narrow" in note or "--group" in note for note in many.notes)


def test_repeated_folds_judge_an_image_more_often_and_count_it_once() -> None:
    source = a_set(n=120, classes=2)
    # A copy of another patient's image is learnt from in every repeat.
    source.X[0] = source.X[1]
    source.table["sex"] = np.where(np.arange(120) < 12, "f", "m")
    once, often = (probe(source, by=("sex",), repeats=repeats, **QUICK) for repeats in (1, 4))
    assert len(often.predictions) == 4 * 120
    assert often.protocol["class_counts"] == once.protocol["class_counts"]
    assert [row["n"] for row in often.per_class] == [row["n"] for row in once.per_class]
    assert [(row["n"], row["note"]) for row in often.subgroups] == [(row["n"], row["note"]) for row in once.subgroups]
    assert often.subgroups[0]["note"].startswith("too small to be judged: 12 images")
    assert often.leakage["duplicates"] == 2
    [curve] = often.calibration["reliability"]
    assert max(row["n"] for row in curve) <= 120
    for row in curve:
        n, share, z = row["n"], row["share"], 1.959963984540054
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        assert row["high"] - row["low"] == pytest.approx(2 * half, abs=1e-9)


def test_a_label_that_no_test_image_is_judged_for_has_no_numbers_and_a_file(tmp_path: Path) -> None:
    X, _, groups = clustered(n=160)
    Y, split = (X[:, :3] > 0.5).astype(float), np.where(np.arange(160) < 100, "train", "test")
    Y[100:, 2] = np.nan
    result = probe(EmbeddingSet.from_arrays(X, Y, groups=groups, split=split), **QUICK)
    result.save(tmp_path / "r.json")
    assert "NaN" not in (tmp_path / "r.json").read_text()
    assert [curve["label"] for curve in result.decision_curve] == ["label:0", "label:1"]
    assert (result.per_class[2]["n"], result.per_class[2]["auc"]["value"]) == (0, None)


def test_copies_of_a_file_stay_together_in_a_saved_result(tmp_path: Path) -> None:
    X, y, _ = clustered(n=120, classes=2)
    file = np.repeat(np.arange(120), 3)
    split = np.where(file < 60, "train", "test")
    source = EmbeddingSet.from_arrays(X[file], y[file], split=split)
    source.table["digest"] = [f"{number:032x}" for number in file]
    made = [probe(source, classifier=classifier, **QUICK) for classifier in ("centroid", "lda")]
    for number, result in enumerate(made):
        result.save(tmp_path / f"{number}.json")
    loaded = [ProbeResult.load(tmp_path / f"{number}.json") for number in range(2)]
    for result in (*made, *loaded):
        assert len(np.unique(result.judged()[1])) == result.n_groups == 60
    [tested] = [one for one in compare_to_best(loaded) if "p" in one]
    assert tested["p_method"] == "paired cluster bootstrap"
