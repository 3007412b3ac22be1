"""A table whose columns ``path_NAME`` name the channels of each image."""

from pathlib import Path

import pytest

from embedkit import datasets
from embedkit.datasets import ImageSet, check
from embedkit.errors import EmbedkitError
from embedkit.images import split_channels
from tests.datasets.making import image, images, write

PATIENTS = ("p1", "p2", "p3")
HEADER = "path_nc,label,path_art,path_pv,group\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return images(tmp_path, *(f"{patient}/{phase}.png" for patient in PATIENTS for phase in ("nc", "art", "pv")))


def opened(folder: Path, text: str) -> ImageSet:
    return datasets.open_dataset(f"csv:{write(folder / 't.csv', text)}")


def rows(*patients: str) -> str:
    return "".join(f"{one}/nc.png,hcc,{one}/art.png,./{one}/pv.png,{one}\n" for one in patients)


def test_the_channels_stand_in_the_order_of_the_columns(folder: Path) -> None:
    found = opened(folder, HEADER + rows(*PATIENTS))
    assert list(found.table) == ["id", "path", "label", "group"]
    assert found.table["path"][0] == '#channels={"nc": "p1/nc.png", "art": "p1/art.png", "pv": "p1/pv.png"}'
    assert found.table["id"].tolist() == found.table["path"].tolist()
    assert found.facts["channels"] == ["nc", "art", "pv"]
    parts = split_channels(found.addresses()[1])
    assert parts == {phase: f"{folder}/p2/{phase}.png" for phase in ("nc", "art", "pv")}


def test_a_path_of_its_own_makes_the_others_plain_columns(folder: Path) -> None:
    found = opened(folder, "path,path_mask,path_raw\np1/nc.png,p1/art.png,p1/pv.png\n")
    assert found.table.loc[0, ["path", "path_mask"]].tolist() == ["p1/nc.png", "p1/art.png"]
    assert "channels" not in found.facts


def test_an_id_column_names_the_images(folder: Path) -> None:
    found = opened(folder, "id,path_a,path_b\nx,p1/nc.png,p1/art.png\ny,p2/nc.png,p2/art.png\n")
    assert found.table["id"].tolist() == ["x", "y"]


def test_frames_of_a_file_are_not_taken_apart(folder: Path) -> None:
    image(folder / "many.tif", frames=3)
    assert len(opened(folder, "path_a,path_b\nmany.tif#frame=0,many.tif#frame=2\n")) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path_a,path_b,path_c,path_d\na,b,c,d\n", r"t\.csv has 4 columns of paths .* an image has 3 channels"),
        ("path_a,label\nx,y\n", "has no column 'path'.*Is 'path_a' meant"),
        (HEADER + rows("p1") + ",hcc,,,p2\n", r"line 3: no channel has a path"),
        (HEADER + "p1/nc.png,hcc,../x.png,,p1\n", r"line 2: '\.\./x\.png' is outside"),
        (HEADER + "a,hcc,b,c,p1\n", "none of the 1 images of .* exists: looked for .*/a first"),
        (HEADER + rows("p1", "p1").replace("hcc", "cyst", 1), "is listed with different values of label"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, sentence: str, folder: Path) -> None:
    with pytest.raises(EmbedkitError, match=sentence):
        opened(folder, text)


def test_a_missing_phase_is_an_image_that_is_not_there(folder: Path) -> None:
    (folder / "p2/pv.png").unlink()
    text = HEADER + rows(*PATIENTS).replace("p3/art.png", "")
    assert len(opened(folder, text)) == 3
    found = check(f"csv:{folder / 't.csv'}")
    assert (found.images, found.present) == (3, 1)
    [missing] = found.findings
    assert (missing.what, missing.count) == ("images listed but not there", 2)
    assert [example.partition(" of ")[0] for example in missing.examples] == ["pv", "art"]


def test_images_of_the_same_files_in_the_same_order_are_there_twice(folder: Path) -> None:
    for patient in PATIENTS:
        for number, phase in enumerate(("nc", "art", "pv")):
            (folder / patient / f"{phase}.png").write_bytes(b"%d" % (number if patient != "p3" else -number))
    opened(folder, HEADER + rows(*PATIENTS))
    found = check(f"csv:{folder / 't.csv'}")
    assert {finding.what: finding.count for finding in found.findings} == {"images that are there twice or more": 1}
