"""What the AUC of a simple probe loses where embeddings are computed less precisely: paired, on the same folds."""

from typing import Any

import numpy as np

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.evidence import Evidence
from embedkit.probing.heads.standard import standardise
from embedkit.probing.measures.compare import paired
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.settings import Settings
from embedkit.probing.target import choose_target

# One value: that a choice falls on another one is no drift of the vectors.
_C = 0.01
_REPLICATES = 500
# An AUC of fewer images of a class, or of fewer in all, would be drawn by lot.
_FEWEST_OF_A_CLASS, _FEWEST = 10, 60


def auc_drift(exact: EmbeddingSet, other: EmbeddingSet, seed: int = 0) -> dict[str, Any]:
    """Return the cross-validated AUCs of logistic regression on two vectors of each image, and how they differ.

    Classes of fewer than 10 images are left out with their images; where labels are columns, the columns.

    Args:
        exact, other: embeddings of the same images with the same table. seed: of the folds and of the bootstrap.

    Returns:
        ``target``, ``images``, ``exact`` and ``other`` (the two AUCs), ``difference`` with ``low`` and ``high`` (95 %,
        paired bootstrap over groups), and ``probe``, in words.

    Raises:
        EmbedkitError: there are too few labelled images to say anything.
    """
    target = choose_target(None, exact.targets, exact.name)
    exact, other = (_with_common_classes(one, target) for one in (exact, other))
    settings = Settings(split="folds", replicates=_REPLICATES, seed=seed, target=target)
    plans = [make_plan(one, None, settings) for one in (exact, other)]
    of_exact, of_other = (Evidence(plan, _scores(plan), [None] * len(plan.folds), True).judged for plan in plans)
    judged = np.concatenate([fold.test for fold in plans[0].folds])
    groups = np.unique(plans[0].test.groups[judged], return_inverse=True)[1]
    found: dict[str, Any] = dict(paired(of_other, of_exact, groups, _REPLICATES, seed, ["auc"])["auc"])
    if found["value"] is None:
        raise EmbedkitError(f"no class of '{target}' has an AUC on {len(judged)} images")
    probe = f"logistic at C = {_C}, {len(plans[0].folds)} folds"
    ends = {name: found[name] for name in ("low", "high")}
    return {
        "target": target,
        "images": len(judged),
        "exact": found["b"],
        "other": found["a"],
        "difference": found["value"],
        **ends,
        "probe": probe,
    }


def _with_common_classes(source: EmbeddingSet, target: str) -> EmbeddingSet:
    columns = source.targets[target]
    table, few = source.table, _FEWEST_OF_A_CLASS
    if len(columns) == 1:
        labels = table[columns[0]]
        counts = labels.value_counts()
        source = source.select(labels.isin(counts.index[counts >= few]).to_numpy())
        kept = len(source) if (counts >= few).sum() > 1 else 0
        columns_kept: tuple[str, ...] = columns
    else:
        columns_kept = tuple(c for c in columns if min((table[c] == 1).sum(), (table[c] == 0).sum()) >= few)
        kept = len(table) if len(columns_kept) > 1 else 0
    if kept < _FEWEST:
        raise EmbedkitError(
            f"too few of these {len(table)} images have a label of '{target}' that is common enough to judge by"
        )
    dataset = {**source.provenance["dataset"], "targets": {target: list(columns_kept)}}
    return EmbeddingSet(source.X, source.table, {**source.provenance, "dataset": dataset})


def _scores(plan: Plan) -> list[np.ndarray]:
    """Return the scores (m, K) of the judged rows of each fold."""
    from embedkit.probing.heads.classifiers import make_head

    head, found = make_head("logistic", None), []
    for fold in plan.folds:
        rows = fold.fitted()
        X = plan.train.vectors(rows)
        standard = standardise(X)
        labels = plan.train.labels
        scorer = head.learn(X, labels.truth[rows], labels.exclusive, (_C,))
        found.append(scorer(standard(plan.test.vectors(fold.test)), np.arange(len(fold.test)))[0])
    return found
