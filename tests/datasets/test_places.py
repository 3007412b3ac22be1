from pathlib import Path

import pytest

from embedkit.datasets import DatasetNotFound, catalog, data_root, locate, open_dataset, state
from embedkit.errors import EmbedkitError
from tests.datasets.making import image, write


@pytest.mark.parametrize(
    ("name", "mark", "place"),
    [
        ("ham10000", "HAM10000_metadata.csv", "ham10000"),
        ("ham10000", "HAM10000_metadata.csv", "HAM10000"),
        ("ham10000", "HAM10000_metadata", "."),
        ("isic2018", "ISIC2018_Task3_Test_GroundTruth.csv", "ISIC2018"),
        ("isic2018", "ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv", "."),
        ("chest-xray", "train/NORMAL", "chest_xray"),
        ("chest-xray", "test/PNEUMONIA", "chest-xray"),
        ("chest-xray", "train/NORMAL", "ChestXRay2017/chest_xray"),
        ("chest-xray", "train/NORMAL", "chest_xray/chest_xray"),
        ("mini-mias", "Info.txt", "all-mias"),
        ("mini-mias", "Info.txt", "mini_mias"),
        ("hei-med", "labels.csv", "HEI-MED"),
        ("pneumoniamnist", "pneumoniamnist.npz", "."),
        ("pneumoniamnist", "pneumoniamnist_28.npz", "."),
        ("pneumoniamnist", "pneumoniamnist.npz", "medmnist"),
        ("pneumoniamnist-64", "pneumoniamnist_64.npz", "pneumoniamnist-64"),
        ("pneumoniamnist-64", "pneumoniamnist_64.npz", "pneumoniamnist_64"),
        ("pneumoniamnist-64", "pneumoniamnist_64.npz", "pneumoniamnist"),
    ],
)
def test_a_set_is_found_under_each_of_its_folders(tmp_path: Path, name: str, mark: str, place: str) -> None:
    card = catalog()[name]
    assert locate(card, tmp_path) is None
    assert state(card, tmp_path) == "absent"
    write(tmp_path / place / mark, "")
    assert locate(card, tmp_path) == tmp_path / place
    assert state(card, tmp_path) == "ready"


def test_a_folder_of_the_right_name_without_the_files_is_not_the_set(tmp_path: Path) -> None:
    image(tmp_path / "hei-med" / "a.png")
    assert state(catalog()["hei-med"], tmp_path) == "absent"


def test_a_general_file_name_beside_the_sets_is_not_a_set(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", "")
    write(tmp_path / "Info.txt", "")
    assert [state(catalog()[name], tmp_path) for name in ("hei-med", "mini-mias")] == ["absent", "absent"]


def test_one_size_is_not_taken_for_another(tmp_path: Path) -> None:
    write(tmp_path / "pneumoniamnist.npz", "")
    assert state(catalog()["pneumoniamnist-64"], tmp_path) == "absent"


def test_the_root_is_the_argument_then_the_variable_then_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDKIT_DATA", str(tmp_path / "sets"))
    assert data_root(Path("mine")) == tmp_path / "mine"
    assert data_root() == tmp_path / "sets"
    monkeypatch.setenv("EMBEDKIT_DATA", "")
    assert data_root() == tmp_path / "data"
    assert data_root(Path("~nobody-has-this-name/x")) == tmp_path / "~nobody-has-this-name/x"


def test_the_variable_is_where_a_set_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDKIT_DATA", str(tmp_path))
    image(tmp_path / "chest_xray/test/NORMAL/IM-0001-0001.jpeg")
    assert len(open_dataset("chest-xray")) == 1


def test_an_absent_set_says_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset("chest_xray", tmp_path)
    message = str(caught.value)
    for part in (
        str(tmp_path / "chest-xray"),
        str(tmp_path / "chest_xray"),
        "no login needed",
        "needs a login",
        "CC BY 4.0",
        "https://doi.org/10.17632/rscbjbr9sj",
        f"Put it in {tmp_path / 'chest-xray'}",
        "--root",
        "EMBEDKIT_DATA",
    ):
        assert part in message
    assert isinstance(caught.value, EmbedkitError)


def test_an_absent_open_set_that_may_not_be_fetched_names_its_address(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset("bloodmnist-128", tmp_path, fetch=False)
    file = catalog()["bloodmnist-128"].files[0]
    assert file.url in str(caught.value)
    assert file.md5 in str(caught.value)
    assert not list(tmp_path.iterdir())
