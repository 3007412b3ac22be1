"""Several results on the same images: each against the best, with p-values corrected for their number."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from embedkit.probing.measures.compare import holm, paired, permutation
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.result import ProbeResult


class Question(NamedTuple):
    """What results must share to be compared: both sets, the target, the level, and what is learnt from what.

    Attributes:
        learnt: in words how images are divided into those that are learnt from and those that are judged; empty where
            nothing is learnt.
    """

    data: str
    test: str
    target: str
    level: str
    learnt: str


def question(result: ProbeResult) -> Question:
    """Return what a result answers."""
    protocol, settings = result.protocol, result.protocol["settings"]
    group = f" by {protocol['group']}" if protocol["group"] else ""
    learnt = {
        "folds": f"{settings['repeats']} x {protocol['folds']} folds{group}, seed {settings['seed']}",
        "sites": f"each {settings['sites']} held out",
        "untrained": "",
    }
    how = learnt.get(protocol["split"], f"{protocol['split']} split")
    return Question(result.data, result.test, result.target, result.level, how)


def questions(results: Sequence[ProbeResult]) -> list[Question]:
    """Return the question of each; of one that has learnt nothing that of the first that differs in nothing else."""
    asked = [question(result) for result in results]
    learnt = {one._replace(learnt=""): one for one in reversed(asked) if one.learnt}
    return [learnt.get(one, one) for one in asked]


def compare_to_best(results: Sequence[ProbeResult], permutations: int = 0) -> list[dict[str, Any]]:
    """Compare each result with the one of the highest AUC that answers the same `question`.

    The best is picked on the same images, so being the best is flattered by the picking; the differences are paired,
    on the images that both judged, and their p-values corrected over the whole list after Holm.

    Args:
        results: any. permutations: p by so many permutations; 0 takes DeLong's test where it holds, else the bootstrap.

    Returns:
        For each result an empty dictionary if it stands alone, else ``best`` (whether it is), ``to`` (model and
        classifier of the best), ``n`` (rows both judged), ``difference`` (of the macro AUCs, an interval), ``p``,
        ``p_adjusted`` and ``p_method``; of the best only the first two. Where the two can't be compared, because they
        judged no image in common or have other classes or labels, ``n`` is 0, the difference and its p are None, and
        ``why`` says it in words.
    """
    found: list[dict[str, Any]] = [{} for _ in results]
    judged = [number for number, result in enumerate(results) if result.auc["value"] is not None]
    asked_by = questions(results)
    for asked in dict.fromkeys(asked_by[number] for number in judged):
        several = [number for number in judged if asked_by[number] == asked]
        if len(several) < 2:
            continue
        best = max(several, key=lambda number: (results[number].auc["value"], -number))
        to = {"model": results[best].model, "classifier": results[best].classifier}
        for number in several:
            other = {} if number == best else _difference(results[number], results[best], permutations)
            found[number] = {"best": number == best, "to": to, **other}
    tested = [one for one in found if one.get("p") is not None]
    for one, adjusted in zip(tested, holm([one["p"] for one in tested]), strict=True):
        one["p_adjusted"] = adjusted
    return found


def _difference(result: ProbeResult, best: ProbeResult, permutations: int) -> dict[str, Any]:
    a, b, groups = on_common_rows(result, best)
    if why := _apart(result, best, a, b):
        return {"n": 0, "difference": None, "p": None, "p_adjusted": None, "p_method": "", "why": why}
    settings = result.protocol["settings"]
    replicates, seed = settings["replicates"], settings["seed"]
    difference = paired(a, b, groups, replicates, seed, ["auc"])["auc"]
    p, method = difference.pop("p"), difference.pop("p_method")
    if permutations and np.array_equal(a.fold, b.fold):
        p, method = permutation(a, b, groups, permutations, seed), f"{permutations} permutations"
    return {"n": len(a.fold), "difference": difference, "p": p, "p_adjusted": None, "p_method": method}


def _apart(one: ProbeResult, two: ProbeResult, a: Judged, b: Judged) -> str:
    """Say why two results can't be compared on the rows that both judged; empty if they can."""
    if not len(a.fold):
        return "no image in common"
    if one.classes != two.classes:
        few, many = sorted((set(one.classes), set(two.classes)), key=len)
        return f"other classes: only one of the two has {', '.join(sorted(many - few))}"
    return "" if np.array_equal(a.truth, b.truth, equal_nan=True) else "other labels of the same images"


def on_common_rows(one: ProbeResult, two: ProbeResult) -> tuple[Judged, Judged, np.ndarray]:
    """Return both results on the images that both judged, in one order, and the group of each as a code 0..G-1."""
    (a, groups), (b, _) = one.judged(), two.judged()
    names_a, names_b = _numbered(one.predictions), _numbered(two.predictions)
    _, rows_a, rows_b = np.intersect1d(names_a, names_b, return_indices=True)
    codes = np.unique(groups[rows_a], return_inverse=True)[1]
    return _select(a, rows_a), _select(b, rows_b), np.asarray(codes)


def _numbered(predictions: pd.DataFrame) -> np.ndarray:
    # Repeated folds judge an image several times: its first judgement meets the first of the other.
    repeat = predictions.groupby("id").cumcount().astype(str)
    return (repeat + " " + predictions["id"].astype(str)).to_numpy(str)


def _select(judged: Judged, rows: np.ndarray) -> Judged:
    return Judged(judged.truth[rows], judged.scores[rows], judged.fold[rows], judged.exclusive)
