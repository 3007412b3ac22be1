"""The published layouts: the real sets against figures read from the files, and irregular miniatures."""

from pathlib import Path

import pandas as pd
import pytest

from embedkit.datasets import open_dataset
from embedkit.errors import EmbedkitError
from tests.datasets.making import images, write

HAM_HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"


def row(table: pd.DataFrame, name: str) -> dict[str, object]:
    return table.set_index("id").loc[name].dropna().to_dict()


def test_ham10000_real(data_root: Path) -> None:
    ham = open_dataset("ham10000", data_root)
    assert len(ham) == 5984
    assert ham.table["label"].value_counts().to_dict() == {
        "nv": 4323,
        "bkl": 583,
        "mel": 491,
        "bcc": 264,
        "akiec": 183,
        "vasc": 80,
        "df": 60,
    }
    assert ham.table["group"].nunique() == 5984
    assert ham.table["age"].isna().sum() == 36
    # Officially these are the training images of ISIC 2018 Task 3.
    assert set(ham.table["split"]) == {"train"}
    assert ham.targets == {"dx": ("label",)}
    assert ham.facts["group"] == "lesion (lesion_id)"
    assert row(ham.table, "ISIC_0024306") == {
        "path": "HAM10000_images_part_1/ISIC_0024306.jpg",
        "label": "nv",
        "split": "train",
        "group": "HAM_0000550",
        "dx_type": "follow_up",
        "age": 45.0,
        "sex": "male",
        "localization": "trunk",
        "dataset": "vidir_molemax",
    }
    assert {Path(path).parent.name for path in ham.table["path"]} == {
        "HAM10000_images_part_1",
        "HAM10000_images_part_2",
    }


def test_ham10000_with_the_full_metadata(data_root: Path, tmp_path: Path) -> None:
    """10,015 rows, several images of a lesion; an image that is not on the disk stays a row."""
    place = tmp_path / "HAM10000"
    place.mkdir()
    (place / "HAM10000_metadata").write_bytes((data_root / "ham10000/HAM10000_metadata_full.csv").read_bytes())
    for part in ("HAM10000_images_part_1", "HAM10000_images_part_2"):
        (place / part).symlink_to(data_root / "ham10000" / part)
    ham = open_dataset("ham10000", tmp_path)
    assert len(ham) == 10_015
    assert ham.table["group"].nunique() == 7470
    assert ham.facts["missing"] == 10_015 - 5984
    assert "unlisted" not in ham.facts
    on_disk = [Path(address).exists() for address in ham.addresses()]
    assert sum(on_disk) == 5984
    assert ham.table["path"].is_unique


def test_ham10000_keeps_a_missing_image_and_counts_an_unlisted_one(tmp_path: Path) -> None:
    place = tmp_path / "ham10000"
    images(place, "HAM10000_images_part_1/I1.jpg", "HAM10000_images_part_2/I2.jpg", "HAM10000_images_part_2/I9.jpg")
    images(place, "HAM10000_segmentations/I2_segmentation.png")
    rows = "L1,I1,nv,histo,5,male,back,x\nL1,I2,nv,histo,,female,back,x\nL2,I3,mel,histo,60,male,ear,y\n"
    write(place / "HAM10000_metadata.csv", HAM_HEADER + rows)
    ham = open_dataset("ham10000", tmp_path)
    assert ham.table["id"].tolist() == ["I1", "I2", "I3"]
    assert ham.table["path"].tolist() == [
        "HAM10000_images_part_1/I1.jpg",
        "HAM10000_images_part_2/I2.jpg",
        "HAM10000_images_part_1/I3.jpg",
    ]
    assert ham.table["group"].tolist() == ["L1", "L1", "L2"]
    assert ham.facts["missing"] == 1
    assert ham.facts["unlisted"] == 1


