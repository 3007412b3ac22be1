"""The whole way from embeddings to a defended number."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import GRIDS, Kept, ProbeResult, Settings, probe, run
from tests.probing.making import QUICK, Counted, a_set, clustered, split_of


def test_the_numbers_are_those_of_a_fit_by_hand(published: ProbeResult) -> None:
    X, y, _ = clustered()
    X, split = X.astype(np.float64), split_of(240)
    fitted, judged = split != "test", split == "test"
    scaler = StandardScaler().fit(X[fitted])
    model = LogisticRegression(C=published.selected["C"], tol=1e-8, max_iter=9999)
    model.fit(scaler.transform(X[fitted]), y[fitted])
    # Probabilities: the logits of one image are fixed only up to a constant, and order no images.
    scores = model.predict_proba(scaler.transform(X[judged]))
    said = scores.argmax(axis=1)
    aucs = [roc_auc_score(y[judged] == k, scores[:, k]) for k in range(3)]
    whole = roc_auc_score(y[judged], scores, multi_class="ovr")
    assert published.auc["value"] == pytest.approx(whole, abs=1e-4)
    found = np.exp(published.predictions.sort_index()[["score_0", "score_1", "score_2"]].to_numpy())
    np.testing.assert_allclose(found, scores, atol=1e-4)
    assert [row["auc"]["value"] for row in published.per_class] == pytest.approx(aucs, abs=1e-3)
    assert published.accuracy["value"] == accuracy_score(y[judged], said)
    assert published.balanced_accuracy["value"] == pytest.approx(balanced_accuracy_score(y[judged], said))
    assert published.f1_macro["value"] == pytest.approx(f1_score(y[judged], said, average="macro"))
    assert (published.n_train, published.n_test) == (fitted.sum(), judged.sum())


def test_c_is_the_best_on_validation_by_hand(published: ProbeResult) -> None:
    X, y, _ = clustered()
    X, split = X.astype(np.float64), split_of(240)
    scaler = StandardScaler().fit(X[split == "train"])
    by_hand = []
    for C in GRIDS["logistic"].values:
        model = LogisticRegression(C=C, tol=1e-8, max_iter=9999)
        model.fit(scaler.transform(X[split == "train"]), y[split == "train"])
        scores = model.predict_proba(scaler.transform(X[split == "val"]))
        by_hand.append(np.mean([roc_auc_score(y[split == "val"] == k, scores[:, k]) for k in range(3)]))
    assert published.selected["scores"] == pytest.approx(by_hand, abs=1e-3)
    assert published.selected["scores"][published.selected["grid"].index(published.selected["C"])] == max(
        published.selected["scores"]
    )
    assert published.selected["chosen_by"] == "validation images"


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_the_same_twice_and_another_seed_otherwise(classifier: str) -> None:
    first, again = (probe(a_set(), classifier=classifier, **QUICK) for _ in range(2))
    assert {**first.to_dict(), "cost": None} == {**again.to_dict(), "cost": None}
    np.testing.assert_array_equal(first.predictions["score_0"], again.predictions["score_0"])
    other = probe(a_set(), classifier=classifier, seed=1, **QUICK)
    assert other.predictions["id"].tolist() != first.predictions["id"].tolist()
    assert first.auc["value"] == pytest.approx(other.auc["value"], abs=0.1)


def test_the_result_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    several = probe(a_set(), **QUICK)
    monkeypatch.setattr("embedkit.machine.cores", lambda: 1)
    alone = probe(a_set(), **QUICK)
    np.testing.assert_array_equal(several.predictions["score_1"], alone.predictions["score_1"])


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_noise_is_not_separated_and_signal_is(classifier: str) -> None:
    noise = probe(a_set(signal=0.0, n=400, patients=400), classifier=classifier, **QUICK)
    assert noise.auc["value"] == pytest.approx(0.5, abs=0.07)
    signal = probe(a_set(signal=4.0), classifier=classifier, **QUICK)
    assert signal.auc["value"] > 0.93
    assert signal.auc["low"] <= signal.auc["value"] <= signal.auc["high"]


def test_a_patient_is_never_on_both_sides_so_that_knowing_patients_does_not_help() -> None:
    # The label belongs to the patient and the embedding tells only who it is: by image all would look solved.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    X = rng.normal(size=(60, 50))[groups] + 0.01 * rng.normal(size=(300, 50))
    y = rng.integers(2, size=60)[groups]
    by_patient = probe(EmbeddingSet.from_arrays(X, y, groups=groups), **QUICK)
    by_image = probe(EmbeddingSet.from_arrays(X, y), **QUICK)
    assert by_image.auc["value"] > 0.95
    assert by_patient.auc["value"] < 0.7
    assert by_patient.leakage["images"] == 0
    assert by_patient.n_groups == 60
    assert any("images of one patient may be on both sides" in note for note in by_image.notes)


def test_another_set_is_judged() -> None:
    result = probe(a_set(name="here"), a_set(seed=5, n=90, name="there"), **QUICK)
    assert (result.data, result.test, result.n_train, result.n_test) == ("here", "there", 240, 90)
    assert result.protocol["split"] == "other set"
    assert isinstance(result.selected["C"], float)
    # The patients of both are numbered from 0: told, and left to the reader.
    assert any("if the names mean the same patients" in note for note in result.notes)


def test_the_protocol_says_all_that_is_needed_to_repeat_it(published: ProbeResult) -> None:
    protocol = published.protocol
    assert protocol["split"] == "published"
    settings = protocol["settings"]
    assert (settings["seed"], settings["replicates"], settings["standardise"]) == (0, 200, True)
    assert Settings.of(**settings) == Settings(replicates=200)
    assert protocol["group"] == "group"
    assert sum(protocol["class_counts"]["train"].values()) == published.n_train
    assert sum(protocol["class_counts"]["test"].values()) == published.n_test
    assert set(protocol["versions"]) == {"embedkit", "numpy", "scikit-learn"}
    json.dumps(published.to_dict(), allow_nan=False)


def test_scale_is_taken_out_only_on_request() -> None:
    source = a_set()
    stretched = replace(source, X=source.X * np.logspace(0, 1, 12, dtype=np.float32))
    assert probe(stretched, **QUICK).auc["value"] == pytest.approx(probe(source, **QUICK).auc["value"], abs=2e-3)
    raw = probe(stretched, standardise=False, **QUICK)
    assert raw.protocol["settings"]["standardise"] is False
    assert raw.auc["value"] != pytest.approx(probe(source, **QUICK).auc["value"], abs=2e-3)


def test_every_fit_is_told() -> None:
    told = Counted()
    probe(a_set(), classifier="lda", fractions=[50, 100], shots=[2], draws=2, progress=told, **QUICK)
    # What is learnt from all images is fitted once.
    assert (told.what, told.total, told.fits) == ("arrays: lda on arrays, fits", 3 * (1 + 2 + 2), 15)
    assert told.over


def test_fits_that_are_only_judged_otherwise_are_not_made_again() -> None:
    source, kept = a_set(), Kept()
    first = probe(source, classifier="lda", kept=kept, **QUICK)
    told, other = Counted(), Counted()
    choices: dict[str, Any] = {"level": "group", "specificity": 0.8}
    X, y, groups = clustered()
    # Images of a patient have one label.
    mixed = EmbeddingSet.from_arrays(X, y[groups], groups=groups)
    of_images = probe(mixed, classifier="lda", kept=kept, **QUICK)
    of_groups = probe(mixed, classifier="lda", kept=kept, progress=told, **choices, **QUICK)
    assert (told.total, told.fits) == (0, 0)
    assert of_groups.cost["wall_seconds"] == of_images.cost["wall_seconds"]
    alone = probe(mixed, classifier="lda", progress=other, **choices, **QUICK)
    assert (other.total, other.fits) == (3, 3)
    assert of_groups.auc == alone.auc != of_images.auc
    assert first.auc != of_images.auc


@pytest.mark.parametrize("change", [{"seed": 1}, {"class_weight": "balanced"}, {"classifier": "centroid"}])
def test_fits_of_other_choices_are_made_again(change: dict[str, Any]) -> None:
    source, kept, told = a_set(), Kept(), Counted()
    first = {"classifier": "lda", **QUICK}
    probe(source, kept=kept, **first)
    assert (
        probe(source, kept=kept, progress=told, **{**first, **change}).auc == probe(source, **{**first, **change}).auc
    )
    assert told.fits == 3


def test_progress_ends_where_a_fit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    told = Counted()
    monkeypatch.setattr(run, "fit_folds", fail)
    with pytest.raises(ZeroDivisionError):
        probe(a_set(), progress=told, **QUICK)
    assert told.over


def test_fits_that_did_not_converge_are_counted_and_stay_off_the_terminal(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr("embedkit.probing.solver.newton.STEPS", 1)
    result = probe(a_set(), **QUICK)
    counted = [note for note in result.notes if "stopped before they had converged" in note]
    assert int(counted[0].split()[0]) > 10
    assert not recwarn.list


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classifier": "knm"}, "unknown classifier 'knm'. Did you mean knn?"),
        ({"folds": 1}, "folds = 1 is too small: give 2 or more"),
        ({"replicates": 0}, "replicates = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"target": "lable"}, "unknown target 'lable'. Did you mean label?"),
        ({"group": "patient"}, "unknown group column 'patient'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EmbedkitError, match=message.replace("?", r"\?").replace(".", r"\.")):
        probe(a_set(), **settings)


def test_a_kernel_that_would_not_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "KERNEL_ROWS", 100)
    with pytest.raises(EmbedkitError, match=r"162 x 162 numbers.*use the classifier logistic"):
        probe(a_set(), classifier="svm-rbf", **QUICK)
    assert probe(a_set(), **QUICK).auc["value"] > 0.5


def test_what_a_fit_cost_is_told() -> None:
    cost = probe(a_set(), **QUICK).cost
    assert cost["multiply_adds"] > 2 * 240 * 12 * 45
    assert cost["wall_seconds"] > 0
    assert cost["interval_seconds"] > 0
    assert probe(a_set(), classifier="knn", **QUICK).cost["multiply_adds"] is None
