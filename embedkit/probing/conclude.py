"""From judged scores to a result: every number with its interval. Whoever made the scores, they are judged alike."""

import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from embedkit._version import __version__
from embedkit.cache import EmbeddingSet
from embedkit.probing.evidence import Evidence, counts
from embedkit.probing.identity import fingerprint
from embedkit.probing.measures.bootstrap import LEVEL, Interval, intervals
from embedkit.probing.measures.calibration import ERROR, bins_moved, claims, measure_calibration, reliability
from embedkit.probing.measures.calibration import NAMES as CALIBRATION
from embedkit.probing.measures.delong import delong
from embedkit.probing.measures.metrics import NAMES, Judged, measure
from embedkit.probing.measures.operating import THRESHOLDS, net_benefit, operating_points, treat_all
from embedkit.probing.result import ProbeResult
from embedkit.probing.settings import Settings
from embedkit.probing.subgroups import by_value, cut_up, judge_subgroups

# Words in the names of columns that say whose an image is.
_PATIENTS = ("patient", "subject", "person", "participant", "lesion")
# Every twentieth is enough to draw a curve with.
_AT = THRESHOLDS[4::5]


def conclude(
    train: EmbeddingSet, test: EmbeddingSet | None, evidence: Evidence, settings: Settings, model: str | None = None
) -> ProbeResult:
    """Judge the scores of a plan, with 95 % intervals from resampling groups.

    Args:
        train, test: what the plan was made of. evidence: the scores. settings: of the judgement.
        model: what made the scores, where it is no head on the encoder of ``train``. It has chosen its epoch or step on
            the validation images and not learnt from them.

    Raises:
        EmbedkitError: the images of one unit of the level have different labels.
    """
    started = time.perf_counter()
    plan, labels = evidence.plan, evidence.plan.train.labels
    found = _Numbers(evidence, settings)
    classes, learnt = len(labels.classes), evidence.learnt(refitted=model is None)
    aucs = found["aucs"]
    operating = found["operating"]
    at = {"sensitivity_at_specificity": settings.specificity, "specificity_at_sensitivity": settings.sensitivity}
    subgroups, gaps = _subgroups(evidence, settings)
    return ProbeResult(
        data=train.name,
        test=train.name if test is None else test.name,
        model=model or train.encoder,
        key="" if model else train.key,
        classifier=settings.classifier,
        target=labels.name,
        level=settings.level,
        n_train=len(learnt),
        n_test=evidence.count(),
        n_groups=int(evidence.groups.max()) + 1,
        classes=list(labels.classes),
        **dict(zip(NAMES, found["numbers"], strict=True)) | _delong(evidence, found["numbers"][0]),
        **{name: {**one, "at": at[name]} for name, one in zip(at, operating[:2], strict=True)},
        per_class=evidence.per_class(
            auc=aucs, sensitivity=operating[2 : 2 + classes], specificity=operating[2 + classes :]
        ),
        calibration=_calibration(evidence, found),
        decision_curve=_decision_curve(evidence, found),
        selected={},
        leakage=evidence.leaked,
        subgroups=subgroups,
        gaps=gaps,
        learning_curve={},
        comparison={},
        wording={},
        baselines=[],
        cost={"interval_seconds": time.perf_counter() - started},
        protocol={
            "split": plan.kind,
            "folds": len(plan.folds) // settings.repeats if plan.kind == "folds" else None,
            "group": settings.group or ("group" if "group" in train.table else None),
            "level": LEVEL,
            "features": plan.train.X.shape[1],
            "multilabel": not labels.exclusive,
            "class_counts": {
                "train": counts(labels.classes, labels.truth[learnt]),
                "test": evidence.count_classes(),
            },
            "settings": settings.to_dict(),
            "failed": ledger_of(train, test),
            "fingerprint": fingerprint(train, test, settings),
            "versions": {"embedkit": __version__} | {name: version(name) for name in ("numpy", "scikit-learn")},
        },
        notes=[*_unread(train, test), *evidence.notes(), *_ungrouped(train, settings)],
        predictions=evidence.predictions(),
    )


class _Numbers:
    """The intervals of all numbers, from one set of resamples."""

    def __init__(self, evidence: Evidence, settings: Settings) -> None:
        judged = evidence.judged
        kinds = {"calibrated": evidence.calibrated, "uncalibrated": evidence.uncalibrated}
        known = {name: probability for name, probability in kinds.items() if probability is not None}
        classes = judged.truth.shape[1]
        widths = {"numbers": len(NAMES), "aucs": classes, "operating": 2 + 2 * classes}
        widths |= dict.fromkeys(known, len(CALIBRATION))
        benefiting = _benefiting(judged) if evidence.calibrated is not None else []
        widths["benefit"] = len(_AT) * len(benefiting)

        def statistic(W: np.ndarray) -> np.ndarray:
            columns = [measure(judged, W), operating_points(judged, W, settings.specificity, settings.sensitivity)]
            for probability in known.values():
                columns.append(measure_calibration(judged.truth, probability, judged.exclusive, W))
            for k in benefiting:
                columns.append(net_benefit(judged.truth[:, k], known["calibrated"][:, k], _AT, W))
            return np.concatenate(columns, axis=1)

        ends = np.cumsum(list(widths.values())).tolist()
        first = {name: end - width for (name, width), end in zip(widths.items(), ends, strict=True)}
        moved = {
            first[name] + ERROR: partial(bins_moved, judged.truth, probability, judged.exclusive)
            for name, probability in known.items()
        }
        found = intervals(statistic, evidence.groups, settings.replicates, settings.seed, moved)
        self._parts = {name: found[start : start + widths[name]] for name, start in first.items()}

    def __getitem__(self, name: str) -> Sequence[Interval]:
        return self._parts.get(name, ())