@pytest.mark.parametrize("folder", ["", "HAM10000_images/"])
def test_ham10000_images_in_one_folder_or_flat(tmp_path: Path, folder: str) -> None:
    images(tmp_path / "HAM10000", f"{folder}I1.jpg")
    write(tmp_path / "HAM10000/HAM10000_metadata.tab", HAM_HEADER.replace(",", "\t") + "L1\tI1\tnv\th\t5\tm\tb\tx\n")
    assert open_dataset("ham10000", tmp_path).table["path"].tolist() == [f"{folder}I1.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HAM_HEADER + "L1,I1,nv,h,5,m,b,x\n", "lists 1 images, and none of them is under .*looked for I1.jpg.*Unpack"),
        (HAM_HEADER + "L1,X,nv,h,5,m,b,x\nL1,X,nv,h,5,m,b,x\n", "lists 'X' twice"),
        ("image_id,dx\nX,nv\n", "has no column 'lesion_id'"),
    ],
)
def test_ham10000_that_is_not_right(tmp_path: Path, text: str, message: str) -> None:
    images(tmp_path / "ham10000", "X.jpg")
    write(tmp_path / "ham10000/HAM10000_metadata.csv", text)
    with pytest.raises(EmbedkitError, match=message):
        open_dataset("ham10000", tmp_path)


def test_isic2018_real(data_root: Path) -> None:
    isic = open_dataset("isic2018", data_root)
    assert len(isic) == 1512
    counts = {"nv": 909, "bkl": 217, "mel": 171, "bcc": 93, "df": 44, "akiec": 43, "vasc": 35}
    assert isic.table["label"].value_counts().to_dict() == counts
    assert set(isic.table["split"]) == {"test"}
    assert list(isic.table) == ["id", "path", "label", "split"]
    assert row(isic.table, "ISIC_0034526") == {
        "path": "ISIC2018_Task3_Test_Input/ISIC_0034526.jpg",
        "label": "bkl",
        "split": "test",
    }
    assert set(isic.table["label"]) == set(open_dataset("ham10000", data_root).table["label"])


def test_isic2018_as_the_publisher_unpacks_it(tmp_path: Path) -> None:
    images(tmp_path, "ISIC2018_Task3_Test_Input/A.jpg", "other/B.png")
    truth = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nA,0,0,0,1,0,0,0\n"
    write(tmp_path / "ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv", truth)
    isic = open_dataset("isic2018", tmp_path)
    assert isic.table.to_dict("list") == {
        "id": ["A"],
        "path": ["ISIC2018_Task3_Test_Input/A.jpg"],
        "label": ["akiec"],
        "split": ["test"],
    }
    assert "unlisted" not in isic.facts


@pytest.mark.parametrize("hot", ["0,0,0,0,0,0,0", "1,1,0,0,0,0,0", "0.5,0,0,0,0,0,0", ",,,,,,"])
def test_isic2018_needs_one_class_per_image(tmp_path: Path, hot: str) -> None:
    images(tmp_path, "isic2018/A.jpg")
    truth = f"image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nB,0,0,0,1,0,0,0\nA,{hot}\n"
    write(tmp_path / "isic2018/ISIC2018_Task3_Test_GroundTruth.csv", truth)
    with pytest.raises(EmbedkitError, match=r"line 3: 'A' needs 1.0 in exactly one class"):
        open_dataset("isic2018", tmp_path)


def test_chest_xray_real(data_root: Path) -> None:
    chest = open_dataset("chest-xray", data_root)
    counts = chest.table.groupby(["split", "label"]).size().to_dict()
    assert counts == {
        ("train", "NORMAL"): 1341,
        ("train", "PNEUMONIA"): 3875,
        ("test", "NORMAL"): 234,
        ("test", "PNEUMONIA"): 390,
    }
    kinds = chest.table.groupby("subtype")["label"].agg(["size", "unique"])
    assert kinds["size"].to_dict() == {"bacteria": 2772, "normal": 1575, "virus": 1493}
    assert [list(labels) for labels in kinds["unique"]] == [["PNEUMONIA"], ["NORMAL"], ["PNEUMONIA"]]
    assert chest.targets == {"label": ("label",), "subtype": ("subtype",)}
    assert not chest.table.isna().any().any()
    assert "from the file name" in chest.facts["group"]


