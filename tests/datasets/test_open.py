import hashlib
import re
from pathlib import Path

import pytest

from embedkit import images
from embedkit.datasets import dataset_name, open_dataset
from embedkit.datasets.layouts import LAYOUTS
from embedkit.errors import EmbedkitError
from tests.datasets.making import image, write
from tests.datasets.making import images as make


def test_every_module_of_layouts_reads_something() -> None:
    assert set(LAYOUTS) == {
        "cbis_ddsm",
        "described",
        "dicom",
        "folder",
        "hf",
        "medmnist",
        "mini_mias",
        "table",
        "wds",
    }


def test_the_name_of_a_set_of_the_catalog() -> None:
    assert dataset_name("chest_xray") == "chest-xray"
    assert dataset_name("pneumoniamnist_28") == "pneumoniamnist"


def test_the_name_of_a_folder_tells_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "My Scans (2024)"
    folder.mkdir()
    six = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]
    name = f"folder-my-scans-2024-{six}"
    assert dataset_name(f"folder:{folder}") == name
    assert dataset_name(f"folder:{folder}/") == name
    assert dataset_name(f"folder:{folder}/x/..") == name
    (tmp_path / "link").symlink_to(folder)
    assert dataset_name(f"folder:{tmp_path / 'link'}") == name
    monkeypatch.chdir(folder)
    assert dataset_name("folder:.") == name


def test_the_name_of_a_table_tells_its_place(tmp_path: Path) -> None:
    path = tmp_path / "All_Cases.csv"
    six = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:6]
    assert dataset_name(f"csv:{path}") == f"csv-all-cases-{six}"


@pytest.mark.parametrize("name", ["影像", "x" * 200, "..a", "a/b"])
def test_a_name_is_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    assert re.fullmatch(r"folder(-[a-z0-9]+)*-[0-9a-f]{6}", dataset_name(f"folder:{tmp_path / name}"))
    assert len(dataset_name(f"folder:{tmp_path / name}")) < 60


@pytest.mark.parametrize("opener", [dataset_name, open_dataset])
@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        (
            "ham1000",
            ("unknown dataset 'ham1000'", "Did you mean ham10000", "embedkit datasets", "folder:PATH", "csv:PATH"),
        ),
        ("chestxray", ("Did you mean chest-xray",)),
        ("pneumoniamnist-32", ("pneumoniamnist-",)),
        ("", ("unknown dataset ''",)),
        ("zip:a.zip", ("unknown dataset 'zip:a.zip'",)),
        ("folder:", ("'folder:' names nothing", "folder:scans")),
        ("csv: ", ("names nothing", "csv:scans")),
        ("folder:a\0b", ("names nothing",)),
    ],
)
def test_a_spec_that_names_nothing_says_what_would(opener, spec: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(EmbedkitError) as caught:
        opener(spec)
    for part in parts:
        assert part in str(caught.value)


def test_addresses_are_absolute_and_load_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "set/a/1.png", "set/b/2.png")
    monkeypatch.chdir(tmp_path)
    opened = open_dataset("folder:set")
    monkeypatch.chdir("/")
    assert list(opened.addresses()) == [str(tmp_path / "set/a/1.png"), str(tmp_path / "set/b/2.png")]
    for address in opened.addresses():
        assert images.load(address)[0].shape == (2, 2, 3)


def test_a_table_is_opened_from_its_folder_or_from_the_root(tmp_path: Path) -> None:
    image(tmp_path / "scans/a.png")
    write(tmp_path / "lists/t.csv", "path\na.png\n")
    write(tmp_path / "scans/t.csv", "path\na.png\n")
    assert [*open_dataset(f"csv:{tmp_path / 'scans/t.csv'}").addresses()] == [str(tmp_path / "scans/a.png")]
    opened = open_dataset(f"csv:{tmp_path / 'lists/t.csv'}", root=tmp_path / "scans")
    assert list(opened.addresses()) == [str(tmp_path / "scans/a.png")]
    assert opened.name == dataset_name(f"csv:{tmp_path / 'lists/t.csv'}")
    with pytest.raises(EmbedkitError, match=r"none of the 1 images .* exists"):
        open_dataset(f"csv:{tmp_path / 'lists/t.csv'}")


@pytest.mark.parametrize("name", ["ham10000", "isic2018", "chest-xray", "mini-mias", "hei-med", "pneumoniamnist"])
def test_the_real_sets_keep_the_contract(data_root: Path, name: str) -> None:
    opened = open_dataset(name, data_root, fetch=False)
    table = opened.table
    assert opened.name == name
    assert list(table.index) == list(range(len(table)))
    assert table["id"].is_unique
    assert table["path"].is_unique
    for column in table:
        values = table[column].dropna()
        assert values.map(type).eq(str).all() or values.dtype.kind in "iuf"
        assert not values.map(lambda value: value == "").any()
    for columns in opened.targets.values():
        assert set(columns) <= set(table.columns)
    assert next(iter(opened.targets.values())) == ("label",)
    assert "split" not in table or set(table["split"]) <= {"train", "val", "test"}
    assert {"licence", "citation", "homepage", "modality", "resolution", "group"} <= set(opened.facts)
    assert not {"missing", "unlisted"} & set(opened.facts)
    pixels, _ = images.load(opened.addresses()[len(opened) // 2])
    assert pixels.shape[2] == 3
    again = open_dataset(name, data_root, fetch=False)
    assert again.table.equals(table)


@pytest.mark.parametrize("scheme", ["folder", "csv", "npz"])
def test_what_is_elsewhere_goes_into_a_csv(scheme: str) -> None:
    with pytest.raises(EmbedkitError, match=f"{scheme}: reads what is on this machine.*column path"):
        open_dataset(f"{scheme}:s3://clinic/images")


@pytest.mark.parametrize(
    ("name", "told"),
    [("mine.csv", "write csv:"), ("scans", "write folder:"), ("all.npz", "write npz:"), ("a.png", "folder it lies in")],
)
def test_a_place_without_its_scheme_is_told_how_to_write_it(tmp_path: Path, name: str, told: str) -> None:
    place = tmp_path / name
    place.write_bytes(b"") if place.suffix else place.mkdir()
    with pytest.raises(EmbedkitError, match=f"there is such a place: .*{told}"):
        open_dataset(str(place))
