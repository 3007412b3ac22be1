"""Several results on the same images, each against the best."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from embedkit.cache import EmbeddingSet
from embedkit.probing import ProbeResult, compare_to_best, probe, question, questions
from embedkit.probing.contest import on_common_rows
from embedkit.probing.measures.compare import holm, paired
from tests.probing.making import clustered, split_of

HOW = {"replicates": 300, "folds": 3}


@pytest.fixture(scope="module")
def results() -> list[ProbeResult]:
    """The same images by three encoders: good, the same with a grain of noise, and worthless."""
    X, y, groups = clustered(n=300, classes=2, patients=100, signal=2)
    rng = np.random.default_rng(0)
    encoders = {"good": X, "noisy": X + 0.3 * rng.normal(size=X.shape), "worthless": rng.normal(size=X.shape)}
    sets = [EmbeddingSet.from_arrays(vectors, y, groups=groups, encoder=name) for name, vectors in encoders.items()]
    return [probe(one, classifier="lda", **HOW) for one in sets]


def test_each_is_compared_with_the_best_on_the_same_images(results: list[ProbeResult]) -> None:
    found = compare_to_best(results)
    best = int(np.argmax([result.auc["value"] for result in results]))
    assert [one["best"] for one in found] == [number == best for number in range(3)]
    assert found[2]["to"] == {"model": results[best].model, "classifier": "lda"}
    assert found[2]["n"] == 300
    assert found[2]["difference"]["value"] == pytest.approx(results[2].auc["value"] - results[best].auc["value"])
    assert found[2]["difference"]["high"] < 0
    assert found[2]["p_adjusted"] < 0.05
    other = 1 - best
    assert found[other]["p"] > 0.05
    p = [found[number]["p"] for number in (other, 2)]
    assert [found[number]["p_adjusted"] for number in (other, 2)] == pytest.approx(holm(p))


def test_the_difference_is_that_of_the_paired_bootstrap(results: list[ProbeResult]) -> None:
    (a, groups), (b, _) = results[2].judged(), results[0].judged()
    codes = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(results[0].predictions["id"].to_numpy(str), kind="stable")
    x, y, common = on_common_rows(results[2], results[0])
    np.testing.assert_array_equal(x.truth, a.truth[order])
    np.testing.assert_array_equal(y.scores, b.scores[order])
    expected = paired(x, y, common, 300, 0, ["auc"])["auc"]
    found = compare_to_best([results[2], results[0]])[0]["difference"]
    assert (found["low"], found["high"]) == (expected["low"], expected["high"])
    assert len(np.unique(codes)) == len(np.unique(common))


def test_permutations_on_request(results: list[ProbeResult]) -> None:
    found = compare_to_best(results, permutations=200)
    assert found[2]["p_method"] == "200 permutations"
    assert found[2]["p"] == pytest.approx(1 / 201)


def test_alone_there_is_nothing_to_compare(results: list[ProbeResult]) -> None:
    assert compare_to_best(results[:1]) == [{}]
    others = [replace(results[0], data="a"), replace(results[1], target="b"), replace(results[2], level="group")]
    assert compare_to_best(others) == [{}] * 3
    assert compare_to_best([]) == []


def test_what_was_judged_by_another_protocol_is_not_compared(results: list[ProbeResult]) -> None:
    X, y, groups = clustered(n=300, classes=2, patients=100, signal=2)
    made = EmbeddingSet.from_arrays(X, y, groups=groups, split=np.array(["train", "test"])[groups % 2])
    made.table["site"] = groups % 3
    asked: list[dict[str, Any]] = [{}, {"split": "folds"}, {"split": "folds", "repeats": 2}, {"sites": "site"}]
    asked += [{"split": "folds", "folds": 4}, {"group": "site"}]
    found = [probe(made, classifier="centroid", **{**HOW, **how}) for how in asked]
    assert [question(one).protocol for one in found] == [
        "published split",
        "3 folds",
        "3 folds, 2 times",
        "sites of 'site'",
        "4 folds",
        "published split, groups of 'site'",
    ]
    assert compare_to_best(found) == [{}] * len(found)
    again = probe(made, classifier="lda", split="folds", class_weight="balanced", **HOW)
    compared = compare_to_best([*found, again])
    assert [bool(one) for one in compared] == [False, True, False, False, False, False, True]


def test_what_learnt_nothing_is_compared_whatever_the_protocol(results: list[ProbeResult]) -> None:
    untrained = replace(results[2], protocol={**results[2].protocol, "split": "untrained"})
    assert [one["best"] for one in compare_to_best([untrained, results[0]])] == [False, True]
    assert questions([untrained, results[0]]) == [question(results[0])] * 2
    assert [one["best"] for one in compare_to_best([untrained, untrained])] == [True, False]


def test_only_images_that_both_judged_are_compared(results: list[ProbeResult]) -> None:
    fewer = replace(results[2], predictions=results[2].predictions.iloc[::-1].iloc[:200])
    a, b, groups = on_common_rows(fewer, results[0])
    assert len(groups) == 200
    np.testing.assert_array_equal(a.truth, b.truth)
    assert compare_to_best([fewer, results[0]])[0]["n"] == 200


def test_results_without_an_image_in_common_are_not_compared(results: list[ProbeResult]) -> None:
    good, noisy, worthless = results
    tables = [good.predictions.iloc[:200], noisy.predictions.iloc[:200], worthless.predictions.iloc[200:]]
    found = compare_to_best([replace(one, predictions=rows) for one, rows in zip(results, tables, strict=True)])
    assert found[2] == {
        "best": False,
        "to": {"model": results[int(found[1]["best"])].model, "classifier": "lda"},
        "n": 0,
        "difference": None,
        "p": None,
        "p_adjusted": None,
        "p_method": "",
    }
    other = found[int(found[0]["best"])]
    assert (other["n"], other["p_adjusted"]) == (200, other["p"])


def test_other_classes_and_other_labels_leave_one_pair_uncompared(results: list[ProbeResult]) -> None:
    X, y, groups = clustered(n=300, classes=2, patients=100, signal=2)
    rare = np.where(np.arange(300) % 10 == 0, 2, y)
    three = probe(EmbeddingSet.from_arrays(X, rare, groups=groups), classifier="lda", **HOW)
    table = results[2].predictions
    mended = table["truth"].where(np.arange(300) >= 7, table["truth"].map({"0": "1", "1": "0"}))
    relabelled = replace(results[2], predictions=table.assign(truth=mended))
    compared = compare_to_best([results[0], three, relabelled])
    assert compared[0]["best"]
    assert (compared[1]["n"], compared[1]["difference"], compared[1]["p"]) == (300, None, None)
    assert compared[1]["why"] == "only one of the two has 2 among its classes"
    assert compared[2]["why"] == "7 of the 300 images that both judged have other labels there"


def test_an_image_that_is_judged_in_each_repeat_counts_once() -> None:
    X, y, groups = clustered(n=60, classes=2, patients=20)
    noise = np.random.default_rng(0).normal(size=X.shape)
    sets = [EmbeddingSet.from_arrays(vectors, y, groups=groups) for vectors in (X, X + noise)]
    how = {"classifier": "lda", "folds": 3, "repeats": 2, "replicates": 50}
    found = compare_to_best([probe(one, **how) for one in sets])
    assert [one["n"] for one in found if not one["best"]] == [60]


def test_delong_is_taken_for_independent_images_of_two_classes() -> None:
    X, y, _ = clustered(n=300, classes=2, signal=2)
    noisy = X + np.random.default_rng(0).normal(size=X.shape)
    sets = [EmbeddingSet.from_arrays(vectors, y, split=split_of(300)) for vectors in (X, noisy)]
    results = [probe(one, classifier="lda", **HOW) for one in sets]
    worse = min(range(2), key=lambda number: results[number].auc["value"])
    found = compare_to_best(results)[worse]
    assert found["p_method"] == "DeLong"
    for result in results:
        table = result.predictions
        assert result.auc["value"] == pytest.approx(roc_auc_score(table["truth"] == "1", table["score_1"]))
        assert result.auc["delong_low"] < result.auc["value"] < result.auc["delong_high"]


def test_repeated_folds_are_compared_judgement_by_judgement() -> None:
    X, y, groups = clustered(n=120, classes=2, patients=60, signal=2)
    noisy = X + np.random.default_rng(0).normal(size=X.shape)
    sets = [EmbeddingSet.from_arrays(vectors, y, groups=groups) for vectors in (X, noisy)]
    results = [probe(one, classifier="centroid", repeats=2, **HOW) for one in sets]
    a, b, codes = on_common_rows(*results)
    assert (len(codes), results[0].n_test) == (240, 120)
    np.testing.assert_array_equal(a.fold, b.fold)
