"""Several results on the same images: each against the best, with p-values corrected for their number."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from embedkit.probing.measures.compare import holm, paired, permutation
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.result import ProbeResult
from embedkit.probing.target import listed
from embedkit.probing.untrained import UNTRAINED

_UNTRAINED = "nothing learnt"


class Question(NamedTuple):
    """What results must share to be compared: both sets, the target, the level, and who is learnt from and judged."""

    data: str
    test: str
    target: str
    level: str
    protocol: str


def question(result: ProbeResult) -> Question:
    """Return what a result answers."""
    return Question(result.data, result.test, result.target, result.level, _protocol(result))


def questions(results: Sequence[ProbeResult]) -> list[Question]:
    """Return what each of several results answers.

    What has learnt nothing can be set beside what has learnt by any protocol, and joins the first one of its set,
    target and level.
    """
    own = [question(result) for result in results]
    learnt = {asked[:-1]: asked for asked in reversed(own) if asked.protocol != _UNTRAINED}
    return [learnt.get(asked[:-1], asked) if asked.protocol == _UNTRAINED else asked for asked in own]


def _protocol(result: ProbeResult) -> str:
    """Return in words what decides who is learnt from and who is judged: two that differ have not the same chances."""
    kind, settings, group = (result.protocol[name] for name in ("split", "settings", "group"))
    if kind == UNTRAINED:
        return _UNTRAINED
    words = {"published": "published split", "other set": "another set", "sites": f"sites of '{settings['sites']}'"}
    # Another seed cuts other folds.
    words["folds"] = f"{result.protocol['folds']} folds" + (f", seed {settings['seed']}" if settings["seed"] else "")
    again = f", {settings['repeats']} times" if settings["repeats"] > 1 else ""
    groups = {"group": "", None: ", no groups"}.get(group, f", groups of '{group}'")
    return f"{words[kind]}{again}{groups}"


def compare_to_best(results: Sequence[ProbeResult], permutations: int = 0) -> list[dict[str, Any]]:
    """Compare each result with the one of the highest AUC that answers the same question (`questions`).

    The best is picked on the same images, so being the best is flattered by the picking; the differences are paired,
    on the images that both judged, and their p-values corrected over the whole list after Holm.

    Args:
        results: any. permutations: p by so many permutations; 0 takes DeLong's test where it holds, else the bootstrap.

    Returns:
        For each result an empty dictionary if it stands alone, else ``best`` (whether it is), ``to`` (model and
        classifier of the best), ``n`` (rows both judged), ``difference`` (of the macro AUCs, an interval), ``p``,
        ``p_adjusted`` and ``p_method``; of the best only the first two. Of one that judged no image of those that the
        best judged ``n`` is 0 and the difference and its p None; so they are, with ``why`` in words, where the truth of
        the two is not the same.
    """
    found: list[dict[str, Any]] = [{} for _ in results]
    judged = [number for number, result in enumerate(results) if result.auc["value"] is not None]
    answered = questions(results)
    for asked in dict.fromkeys(answered[number] for number in judged):
        several = [number for number in judged if answered[number] == asked]
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
    nothing = {"n": len(groups), "difference": None, "p": None, "p_adjusted": None, "p_method": ""}
    why = _unlike(result, best, a, b)
    if why or not len(groups):
        return nothing | ({"why": why} if why else {})
    settings = result.protocol["settings"]
    replicates, seed = settings["replicates"], settings["seed"]
    difference = paired(a, b, groups, replicates, seed, ["auc"])["auc"]
    p, method = difference.pop("p"), difference.pop("p_method")
    if permutations and np.array_equal(a.fold, b.fold):
        p, method = permutation(a, b, groups, permutations, seed), f"{permutations} permutations"
    return {"n": in_common(result, best), "difference": difference, "p": p, "p_adjusted": None, "p_method": method}


def _unlike(result: ProbeResult, best: ProbeResult, a: Judged, b: Judged) -> str:
    """Return why two results can't be paired on the images of both, "" where they can."""
    if result.classes != best.classes or a.exclusive != b.exclusive:
        return f"only one of the two has {listed(sorted(set(result.classes) ^ set(best.classes)))} among its classes"
    differing = int((~np.isclose(a.truth, b.truth, equal_nan=True)).any(axis=1).sum())
    return f"{differing} of the {len(a.truth)} images that both judged have other labels there" if differing else ""


def on_common_rows(one: ProbeResult, two: ProbeResult) -> tuple[Judged, Judged, np.ndarray]:
    """Return both results on the images that both judged, in one order, and the group of each as a code 0..G-1."""
    (a, groups), (b, _) = one.judged(), two.judged()
    names_a, names_b = _numbered(one.predictions), _numbered(two.predictions)
    _, rows_a, rows_b = np.intersect1d(names_a, names_b, return_indices=True)
    codes = np.unique(groups[rows_a], return_inverse=True)[1]
    return _select(a, rows_a), _select(b, rows_b), np.asarray(codes)


def in_common(one: ProbeResult, two: ProbeResult) -> int:
    """Return how many images, or units of the level, both judged, each once however often the folds are repeated."""
    return len(np.intersect1d(one.predictions["id"].to_numpy(str), two.predictions["id"].to_numpy(str)))


def _numbered(predictions: pd.DataFrame) -> np.ndarray:
    # Repeated folds judge an image several times: its first judgement meets the first of the other.
    repeat = predictions.groupby("id").cumcount().astype(str)
    return (repeat + " " + predictions["id"].astype(str)).to_numpy(str)


def _select(judged: Judged, rows: np.ndarray) -> Judged:
    return Judged(judged.truth[rows], judged.scores[rows], judged.fold[rows], judged.exclusive)
