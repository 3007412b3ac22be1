"""One fold: the judged images are not looked at, and neither are they when the parameter is chosen."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.probing import probe
from embedkit.probing.fitting import Fitter
from embedkit.probing.heads.classifiers import make_head
from embedkit.probing.heads.grids import GRIDS
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.sample import read_sample
from embedkit.probing.settings import Settings
from embedkit.probing.solver import rotation
from embedkit.probing.splits import Fold
from tests.probing.making import QUICK, a_set, clustered, split_of


def fitter(classifier: str = "lda", standardise: bool = True) -> Fitter:
    return Fitter(make_head(classifier), GRIDS[classifier], standardise, folds=4, seed=0)


def plan(**how: object) -> Plan:
    made = make_plan(a_set(**how), None, Settings(folds=3))  # type: ignore[arg-type]
    return replace(made, folds=(Fold(np.arange(180), None, np.arange(180, 240)),))


@pytest.mark.parametrize("val", [None, np.arange(120, 180)])
def test_the_choice_does_not_look_at_the_judged_images(val: np.ndarray | None) -> None:
    whole = plan()
    fold = Fold(np.arange(180) if val is None else np.arange(120), val, np.arange(180, 240))
    found = fitter().fit(whole, fold)
    blind = whole.train.X.copy()
    blind[180:] = 1e3
    sample = replace(whole.train, X=blind)
    again = fitter().fit(replace(whole, train=sample, test=sample), fold)
    assert again.choice == found.choice
    assert again.temperature == found.temperature
    words = "validation images" if val is not None else "4 grouped stratified folds of the training images"
    assert found.choice.by == words
    assert len(found.choice.scores) == len(GRIDS["lda"].values)
    assert found.scores.shape == (60, 3)


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_fitting_does_not_write_to_the_embeddings(classifier: str) -> None:
    whole = plan()
    before = whole.train.X.copy()
    fitter(classifier).fit(whole, whole.folds[0])
    fitter(classifier).fit(whole, Fold(np.arange(120), np.arange(120, 180), np.arange(180, 240)))
    np.testing.assert_array_equal(whole.train.X, before)


def test_where_no_choice_is_possible_the_middle_is_taken_and_said() -> None:
    whole = make_plan(a_set(n=60, patients=60, classes=2), None, Settings(folds=3))
    one_group = replace(whole.train, groups=np.full(60, "p"))
    alone = replace(whole, train=one_group, test=one_group)
    found = fitter().fit(alone, Fold(np.arange(40), None, np.arange(40, 60)))
    assert found.choice.by == "default: no class lies in 2 groups of the training images"
    assert found.temperature is None
    assert found.choice.scores == ()


def test_standardising_takes_scale_and_place_out() -> None:
    whole = plan()
    moved = replace(whole.train, X=whole.train.X * np.float32(1024) + np.float32(3))
    fold = whole.folds[0]
    one = fitter().fit(whole, fold).scores
    two = fitter().fit(replace(whole, train=moved, test=moved), fold).scores
    np.testing.assert_allclose(one, two, atol=1e-2)


def test_temperature_is_of_the_images_chosen_on() -> None:
    rng = np.random.default_rng(0)
    whole = plan(signal=4.0)
    fold = Fold(np.arange(120), np.arange(120, 180), np.arange(180, 240))
    sharp = fitter().fit(whole, fold).temperature
    truth = whole.train.labels.truth.copy()
    truth[120:150] = truth[120:150][rng.permutation(30)]
    labels = replace(whole.train.labels, truth=truth)
    wrong = replace(whole.train, labels=labels)
    flat = fitter().fit(replace(whole, train=wrong, test=wrong), fold).temperature
    assert sharp is not None
    assert flat is not None
    assert flat > 5 * sharp


def test_nothing_but_what_is_learnt_from_is_copied_at_once() -> None:
    rows = 60_000
    sample = read_sample(a_set(n=rows, d=128), "label", ("label",), None)
    fold = Fold(np.arange(18_000), np.arange(18_000, 24_000), np.arange(24_000, rows))
    whole = Plan("published", sample, sample, (fold,), ())
    tracemalloc.start()
    try:
        fitter("centroid").fit(whole, fold)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # .8 measured, of which .4 is what is learnt from; all judged rows at once make 1.55 of it.
    assert peak < 1.1 * sample.X.nbytes


def test_axes_that_the_choice_found_serve_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[tuple[int, ...]] = []
    axes = rotation.principal_axes
    monkeypatch.setattr(
        rotation, "principal_axes", lambda ready, *how: turned.append(ready.X.shape) or axes(ready, *how)
    )
    whole = plan()
    fitter("logistic").fit(whole, whole.folds[0])
    assert turned == [(180, whole.train.X.shape[1])]


@pytest.mark.parametrize("val", [None, np.arange(120, 180)])
def test_halves_are_fitted_as_the_singles_that_they_are(val: np.ndarray | None) -> None:
    whole = plan()
    fold = Fold(np.arange(180) if val is None else np.arange(120), val, np.arange(180, 240))
    fits = []
    for kind in (np.float16, np.float32):
        sample = replace(whole.train, X=whole.train.X.astype(np.float16).astype(kind))
        fits.append(fitter("logistic").fit(replace(whole, train=sample, test=sample), fold))
    np.testing.assert_array_equal(fits[0].scores, fits[1].scores)
    assert fits[0].choice == fits[1].choice


def test_there_is_no_temperature_of_images_that_rank_nothing_or_say_nothing() -> None:
    X, y, _ = clustered(240, classes=2)
    split = split_of(240)
    whole = plan()
    one_sided = np.arange(120, 180)[whole.train.labels.truth[120:180, 1] == 1]
    assert fitter("lda").fit(whole, Fold(np.arange(120), one_sided, np.arange(180, 240))).temperature is None
    misled = EmbeddingSet.from_arrays(X, np.where(split == "val", 1 - y, y), split=split)
    assert list(probe(misled, classifier="lda", **QUICK).calibration) == ["uncalibrated"]
    assert (
        probe(EmbeddingSet.from_arrays(X, y, split=split), classifier="lda", **QUICK).calibration["temperature"] < 900
    )