def test_chest_xray_patients_are_numbered_apart_for_each_kind(data_root: Path) -> None:
    """With the number alone 170 patients would be in train and in test; with the kind, none is."""
    table = open_dataset("chest-xray", data_root).table
    sick = table[table["label"] == "PNEUMONIA"]
    number = sick["group"].str.extract(r"^person(\d+)_", expand=False)
    assert (sick.groupby(number)["split"].nunique() > 1).sum() == 170
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert table["group"].nunique() == 4082
    assert table.groupby("label")["group"].nunique().to_dict() == {"NORMAL": 1436, "PNEUMONIA": 2646}


@pytest.mark.parametrize(
    ("file", "group", "subtype"),
    [
        ("train/PNEUMONIA/person447_virus_921_1.jpeg", "person447_virus", "virus"),
        ("val/PNEUMONIA/person1946_bacteria_4874.jpeg", "person1946_bacteria", "bacteria"),
        ("train/NORMAL/IM-0115-0001.jpeg", "IM-0115", "normal"),
        ("train/NORMAL/IM-0429-0001-0002.jpeg", "IM-0429", "normal"),
        ("test/NORMAL/NORMAL2-IM-0927-0001.jpeg", "NORMAL2-IM-0927", "normal"),
        ("train/NORMAL/NORMAL2-IM-0651-0004.jpeg", "NORMAL2-IM-0651", "normal"),
        ("test/PNEUMONIA/BACTERIA-1135262-0003.jpeg", "1135262", "bacteria"),
        ("test/PNEUMONIA/VIRUS-1056329-0001.jpeg", "1056329", "virus"),
        ("test/NORMAL/NORMAL-11419-0001.jpeg", "11419", "normal"),
        ("test/NORMAL/scan.jpeg", None, "normal"),
        ("test/PNEUMONIA/person1_fungus_2.jpeg", None, None),
    ],
)
def test_chest_xray_names(tmp_path: Path, file: str, group: str | None, subtype: str | None) -> None:
    images(tmp_path / "chest_xray", file, "train/NORMAL/IM-1-1.jpeg")
    images(tmp_path / "chest_xray", "__MACOSX/train/NORMAL/IM-2-1.jpeg", "chest_xray/train/NORMAL/IM-3-1.jpeg")
    table = open_dataset("chest-xray", tmp_path).table
    assert len(table) == 2
    found = row(table, file)
    assert (found.get("group"), found.get("subtype")) == (group, subtype)
    assert found["split"] == file.split("/", maxsplit=1)[0]


def test_chest_xray_without_images(tmp_path: Path) -> None:
    (tmp_path / "chest_xray/train/NORMAL").mkdir(parents=True)
    with pytest.raises(EmbedkitError, match=r"no images in the folders of the set under .*unpack them there"):
        open_dataset("chest-xray", tmp_path)


def test_mini_mias_real(data_root: Path) -> None:
    mias = open_dataset("mini-mias", data_root)
    table = mias.table
    assert len(table) == 322
    assert table["label"].value_counts().to_dict() == {"D": 112, "F": 106, "G": 104}
    assert table["abnormal"].value_counts().to_dict() == {"normal": 207, "abnormal": 115}
    assert table["severity"].fillna("none").value_counts().to_dict() == {"none": 207, "B": 63, "M": 52}
    assert table.groupby("group")["laterality"].agg(list).map(tuple).value_counts().to_dict() == {
        ("right", "left"): 161
    }
    assert mias.targets["tissue"] == ("label",)
    assert list(mias.targets) == ["tissue", "abnormal", "abnormality", "severity"]
    assert row(table, "mdb001") == {
        "path": "mdb001.png",
        "label": "G",
        "group": "patient001",
        "abnormal": "abnormal",
        "abnormality": "CIRC",
        "severity": "B",
        "laterality": "right",
        "x": 535.0,
        "y": 425.0,
        "radius": 197.0,
    }
    assert row(table, "mdb322")["group"] == "patient161"


