"""ProbeResult: the third of the three values, every number with its interval and the choices behind it."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.cache.whole import saved
from embedkit.errors import EmbedkitError
from embedkit.probing.measures.bootstrap import Interval
from embedkit.probing.measures.metrics import Judged

FORMAT = 3
NUMBERS = (
    "auc",
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "average_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
)
_DICTIONARIES = (
    "selected",
    "calibration",
    "leakage",
    "cost",
    "protocol",
    "predictions",
    "learning_curve",
    "comparison",
    "wording",
)
_LISTS = ("classes", "per_class", "decision_curve", "subgroups", "gaps", "baselines", "notes")
_KINDS = {**dict.fromkeys((*NUMBERS, *_DICTIONARIES), dict), **dict.fromkeys(_LISTS, list)}
_KEPT_APART = ("predictions", "classes")


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """What a probe found. Intervals are ``{"value", "low", "high", "bca_low", "bca_high", "method"}``, 95 %.
    Of a calibration error there is no BCa interval.

    Attributes:
        data: the set it was trained on. test: the set it was judged on, the same name where it was one set.
        model: the encoder. key: of the encoder's configuration. classifier: the head. target: what was predicted.
        level: what was judged: ``image``, ``group`` or the column whose images were judged as one.
        n_train: images of ``data`` that were learnt from; a probe learns from the validation images too, a trained
            network and an aligned pair do not. n_test: judged images (or units of the level).
        n_groups: groups (patients, lesions) of them, which is what the intervals rest on.
        classes: in the order of the score columns; of two the second is the positive one.
        auc: macro one-vs-rest, or mean over labels. accuracy, balanced_accuracy, f1_macro, average_precision:
            `embedkit.probing.measures.metrics`. sensitivity_at_specificity, specificity_at_sensitivity: with ``at``,
            what is held fixed, as in `embedkit.probing.measures.operating`.
        per_class: ``label``, ``n`` (judged images of the class), ``auc``, ``sensitivity`` and ``specificity`` of each.
        calibration: ``brier`` and ``ece`` at the ``temperature`` that was fitted on ``fitted_on``, ``reliability``
            (the bins of each label; one list for classes), and ``uncalibrated`` (brier and ece of the scores as they
            are); empty where nothing could be fitted.
        decision_curve: per positive class that any image is judged for ``label``, ``threshold``, ``model`` with ``low``
            and ``high``, ``treat_all``.
        selected: the chosen parameter, ``chosen_by``, ``grid`` and the macro AUC ``scores`` over it; with folds a
            list of each.
        leakage: judged images the classifier met in training, as in `embedkit.probing.splits.leakage`.
        subgroups, gaps: as in `embedkit.probing.subgroups`. learning_curve: as in `embedkit.probing.learning_curve`.
        comparison: to the best result on the same images, where several were made; filled in by `embedkit.many`.
        wording: of a zero-shot result, how much hangs on the prompts, as in `embedkit.text.zeroshot`; else empty.
        baselines: published figures, filled in by who knows them.
        cost: of choosing and fitting, as `embedkit.cost.Cost`; ``interval_seconds``; ``embedding``, where it is known
            what the vectors cost. protocol: all that is needed to repeat the run. notes: sentences a reader must know.
        predictions: per judged image ``id``, ``group`` (None where it is alone; copies of one file have one), ``fold``,
            the truth and one ``score`` column per class.
    """

    data: str
    test: str
    model: str
    key: str
    classifier: str
    target: str
    level: str
    n_train: int
    n_test: int
    n_groups: int
    classes: list[str]
    auc: Interval
    accuracy: Interval
    balanced_accuracy: Interval
    f1_macro: Interval
    average_precision: Interval
    sensitivity_at_specificity: Interval
    specificity_at_sensitivity: Interval
    per_class: list[dict[str, Any]]
    calibration: dict[str, Any]
    decision_curve: list[dict[str, Any]]
    selected: dict[str, Any]
    leakage: dict[str, Any]
    subgroups: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    learning_curve: dict[str, Any]
    comparison: dict[str, Any]
    wording: dict[str, Any]
    baselines: list[dict[str, Any]]
    cost: dict[str, Any]
    protocol: dict[str, Any]
    notes: list[str]
    predictions: pd.DataFrame = field(repr=False)

    def judged(self) -> tuple[Judged, np.ndarray]:
        """Return the predictions as scores beside the truth, and the group of each row, (n,) of str."""
        table = self.predictions
        scores = table[[f"score_{name}" for name in self.classes]].to_numpy(float)
        exclusive = "truth" in table
        if exclusive:
            truth = (table["truth"].to_numpy(object)[:, None] == np.array(self.classes, object)).astype(float)
        else:
            truth = table[[f"truth_{name}" for name in self.classes]].to_numpy(float)
        own = "image " + table["id"].astype(str)
        return Judged(truth, scores, table["fold"].to_numpy(), exclusive), table["group"].fillna(own).to_numpy(str)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the predictions in the types of JSON, None for what is not defined."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _KEPT_APART}

    def save(self, path: Path | str) -> None:
        """Write the result with its predictions as JSON; the file is complete or not there.

        Raises:
            EmbedkitError: the file can't be written.
        """
        path = Path(path)
        # A truth that is not known and the score of a class that was not learnt (-inf) are null in JSON.
        known = self.predictions.notna() & (self.predictions != -np.inf)
        columns = self.predictions.astype(object).where(known, None).to_dict("list")
        value = {"embedkit": "probe", "format": FORMAT, **self.to_dict(), "classes": self.classes}
        text = json.dumps({**value, "predictions": columns}, ensure_ascii=False, allow_nan=False, indent=1)
        with saved("the result", path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> "ProbeResult":
        """Read what `save` wrote.

        Raises:
            EmbedkitError: there is no such file, or it is no whole probe result of this format.
        """
        path = Path(path)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise EmbedkitError(
                f"no result can be read from {path} ({error.strerror}): run `embedkit probe` first"
            ) from error
        except ValueError as error:
            raise _no_result(path, "it is not JSON, or cut short") from error
        if not isinstance(value, dict) or value.get("embedkit") != "probe":
            raise _no_result(path, "no probe wrote it")
        if value.get("format") != FORMAT:
            raise _no_result(path, f"it has the format {value.get('format')}, and this version reads {FORMAT}")
        names = [item.name for item in fields(cls)]
        absent = [name for name in names if name not in value]
        if absent:
            raise _no_result(path, f"it lacks '{absent[0]}'")
        wrong = [name for name, kind in _KINDS.items() if not isinstance(value[name], kind)]
        wrong = wrong or [name for name in NUMBERS if not {"value", "low", "high"} <= set(value[name])]
        if wrong:
            raise _no_result(path, f"'{wrong[0]}' is not what it should be")
        predictions = _predictions(path, value["predictions"], value["classes"])
        return cls(**{name: value[name] for name in names} | {"predictions": predictions})


def _predictions(path: Path, columns: dict[str, Any], classes: list[str]) -> pd.DataFrame:
    scores = [f"score_{name}" for name in classes]
    try:
        table = pd.DataFrame(columns)
        table[scores] = table[scores].astype(float).fillna(-np.inf)
    except (ValueError, TypeError, KeyError) as error:
        raise _no_result(path, "its predictions are no table with the scores of each class") from error
    truth = ["truth"] if "truth" in table else [f"truth_{name}" for name in classes]
    absent = [name for name in ("id", "group", "fold", *truth) if name not in table]
    if absent or table.empty:
        raise _no_result(path, f"its predictions lack '{absent[0]}'" if absent else "it has no predictions")
    return table


def _no_result(path: Path, why: str) -> EmbedkitError:
    return EmbedkitError(f"{path} is not a saved probe result ({why}); if it was one, run the probe again")
