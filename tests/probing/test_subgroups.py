"""Each subgroup's numbers are those of its rows alone; what is too small says so; gaps are paired."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from embedkit.errors import EmbedkitError
from embedkit.probing import probe
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.subgroups import METRICS, Subgroups, by_value, cut_up, judge_subgroups, parse_by
from tests.probing.making import QUICK, a_set


def two_classes(n: int, seed: int = 0) -> tuple[Judged, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    logit = rng.normal(size=n) + 1.5 * (y - 0.5)
    p = 1 / (1 + np.exp(-logit))
    judged = Judged(np.column_stack([1 - y, y]), np.column_stack([-logit, logit]), np.zeros(n, int), True)
    return judged, np.column_stack([1 - p, p]), y


@pytest.mark.parametrize(
    ("text", "column", "cuts"), [("sex", "sex", ()), ("age:40,60", "age", (40.0, 60.0)), ("age:0.5", "age", (0.5,))]
)
def test_a_column_may_come_with_cuts(text: str, column: str, cuts: tuple[float, ...]) -> None:
    assert parse_by(text) == (column, cuts)


@pytest.mark.parametrize("text", ["age:forty", "age:60,40", "age:40,40", "age:40,", "age:nan"])
def test_cuts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(EmbedkitError, match="rising cuts: write it like age or age:40,60"):
        parse_by(text)


def test_numbers_are_cut_and_what_is_missing_is_a_subgroup() -> None:
    values = np.array([39, 40, 59.5, 60, np.nan, 80], object)
    parts = cut_up("age:40,60", values)
    assert parts.names == ("below 40", "40 to 60", "60 and above", "(missing)")
    assert parts.codes.tolist() == [0, 1, 1, 2, 3, 2]


def test_numbers_of_many_values_are_cut_at_whole_quartiles() -> None:
    parts = cut_up("age", np.arange(20, 91).astype(object))
    assert parts.names == ("below 38", "38 to 55", "55 to 72", "72 and above")
    assert np.bincount(parts.codes).min() >= 17
    assert cut_up("share", np.linspace(0, 1, 9).astype(object)).names[0] == "below 0.25"


def test_cuts_that_differ_late_have_names_of_their_own() -> None:
    days = np.array([20240404, 20240405, 20240406, 20240407, 20240408], object)
    parts = cut_up("day:20240405,20240406,20240407", days)
    assert parts.names == (
        "below 20240405",
        "20240405 to 20240406",
        "20240406 to 20240407",
        "20240407 and above",
    )
    assert parts.codes.tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(("start", "step"), [(0.0, 1 / 3), (1e9, 1 / 3), (1.0, 2.0**-52)])
def test_quartiles_are_cut_where_their_names_say(start: float, step: float) -> None:
    values = start + step * np.arange(1, 100)
    parts = cut_up("time", values.astype(object))
    assert len(set(parts.names)) == 4
    assert np.bincount(parts.codes).min() >= 20
    for code, name in enumerate(parts.names[1:-1], start=1):
        low, high = map(float, name.split(" to "))
        np.testing.assert_array_equal(parts.codes == code, (low <= values) & (values < high))


def test_quartiles_are_named_with_few_digits() -> None:
    assert cut_up("share", (np.arange(1, 100) / 3).astype(object)).names[0] == "below 8.5"
    assert cut_up("share", (np.arange(1, 100) / 7).astype(object)).names[1] == "3.64286 to 7.14286"


def test_codes_are_no_numbers() -> None:
    codes = np.array([f"{number:02}" for number in range(12)] * 2 + [None], object)
    assert cut_up("clinic", codes).names == (*codes[:12], "(missing)")
    assert cut_up("clinic:6", codes).names == ("below 6", "6 and above", "(missing)")
    numbers = np.arange(12).astype(object)
    assert by_value("clinic", numbers).names == tuple(map(str, range(12)))
    assert len(cut_up("clinic", np.append(numbers, [""])).names) == 5


def test_sites_are_told_one_by_one_however_they_are_written() -> None:
    source = a_set(n=300, classes=2, patients=300)
    source.table["site"] = np.arange(300) % 10
    result = probe(source, classifier="centroid", sites="site", by=("site",), **QUICK)
    assert [row["value"] for row in result.subgroups] == [str(site) for site in range(10)]


def test_few_values_and_words_stay_as_they_are() -> None:
    assert cut_up("grade", np.array([3, 1, 2, 10, None], object)).names == ("1", "2", "3", "10", "(missing)")
    assert cut_up("sex", np.array(["male", "female", "", "male"], object)).names == ("female", "male", "(missing)")
    with pytest.raises(EmbedkitError, match="the column 'sex' holds 'male', which can't be cut at numbers"):
        cut_up("sex:40", np.array(["male", "female"], object))
    with pytest.raises(EmbedkitError, match="the column 'age' holds 'about 50', which can't be cut at numbers"):
        cut_up("age:40", np.array([39, None, "41", "about 50", "?"], object))


def test_the_numbers_are_those_of_the_rows_alone() -> None:
    judged, probability, y = two_classes(400)
    codes = np.arange(400) % 2
    rows, _ = judge_subgroups(
        judged,
        probability,
        np.arange(400),
        np.arange(400),
        Subgroups("sex", ("f", "m"), codes),
        0.9,
        replicates=50,
        seed=0,
    )
    scores = judged.scores[:, 1]
    threshold = np.sort(scores[y == 0])[int(np.ceil(0.9 * (y == 0).sum())) - 1]
    for row in rows:
        mine = codes == ("f", "m").index(row["value"])
        assert (row["n"], row["groups"], row["note"], row["classes"]) == (200, 200, "", [1])
        assert row["auc"]["value"] == pytest.approx(roc_auc_score(y[mine], scores[mine]))
        assert row["brier"]["value"] == pytest.approx(brier_score_loss(y[mine], probability[mine, 1]))
        assert row["sensitivity"]["value"] == pytest.approx((scores[mine & (y == 1)] > threshold).mean())
        assert row["specificity"]["value"] == pytest.approx((scores[mine & (y == 0)] <= threshold).mean())
        assert row["auc"]["low"] < row["auc"]["value"] < row["auc"]["high"]
    together = sum(row["specificity"]["value"] * (y[codes == i] == 0).sum() for i, row in enumerate(rows))
    assert together / (y == 0).sum() >= 0.9


def test_the_largest_gap_is_between_the_two_that_are_furthest_apart() -> None:
    judged, probability, _ = two_classes(600)
    codes = np.arange(600) % 3
    scores = judged.scores.copy()
    noise = np.random.default_rng(1).normal(scale=5, size=600)
    scores[codes == 1, 1] += noise[codes == 1]
    scores[:, 0] = -scores[:, 1]
    judged = Judged(judged.truth, scores, judged.fold, True)
    parts = Subgroups("site", ("x", "y", "z"), codes)
    rows, gaps = judge_subgroups(
        judged, probability, np.arange(600), np.arange(600), parts, 0.9, replicates=200, seed=0
    )
    assert {gap["metric"] for gap in gaps} == set(METRICS)
    gap = next(gap for gap in gaps if gap["metric"] == "auc")
    aucs = {row["value"]: row["auc"]["value"] for row in rows}
    assert gap["low"] == "y"
    assert gap["high"] == max(aucs, key=lambda name: aucs[name])
    assert gap["gap"]["value"] == pytest.approx(max(aucs.values()) - aucs["y"])
    assert gap["gap"]["low"] > 0


def test_a_subgroup_that_is_too_small_says_so_and_is_no_gap() -> None:
    judged, probability, _ = two_classes(200)
    codes = np.where(np.arange(200) < 6, 1, 0)
    parts = Subgroups("sex", ("f", "m"), codes)
    groups = np.arange(200) // 2
    rows, gaps = judge_subgroups(judged, probability, groups, np.arange(200), parts, 0.9, replicates=20, seed=0)
    assert rows[0]["auc"]["value"] > 0.5
    assert [rows[1][name] for name in METRICS] == [None] * len(METRICS)
    assert rows[1]["note"].startswith("too small to be judged: 6 images of 3 groups")
    assert gaps == []
    nobody, gaps = judge_subgroups(
        judged,
        probability,
        groups,
        np.arange(200),
        Subgroups("sex", ("f",), np.zeros(200, int)),
        0.9,
        replicates=20,
        seed=0,
    )
    assert (len(nobody), gaps) == (1, [])


def test_when_all_are_too_small_nothing_is_judged() -> None:
    judged, probability, _ = two_classes(30)
    parts = cut_up("id", np.arange(30).astype(object))
    rows, gaps = judge_subgroups(judged, probability, np.arange(30), np.arange(30), parts, 0.9, replicates=20, seed=0)
    assert all(row["auc"] is None and row["note"] for row in rows)
    assert gaps == []


def test_several_classes_are_judged_where_there_are_enough_and_compared_on_common_ones() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    codes = np.arange(300) % 2
    y[(codes == 1) & (y == 2)] = 0
    scores = rng.normal(size=(300, 3)) + 2 * np.eye(3)[y]
    judged = Judged(np.eye(3)[y], scores, np.zeros(300, int), True)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    parts = Subgroups("sex", ("f", "m"), codes)
    rows, gaps = judge_subgroups(judged, p, np.arange(300), np.arange(300), parts, 0.9, replicates=20, seed=0)
    assert [row["classes"] for row in rows] == [[0, 1, 2], [0, 1]]
    mine = codes == 0
    own = [roc_auc_score(y[mine] == k, scores[mine, k]) for k in range(3)]
    assert rows[0]["auc"]["value"] == pytest.approx(np.mean(own))
    other = [roc_auc_score(y[~mine] == k, scores[~mine, k]) for k in range(2)]
    gap = next(gap for gap in gaps if gap["metric"] == "auc")
    assert gap["gap"]["value"] == pytest.approx(abs(np.mean(own[:2]) - np.mean(other)))


def test_without_probabilities_calibration_is_not_told() -> None:
    judged, _, _ = two_classes(200)
    parts = Subgroups("sex", ("f", "m"), np.arange(200) % 2)
    rows, gaps = judge_subgroups(judged, None, np.arange(200), np.arange(200), parts, 0.9, replicates=20, seed=0)
    assert rows[0]["brier"]["value"] is None
    assert {gap["metric"] for gap in gaps} == {"auc", "sensitivity", "specificity"}