@pytest.mark.parametrize(
    ("film", "severity", "place"),
    [
        ("mdb005", "B", (477, 133, 30)),  # two findings: the first is kept
        ("mdb144", "M", (233, 994, 29)),  # benign first, then malignant: the film is malignant
        ("mdb216", "M", None),  # *NOTE 3*
        ("mdb059", "B", None),  # no place given
        ("mdb003", None, None),  # normal
    ],
)
def test_mini_mias_irregular_lines(
    data_root: Path, film: str, severity: str | None, place: tuple[int, int, int] | None
) -> None:
    found = row(open_dataset("mini-mias", data_root).table, film)
    assert found.get("severity") == severity
    assert (found.get("x"), found.get("y"), found.get("radius")) == (place or (None, None, None))


def test_mini_mias_as_published_in_pgm(tmp_path: Path) -> None:
    images(tmp_path / "all-mias", "mdb001.pgm", "mdb001.png", "mdb003.pgm")
    write(tmp_path / "all-mias/Info.txt", "INFORMATION:\r\n\r\nmdb001 G CIRC B 535 425 197\r\nmdb002 D NORM \r\n")
    mias = open_dataset("mini-mias", tmp_path)
    assert mias.table["path"].tolist() == ["mdb001.pgm", "mdb002.pgm"]
    assert mias.facts["missing"] == 1
    assert mias.facts["unlisted"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mdb001 G CIRC B 535 425 197\nmdb002 X NORM\n", "line 2: 'mdb002 X NORM' is no line of the published file"),
        ("mdb001 G CIRC\n", "line 1: .*no line of the published"),
        ("nothing here\n", "lists no films .*fetch it anew"),
    ],
)
def test_mini_mias_that_is_not_right(tmp_path: Path, text: str, message: str) -> None:
    images(tmp_path / "mias", "mdb001.pgm")
    write(tmp_path / "mias/Info.txt", text)
    with pytest.raises(EmbedkitError, match=message):
        open_dataset("mini-mias", tmp_path)


def test_hei_med_real(data_root: Path) -> None:
    hei = open_dataset("hei-med", data_root)
    assert len(hei) == 169
    assert hei.table["label"].value_counts().to_dict() == {"0": 115, "1": 54}
    assert hei.table["microaneurysm"].value_counts().to_dict() == {"0": 151, "1": 18}
    assert hei.targets == {
        "exudate": ("label",),
        "microaneurysm": ("microaneurysm",),
        "has_gnd": ("has_gnd",),
    }
    assert hei.table["group"].nunique() == 169
    assert row(hei.table, "(00000003)") == {
        "path": "images/(00000003).jpg",
        "label": "1",
        "group": "(00000003)",
        "microaneurysm": "0",
        "has_gnd": "1",
        "sex": "F",
        "race": "CAUCASIAN",
        "diabetes": "TYPE II",
        "quality": 0.3293741,
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("../x.jpg,1,0,0,1\n", "line 2: '../x.jpg' is outside"),
        ("a.jpg,1,0,0,1\nb.jpg,1,0,0,1\n", "lists '1' twice"),
    ],
)
def test_hei_med_that_is_not_right(tmp_path: Path, rows: str, message: str) -> None:
    write(tmp_path / "hei-med/labels.csv", "file,image_id,exudate,microaneurysm,has_gnd\n" + rows)
    with pytest.raises(EmbedkitError, match=message):
        open_dataset("hei-med", tmp_path)