def _delong(evidence: Evidence, auc: Interval) -> dict[str, Interval]:
    """Return the AUC with DeLong's interval beside the bootstrap's, where two classes and independent images permit."""
    judged = evidence.judged
    if not judged.two_classes or judged.fold.any() or auc["value"] is None:
        return {}
    if len(judged.fold) > int(evidence.groups.max()) + 1:
        return {}
    low, high = delong(judged.truth[:, 1] == 1, judged.scores[:, 1]).interval()
    return {"auc": {**auc, "delong_low": low, "delong_high": high}}


def _calibration(evidence: Evidence, found: _Numbers) -> dict[str, Any]:
    judged, probability = evidence.judged, evidence.calibrated
    raw = dict(zip(CALIBRATION, found["uncalibrated"], strict=False))
    if probability is None:
        return {"uncalibrated": raw} if raw else {}
    several = list(evidence.temperatures)
    return {
        **dict(zip(CALIBRATION, found["calibrated"], strict=True)),
        "temperature": several[0] if len(several) == 1 else several,
        "fitted_on": "the images that the classifier's parameter was chosen on",
        "reliability": [
            reliability(held, claimed, evidence.units)
            for held, claimed in zip(*_columns(judged, probability), strict=True)
        ],
        "uncalibrated": raw or None,
    }


def _columns(judged: Judged, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held, claimed = claims(judged.truth, probability, judged.exclusive)
    return held.T, claimed.T


def _benefiting(judged: Judged) -> list[int]:
    """Return the classes that one may treat for, where any image is judged: of two exclusive ones the second."""
    return [1] if judged.two_classes else np.flatnonzero((~np.isnan(judged.truth)).any(axis=0)).tolist()


def _decision_curve(evidence: Evidence, found: _Numbers) -> list[dict[str, Any]]:
    judged, numbers = evidence.judged, found["benefit"]
    if not numbers:
        return []
    each, width = np.ones((1, len(judged.truth)), np.int64), len(_AT)
    own = [numbers[start : start + width] for start in range(0, len(numbers), width)]
    return [
        {
            "label": evidence.plan.train.labels.classes[k],
            "threshold": _AT.tolist(),
            "model": [one["value"] for one in at],
            "low": [one["low"] for one in at],
            "high": [one["high"] for one in at],
            "treat_all": treat_all(judged.truth[:, k], _AT, each)[0].tolist(),
        }
        for k, at in zip(_benefiting(judged), own, strict=True)
    ]


def _subgroups(evidence: Evidence, settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    asked = dict.fromkeys(settings.by)
    divisions = [cut_up(by, evidence.extra(by.partition(":")[0])) for by in asked if by != settings.sites]
    if settings.sites:
        # What is held out in turn is compared too, and each value is a site.
        divisions.append(by_value(settings.sites, evidence.extra(settings.sites)))
    rows, gaps = [], []
    for parts in divisions:
        some, their_gaps = judge_subgroups(
            evidence.judged,
            evidence.calibrated,
            evidence.groups,
            evidence.units,
            parts,
            settings.specificity,
            settings.replicates,
            settings.seed,
        )
        rows += some
        gaps += their_gaps
    return rows, gaps


def ledger_of(*sets: EmbeddingSet | None) -> list[dict[str, Any]]:
    """Return the images of the sets that could not be embedded: path, reason and message of each."""
    rows: list[Any] = [row for one in sets if one is not None for row in one.failed.to_dict("records")]
    return rows


def _ungrouped(train: EmbeddingSet, settings: Settings) -> list[str]:
    """Name a column that looks like the patients where nobody has said what the groups are."""
    if settings.group or "group" in train.table:
        return []
    found = [name for name in train.table.columns.astype(str) if any(word in name.lower() for word in _PATIENTS)]
    return [f"the table has a column '{found[0]}': if it tells them apart, give --group {found[0]}"] if found else []


def _unread(train: EmbeddingSet, test: EmbeddingSet | None) -> list[str]:
    return [
        f"{len(one.failed)} images of {one.name} could not be embedded and are not in these numbers: "
        + ", ".join(one.failed["path"].head(3).map(repr))
        + (" and others" if len(one.failed) > 3 else "")
        for one in (train, test)
        if one is not None and len(one.failed)
    ]
