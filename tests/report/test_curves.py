"""Learning, reliability and decision curves say what they were given."""

from pathlib import Path
from typing import Any

import pytest

from embedkit.errors import EmbedkitError
from embedkit.report import decision_curve_figure, learning_curve_figure, reliability_figure
from tests.report.test_figures import words


def point(amount: float, auc: float | None, kind: str = "shots") -> dict[str, Any]:
    low, high = (None, None) if auc is None else (auc - 0.1, auc + 0.1)
    return {"kind": kind, "amount": amount, "auc": {"value": auc, "low": low, "high": high}}


def test_a_learning_curve_names_its_amounts(tmp_path: Path) -> None:
    curves = {
        "resnet50-v1, logistic": [point(1, 0.6), point(16, 0.8), point(4, None)],
        "vit-ti16, knn": [point(2, 0.7)],
    }
    learning_curve_figure(curves, tmp_path / "c.svg", "ham10000: learning curve", "five draws")
    text = words(tmp_path / "c.svg")
    assert "resnet50-v1, logistic" in text
    assert "vit-ti16, knn" in text
    assert "images per class" in text
    assert "five draws" in text
    assert all(f" {tick} " in f" {text} " for tick in ("1", "2", "4", "16"))


def test_a_learning_curve_has_one_kind_of_points(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="of one kind"):
        learning_curve_figure({"a": [point(1, 0.6), point(5, 0.6, "fraction")]}, tmp_path / "c.svg", "t")
    with pytest.raises(EmbedkitError, match="of one kind"):
        learning_curve_figure({}, tmp_path / "c.svg", "t")


def test_reliability_and_decision_curves_are_drawn(tmp_path: Path) -> None:
    bins = [{"probability": 0.1 * b, "share": 0.1 * b, "low": 0.0, "high": min(1, 0.1 * b + 0.2)} for b in range(1, 9)]
    reliability_figure({"logistic": bins, "knn": bins[:3]}, tmp_path / "r.svg", "reliability")
    text = words(tmp_path / "r.svg")
    assert "logistic" in text
    assert "share in which it came true" in text
    curve = {"label": "PNEUMONIA", "threshold": [0.1, 0.5, 0.9], "treat_all": [0.5, 0.2, -3.0]}
    curve |= {"model": [0.55, 0.5, 0.4], "low": [0.5, 0.4, 0.3], "high": [0.6, 0.6, 0.5]}
    decision_curve_figure(curve, tmp_path / "d.svg", "decision")
    text = words(tmp_path / "d.svg")
    assert "act on 'PNEUMONIA'" in text
    assert "act on everybody" in text
    assert "net benefit" in text


def test_bands_have_gaps_where_there_is_no_interval(tmp_path: Path) -> None:
    alone = {"kind": "shots", "amount": 1, "auc": {"value": 0.7, "low": None, "high": None}}
    learning_curve_figure({"knn": [alone, point(2, 0.7), point(4, 0.8)]}, tmp_path / "some.svg", "t")
    learning_curve_figure({"knn": [alone]}, tmp_path / "none.svg", "t")
    assert "images per class" in words(tmp_path / "none.svg")
    curve = {"label": "x", "threshold": [0.1, 0.5], "treat_all": [0.5, 0.2], "model": [0.55, 0.5]}
    decision_curve_figure({**curve, "low": [None, None], "high": [None, None]}, tmp_path / "d.svg", "t")
    assert "act on everybody" in words(tmp_path / "d.svg")
