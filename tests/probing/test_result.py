"""A result can be kept, read again, and is whole or not there."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedkit.errors import EmbedkitError
from embedkit.probing import ProbeResult
from embedkit.probing.result import NUMBERS

INTERVAL = {"value": 0.9, "low": 0.8, "high": None, "method": "m"}


def a_result(**changes: Any) -> ProbeResult:
    known: dict[str, Any] = {
        "data": "ham10000",
        "test": "isic2018",
        "model": "resnet50-v1",
        "key": "00ff",
        "classifier": "logistic",
        "target": "dx",
        "level": "image",
        "n_train": 3,
        "n_test": 2,
        "n_groups": 2,
        "classes": ["mel", "n\u00e6vus"],
        "per_class": [{"label": "mel", "n": 1, "auc": INTERVAL}],
        "selected": {"C": 1e-06, "chosen_by": "val", "grid": [1e-06], "scores": [0.1 + 0.2]},
        "leakage": {"images": None},
        "calibration": {},
        "decision_curve": [],
        "subgroups": [],
        "gaps": [],
        "learning_curve": {},
        "comparison": {},
        "wording": {},
        "baselines": [],
        "cost": {"fit_seconds": 0.1},
        "protocol": {"seed": 0},
        "notes": ["a note"],
        "predictions": pd.DataFrame(
            {
                "id": ["7", "08"],
                "group": ["p", None],
                "fold": [0, 0],
                "truth_mel": [1.0, np.nan],
                "truth_n\u00e6vus": [0.0, 1.0],
                "score_mel": [1 / 3, -1e-30],
                "score_n\u00e6vus": [0.5, 0.25],
            }
        ),
    }
    numbers = dict.fromkeys(NUMBERS, INTERVAL)
    return ProbeResult(**{**known, **numbers, **changes})


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    result = a_result()
    path = tmp_path / "new" / "folder" / "r.json"
    result.save(path)
    again = ProbeResult.load(path)
    assert again.to_dict() == result.to_dict()
    assert again.classes == result.classes
    pd.testing.assert_frame_equal(again.predictions, result.predictions)
    assert [p.name for p in path.parent.iterdir()] == ["r.json"]


def test_the_file_is_plain_json_without_nan(tmp_path: Path) -> None:
    a_result().save(tmp_path / "r.json")

    def refuse(word: str) -> float:
        raise AssertionError(word)

    value = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert value["predictions"]["truth_mel"] == [1.0, None]
    assert value["classes"] == ["mel", "n\u00e6vus"]


def test_the_shape_is_that_of_the_design() -> None:
    expected = "data test model key classifier target level n_train n_test n_groups"
    expected += " auc accuracy balanced_accuracy f1_macro average_precision"
    expected += " sensitivity_at_specificity specificity_at_sensitivity per_class calibration decision_curve selected"
    expected += " leakage subgroups gaps learning_curve comparison wording baselines cost protocol notes"
    assert list(a_result().to_dict()) == expected.split()


def test_the_score_of_a_class_that_was_not_learnt_comes_back_as_it_was(tmp_path: Path) -> None:
    columns = {"id": ["7", "8"], "group": ["p", None], "fold": [0, 1], "truth": ["a", "b"]}
    table = pd.DataFrame({**columns, "score_a": [-np.inf, -1.0], "score_b": [0.5, -np.inf]})
    a_result(classes=["a", "b"], predictions=table).save(tmp_path / "r.json")
    pd.testing.assert_frame_equal(ProbeResult.load(tmp_path / "r.json").predictions, table)


def test_predictions_are_scores_beside_the_truth_again() -> None:
    columns = {
        "id": ["7", "8"],
        "group": ["p", None],
        "fold": [0, 1],
        "score_mel": [0.5, -1.0],
        "score_n\u00e6vus": [1, 2],
    }
    judged, groups = a_result(predictions=pd.DataFrame({**columns, "truth": ["n\u00e6vus", "mel"]})).judged()
    np.testing.assert_array_equal(judged.truth, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(judged.scores, [[0.5, 1], [-1, 2]])
    assert judged.exclusive
    assert groups.tolist() == ["p", "image 8"]
    several = {"truth_mel": [1.0, np.nan], "truth_n\u00e6vus": [0.0, 1.0]}
    judged, _ = a_result(predictions=pd.DataFrame({**columns, **several})).judged()
    np.testing.assert_array_equal(judged.truth, [[1, 0], [np.nan, 1]])
    assert not judged.exclusive


def test_saving_again_replaces(tmp_path: Path) -> None:
    a_result().save(tmp_path / "r.json")
    a_result(notes=["other"]).save(tmp_path / "r.json")
    assert ProbeResult.load(tmp_path / "r.json").notes == ["other"]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_result().save(tmp_path / "r.json")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EmbedkitError, match=r"can't be written to .*r\.json \(No space left on device\)"):
        a_result(notes=["other"]).save(tmp_path / "r.json")
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    assert ProbeResult.load(tmp_path / "r.json").notes == ["a note"]


def test_a_nan_is_no_json_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        a_result(cost={"fit_seconds": math.nan}).save(tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(EmbedkitError, match="can't be written"):
        a_result().save(tmp_path / "results" / "r.json")


@pytest.mark.parametrize("cut", [0, 1, 100, -2])
def test_a_truncated_file_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r.json"
    a_result().save(path)
    path.write_text(path.read_text(encoding="utf-8")[:cut], encoding="utf-8")
    with pytest.raises(EmbedkitError, match="cut short"):
        ProbeResult.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no probe wrote it"),
        ('{"data": 1}', "no probe wrote it"),
        ('{"embedkit": "probe", "format": 99}', "format 99, and this version reads 3"),
        ('{"embedkit": "probe", "format": 3}', "lacks 'data'"),
    ],
)
def test_another_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(EmbedkitError, match=message):
        ProbeResult.load(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda columns: columns.clear(), "scores of each class"),
        (lambda columns: columns["fold"].pop(), "no table"),
        (lambda columns: columns.pop("score_mel"), "scores of each class"),
        (lambda columns: columns.update(score_mel=["high", "low"]), "scores of each class"),
        (lambda columns: columns.pop("truth_mel"), "lack 'truth_mel'"),
        (lambda columns: columns.pop("fold"), "lack 'fold'"),
        (lambda columns: [values.clear() for values in columns.values()], "no predictions"),
    ],
)
def test_predictions_that_are_not_whole_are_told(
    tmp_path: Path, damage: Callable[[dict[str, list[Any]]], object], message: str
) -> None:
    a_result().save(tmp_path / "r.json")
    value = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    damage(value["predictions"])
    (tmp_path / "r.json").write_text(json.dumps(value))
    with pytest.raises(EmbedkitError, match=message):
        ProbeResult.load(tmp_path / "r.json")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(EmbedkitError, match="not a saved probe result"):
        ProbeResult.load(tmp_path / "r.json")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="run `embedkit probe` first"):
        ProbeResult.load(tmp_path / "r.json")
