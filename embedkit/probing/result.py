"""ProbeResult: the third of the three values, every number with its interval and the choices behind it."""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from embedkit.errors import EmbedkitError
from embedkit.probing.bootstrap import Interval

FORMAT = 1
_NUMBERS = ("auc", "accuracy", "balanced_accuracy", "f1_macro")
_KINDS = {
    **dict.fromkeys((*_NUMBERS, "selected", "leakage", "cost", "protocol", "predictions"), dict),
    **dict.fromkeys(("classes", "per_class", "baselines", "notes"), list),
}
_KEPT_APART = ("predictions", "classes")


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """What a probe found. Intervals are ``{"value", "low", "high", "method"}``, 95 %.

    Attributes:
        data: the set it was trained on. test: the set it was judged on, the same name where it was one set.
        model: the encoder. key: of the encoder's configuration. classifier: the head. target: what was predicted.
        n_train: images of ``data`` that were learnt from. n_test: judged images. n_groups: groups (patients,
            lesions) of the judged images, which is what the intervals rest on.
        classes: in the order of the score columns; of two the second is the positive one.
        auc: macro one-vs-rest, or mean over labels. accuracy, balanced_accuracy, f1_macro: `embedkit.probing.metrics`.
        per_class: ``label``, ``n`` (judged images of the class) and ``auc`` of each class.
        selected: ``C``, ``chosen_by``, ``grid`` and the macro AUC ``scores`` over it; with folds a list of each.
        leakage: judged images the classifier met in training, as in `embedkit.probing.splits.leakage`.
        baselines: published figures, filled in by who knows them.
        cost: seconds. protocol: all that is needed to repeat the run. notes: sentences a reader must know.
        predictions: per judged image ``id``, ``group``, ``fold``, the truth and one ``score`` column per class.
    """

    data: str
    test: str
    model: str
    key: str
    classifier: str
    target: str
    n_train: int
    n_test: int
    n_groups: int
    classes: list[str]
    auc: Interval
    accuracy: Interval
    balanced_accuracy: Interval
    f1_macro: Interval
    per_class: list[dict[str, Any]]
    selected: dict[str, Any]
    leakage: dict[str, Any]
    baselines: list[dict[str, Any]]
    cost: dict[str, float]
    protocol: dict[str, Any]
    notes: list[str]
    predictions: pd.DataFrame = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the predictions in the types of JSON, None for what is not defined."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _KEPT_APART}

    def save(self, path: Path | str) -> None:
        """Write the result with its predictions as JSON; the file is complete or not there.

        Raises:
            EmbedkitError: the file can't be written.
        """
        path = Path(path)
        # A missing truth is NaN in a table and null in JSON.
        columns = self.predictions.astype(object).where(self.predictions.notna(), None).to_dict("list")
        value = {"embedkit": "probe", "format": FORMAT, **self.to_dict(), "classes": self.classes}
        text = json.dumps({**value, "predictions": columns}, ensure_ascii=False, allow_nan=False, indent=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
        except OSError as error:
            raise EmbedkitError(
                f"the result can't be written to {path} ({error.strerror}): free some space, or choose another folder"
            ) from error

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
        wrong = wrong or [name for name in _NUMBERS if not {"value", "low", "high"} <= set(value[name])]
        if wrong:
            raise _no_result(path, f"'{wrong[0]}' is not what it should be")
        return cls(**{name: value[name] for name in names} | {"predictions": pd.DataFrame(value["predictions"])})


def _no_result(path: Path, why: str) -> EmbedkitError:
    return EmbedkitError(f"{path} is not a saved probe result ({why}): run the probe again to write a new one")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
