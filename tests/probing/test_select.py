"""C is chosen on other images than the judged ones, and the smallest of equals."""

import numpy as np
import pytest

from embedkit.probing.heads import make_head
from embedkit.probing.sample import Sample, read_sample
from embedkit.probing.select import GRIDS, Choice, Fitter, _best, choose
from embedkit.probing.splits import Fold
from tests.probing.making import a_set

GRID = (0.001, 0.1, 10.0)


def ready(**how: object) -> Sample:
    return read_sample(a_set(**how), "label", ["label"], None)  # type: ignore[arg-type]


LEVEL = [0.5, 0.5, 0.5]


def test_ties_go_to_the_smallest_and_an_edge_is_told() -> None:
    assert _best(GRID, [0.8, 0.9, 0.9], LEVEL, "val") == Choice(0.1, "val", (0.8, 0.9, 0.9), at_edge=False)
    assert _best(GRID, [0.9, 0.9 + 1e-12, 0.9], LEVEL, "val").C == 0.001
    assert _best(GRID, [0.9, 0.9, 0.9], LEVEL, "val").at_edge is False
    assert _best(GRID, [0.9, 0.8, 0.7], LEVEL, "val").at_edge is True
    assert _best(GRID, [0.7, 0.8, 0.9], LEVEL, "val") == Choice(10.0, "val", (0.7, 0.8, 0.9), at_edge=True)
    assert _best(GRID, [np.nan] * 3, LEVEL, "val").C == 0.1


def test_of_equal_rankings_the_one_that_decides_best_is_taken() -> None:
    assert _best(GRID, [1.0, 1.0, 1.0], [0.5, 0.9, 0.9], "val").C == 0.1
    assert _best(GRID, [1.0, 0.9, 0.9], [0.5, 0.9, 0.9], "val").C == 0.001


def test_validation_images_decide_where_there_are_some() -> None:
    sample = ready()
    fitter = Fitter(make_head("logistic"), GRID, True)
    fold = Fold(np.arange(100), np.arange(100, 180), np.arange(180, 240))
    choice = choose(fitter, sample, fold, 5, 0)
    assert choice.by == "validation images"
    scrambled = sample.X.copy()
    scrambled[180:] = np.nan  # the judged images are not looked at
    blind = choose(fitter, Sample(**{**vars(sample), "X": scrambled}), fold, 5, 0)
    assert blind == choice


def test_folds_of_the_training_images_decide_otherwise() -> None:
    sample = ready()
    fitter = Fitter(make_head("svm-linear"), GRIDS["svm-linear"], True)
    fold = Fold(np.arange(180), None, np.arange(180, 240))
    choice = choose(fitter, sample, fold, 4, 0)
    assert choice.by == "4 grouped stratified folds of the training images"
    assert len(choice.scores) == 5
    assert choose(fitter, sample, fold, 4, 0) == choice
    scrambled = sample.X.copy()
    scrambled[180:] = np.nan
    assert choose(fitter, Sample(**{**vars(sample), "X": scrambled}), fold, 4, 0) == choice


def test_scores_are_on_standardised_features_of_the_fitted_rows_only() -> None:
    sample = ready(d=4)
    fitter = Fitter(make_head("logistic"), GRID, True)
    rows, judged = np.arange(100), np.arange(100, 120)
    scores = fitter.scores(sample, rows, sample, judged, GRID)
    stretched = Sample(**{**vars(sample), "X": sample.X * np.float32(1024) + np.float32(3)})
    np.testing.assert_allclose(fitter.scores(stretched, rows, stretched, judged, GRID), scores, atol=1e-3)
    raw = Fitter(make_head("logistic"), GRID, False)
    assert not np.allclose(raw.scores(sample, rows, sample, judged, GRID), scores, atol=1e-3)


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_fitting_does_not_write_to_the_embeddings(classifier: str) -> None:
    sample = ready()
    before = sample.X.copy()
    choose(Fitter(make_head(classifier), GRID, True), sample, Fold(np.arange(240), None, np.arange(0)), 3, 0)
    np.testing.assert_array_equal(sample.X, before)


def test_where_no_choice_is_possible_the_default_is_taken_and_said() -> None:
    sample = ready(n=60, patients=1, classes=2)
    choice = choose(Fitter(make_head("logistic"), GRID, True), sample, Fold(np.arange(60), None, np.arange(0)), 5, 0)
    assert choice == Choice(0.1, "default: no class lies in 2 groups of the training images", (), at_edge=False)
