"""Figures: the ROC corners against scikit-learn, files that say what they were given, and quiet UMAP maps."""

import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from embedkit.errors import EmbedkitError
from embedkit.report import RocCurve, roc_figure, roc_points, umap_figure
from embedkit.report.style import MARKERS, OKABE_ITO, fold, short


def curve(seed: int = 0, n: int = 60) -> RocCurve:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2 == 0
    return RocCurve(truth, rng.normal(size=n) + truth, 0.912, 0.836, 1.0)


def words(svg: Path) -> str:
    return " ".join(text for node in ET.parse(svg).iter() if (text := (node.text or "").strip()))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=60))
def test_roc_points_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    truth, score = np.array([row[0] for row in rows]), np.array([row[1] / 3 for row in rows])
    if truth.all() or not truth.any():
        with pytest.raises(EmbedkitError, match="both classes"):
            roc_points(truth, score)
        return
    fpr, tpr = roc_points(truth, score)
    expected_fpr, expected_tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(fpr, expected_fpr, atol=1e-12)
    np.testing.assert_allclose(tpr, expected_tpr, atol=1e-12)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc_score(truth, score))


def test_roc_points_refuses_what_is_no_curve() -> None:
    with pytest.raises(EmbedkitError, match=r"\(3,\) and \(2,\)"):
        roc_points([True, False, True], [0.1, 0.2])
    with pytest.raises(EmbedkitError, match="NaN or infinite"):
        roc_points([True, False], [0.1, np.nan])


def test_roc_svg_says_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "roc.svg"
    roc_figure({"phantom-fundus": curve()}, path, "Lesion against normal", "Synthetic phantoms.")
    text = words(path)
    assert "phantom-fundus: AUC .91 (.84 to 1.00)" in text
    assert "Lesion against normal" in text
    assert "Synthetic phantoms." in text
    assert OKABE_ITO[0].lower() in path.read_text().lower()


def test_a_curve_without_an_interval_names_its_auc_alone(tmp_path: Path) -> None:
    roc_figure({"one patient": replace(curve(), low=None, high=None)}, tmp_path / "roc.svg", "t")
    assert words(tmp_path / "roc.svg").endswith("one patient: AUC .91 t")


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for suffix in ("png", "svg"):
        for name in ("a", "b"):
            roc_figure({"x": curve(1), "y": curve(2)}, tmp_path / f"{name}.{suffix}", "t")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_roc_png_is_square_in_its_data_and_grows_with_the_legend(tmp_path: Path) -> None:
    heights = []
    for count in (1, 9):
        path = tmp_path / f"{count}.png"
        roc_figure({f"encoder-{i}": curve(i) for i in range(count)}, path, "t")
        image = Image.open(path)
        assert image.width == 920
        heights.append(image.height)
        grey = np.asarray(image.convert("L"))
        assert (grey < 200).sum() > 2000
        assert (grey[:, -2:] > 250).all()
        assert (grey[-2:] > 250).all()
    assert heights[1] > heights[0] + 200


def test_a_long_name_is_wrapped_and_keeps_its_number(tmp_path: Path) -> None:
    roc_figure({"a-very-long-name " * 6: curve()}, tmp_path / "r.svg", "t")
    assert ".91 (.84 to 1.00)" in words(tmp_path / "r.svg")


def test_figures_that_cannot_be_drawn_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"\.png or \.svg"):
        roc_figure({"x": curve()}, tmp_path / "r.pdf", "t")
    with pytest.raises(EmbedkitError, match="no curve"):
        roc_figure({}, tmp_path / "r.png", "t")
    one_class = RocCurve(np.ones(4, bool), np.arange(4.0), 0.5, 0.4, 0.6)
    with pytest.raises(EmbedkitError, match="both classes"):
        roc_figure({"x": one_class}, tmp_path / "r.png", "t")
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbedkitError, match="cannot write"):
        roc_figure({"x": curve()}, tmp_path / "file" / "r.png", "t")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_umap_is_quiet_repeatable_and_has_both_legends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    site = np.repeat([0, 1], 15)
    X = (rng.normal(size=(30, 8)) + 6 * site[:, None]).astype(np.float32)
    X[:, 3] = 1.5
    colour, marker = [f"site-{s}" for s in site], ["normal", "lesion", "lesion"] * 10
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for name in ("a.svg", "b.svg"):
            umap_figure(X, colour, tmp_path / name, "Embeddings", marker=marker, footnote="Synthetic.")
        umap_figure(X[:10], colour[:10], tmp_path / "ten.png", "Ten")
    assert [str(w.message) for w in heard if "umap" in str(w.filename) or "numba" in str(w.filename)] == []
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    text = words(tmp_path / "a.svg")
    for word in ("site-0", "site-1", "normal", "lesion", "Embeddings", "Synthetic.", "UMAP 1"):
        assert word in text
    assert Image.open(tmp_path / "ten.png").width == 920


@pytest.mark.parametrize(
    ("X", "columns", "message"),
    [
        (np.zeros((9, 4)), 9, "10 or more"),
        (np.zeros(12), 12, r"\(12,\)"),
        (np.zeros((12, 4)), 11, "11 values for 12"),
        (np.full((12, 4), np.inf), 12, "NaN or infinite"),
    ],
)
def test_umap_refuses_what_it_cannot_map(tmp_path: Path, X: np.ndarray, columns: int, message: str) -> None:
    with pytest.raises(EmbedkitError, match=message):
        umap_figure(X, ["a"] * columns, tmp_path / "u.png", "t")
    assert not (tmp_path / "u.png").exists()


def test_umap_checks_the_markers_too(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="marker has 3 values for 12"):
        umap_figure(np.zeros((12, 4)), ["a"] * 12, tmp_path / "u.png", "t", marker=["b"] * 3)


@pytest.mark.parametrize("absent", ["matplotlib", "umap"])
def test_an_absent_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(EmbedkitError, match=r"need " + absent + r".*pip install 'embedkit\[plots\]'"):
        umap_figure(np.eye(12), ["a"] * 12, tmp_path / "u.png", "t")
    assert not (tmp_path / "u.png").exists()


def test_many_values_are_folded_and_none_is_lost() -> None:
    values = [f"v{i}" for i in range(12) for _ in range(12 - i)]
    folded = fold(values, len(OKABE_ITO))
    assert len(folded) == len(values)
    assert len(set(folded)) == len(OKABE_ITO)
    assert {new for old, new in zip(values, folded, strict=True) if old != new} == {"6 others"}
    assert fold(["a", "b", "a"], len(MARKERS)) == ["a", "b", "a"]


@pytest.mark.parametrize(("value", "printed"), [(0.914, ".91"), (1.0, "1.00"), (0.0, ".00"), (0.999, "1.00")])
def test_short_prints_as_papers_do(value: float, printed: str) -> None:
    assert short(value) == printed


def test_importing_the_room_loads_no_plotting_library() -> None:
    heavy = "{'matplotlib', 'umap', 'torch', 'sklearn', 'numba'}"
    code = f"import sys, embedkit.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_no_pyplot_state_is_touched(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from embedkit.report import RocCurve, roc_figure\n"
        "t = np.arange(20) % 2 == 0\n"
        f"roc_figure({{'x': RocCurve(t, np.arange(20.0), .5, .4, .6)}}, Path({str(tmp_path / 'r.png')!r}), 't')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_the_area_of_a_mean_over_folds_is_the_mean_of_their_areas() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, fold = rng.random(90) < 0.4, np.arange(90) % 4
    # Folds whose scores are on scales of their own, with ties.
    score = np.round(rng.normal(size=90) + truth, 1) * 10.0**fold + 100 * fold
    false, true = RocCurve(truth, score, 0.5, 0.4, 0.6, fold).points()
    area = float(((true[1:] + true[:-1]) / 2 * np.diff(false)).sum())
    folds = [roc_auc_score(truth[fold == k], score[fold == k]) for k in range(4)]
    assert area == pytest.approx(np.mean(folds), abs=1e-9)
    assert (false[0], true[0], true[-1]) == (0, 0, 1)
    assert false[-1] == pytest.approx(1)
