import csv
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedkit import datasets
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from tests.datasets.making import image, images, write

NAMES = ("a.png", "b.png", "c.png")


def opened(folder: Path, text: str, root: Path | None = None, encoding: str = "utf-8") -> ImageSet:
    return datasets.open_dataset(f"csv:{write(folder / 't.csv', text, encoding)}", root)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return images(tmp_path, *NAMES, "x/d.png")


def test_all_columns(folder: Path) -> None:
    found = opened(
        folder,
        "group,path,split,label,age,site\n007,a.png,Training,nv,35,A\n8,x/d.png,dev,mel,,B\n8,./b.png,TEST,NA,40.5,\n",
    )
    table = found.table
    assert table["id"].tolist() == table["path"].tolist() == ["a.png", "x/d.png", "b.png"]
    assert table["split"].tolist() == ["train", "val", "test"]
    assert table["label"].tolist() == ["nv", "mel", "NA"]
    assert table["group"].tolist() == ["007", "8", "8"]
    np.testing.assert_array_equal(table["age"], [35, np.nan, 40.5])
    assert table["site"].fillna("-").tolist() == ["A", "B", "-"]
    assert list(table) == ["id", "path", "label", "split", "group", "age", "site"]
    assert list(table.index) == [0, 1, 2]
    assert found.targets == {"label": ("label",)}
    assert found.facts == {"group": "the column group of the table"}
    assert found.root == folder


def test_a_name_in_capitals_beside_the_plain_one_is_a_column_of_its_own(folder: Path) -> None:
    found = opened(folder, "path,group,Group\na.png,p,control\n")
    assert (found.table["group"][0], found.table["Group"][0]) == ("p", "control")


def test_paths_alone_are_enough(folder: Path) -> None:
    found = opened(folder, "path\na.png\n")
    assert list(found.table) == ["id", "path"]
    assert found.targets == {}


def test_a_label_column_that_is_empty_is_no_target(folder: Path) -> None:
    found = opened(folder, "path,label\na.png,\n")
    assert found.targets == {}
    assert found.table["label"].isna().all()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    labels=st.lists(
        st.sampled_from(
            ["01", "1.0", "NA", "None", "null", "nan", "-", " x ", 'a"b', "a,b", "a;b", "a\tb", "a\nb", "#"]
        )
        | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        min_size=3,
        max_size=3,
    ),
    separator=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_label_and_group_comes_back_as_it_was_written(
    folder: Path, labels: list[str], separator: str, encoding: str
) -> None:
    with (folder / "odd.csv").open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([("path", "label", "group"), *zip(NAMES, labels, reversed(labels), strict=True)])
    table = datasets.open_dataset(f"csv:{folder / 'odd.csv'}").table
    for column, written in (("label", labels), ("group", labels[::-1])):
        read = ["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in table[column]]
        assert read == written


def test_several_labels(folder: Path) -> None:
    found = opened(folder, "path,label:edema,label:mass,age\na.png,1,0,3\nb.png,0,,4\nc.png,1.0,1,5\n")
    assert found.targets == {"labels": ("edema", "mass")}
    assert found.table["edema"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found.table["mass"], [0, np.nan, 1])
    assert list(found.table) == ["id", "path", "edema", "mass", "age"]


def test_one_label_and_several(folder: Path) -> None:
    found = opened(folder, "path,label,label:mass\na.png,x,1\nb.png,y,0\n")
    assert found.targets == {"label": ("label",), "labels": ("mass",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,Split\na.png,test\n", "has a column 'Split' and none named 'split'.*rename it to 'split' if it is that"),
        ("path,label,GROUP\na.png,x,p\n", "a column 'GROUP' and none named 'group'"),
        ("path,Label\na.png,x\n", "a column 'Label' and none named 'label'"),
        ("path,label:mass\na.png,1\nb.png,yes\n", "line 3: 'yes' in 'label:mass' is not 0 or 1"),
        ("path,label:\na.png,1\n", "'label:' needs a name of its own"),
        ("path,label:age,age\na.png,1,30\n", "'label:age' needs a name of its own"),
        ("path,label:split\na.png,1\n", "'label:split' needs a name of its own"),
        ('path\n""\n', "line 2: the path is empty: write one"),
        ("path,label\na.png,x\n,y\n", "line 3: the path is empty"),
        ("path,split\na.png,train\nb.png,holdout\n", "line 3: the split 'holdout' is none of train, val, test"),
        ("path,label\na.png,x\nb.png,y\n./a.png,z\n", "lines 2, 4: 'a.png' is listed with different values of label"),
        ("path,group\na.png,x\na.png,y\n", "lines 2, 3: .*different values of group.*Keep one row per image"),
        ("path,split\na.png,train\na.png,test\n", "different values of split"),
        ("path,id\na.png,1\nb.png,1\n", "line 3: the id '1' stands further up too.*Give each image its own"),
        ("path,id\na.png,1\nb.png,\n", "line 3: the id is empty"),
        ("path\nq.png\nr.png\n", "none of the 2 images of .* exists: looked for .*/q.png first.*--root"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(EmbedkitError, match=message) as caught:
        opened(folder, text)
    assert str(folder / "t.csv") in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "../a.png",
        "x/../../a.png",
        "/etc/passwd",
        "//etc/passwd",
        "..\\a.png",
        "x\\..\\..\\a.png",
        "C:\\scans\\a.png",
        "\\\\server\\share\\a.png",
        "..",
        "./..",
        "../t.npz#train_images[0]",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused_with_the_remedy(folder: Path, written: str) -> None:
    with pytest.raises(EmbedkitError) as caught:
        opened(folder, f"path\na.png\n{written}\n")
    for part in ("line 3", f"'{written}' is outside {folder}", "--root"):
        assert part in str(caught.value)


def test_a_wider_root_lets_it_in(folder: Path) -> None:
    found = opened(folder, f"path\nx/d.png\n{folder / 'a.png'}\n", root=folder)
    assert found.table["path"].tolist() == ["x/d.png", "a.png"]
    inner = write(folder / "lists/t.csv", "path\na.png\n")
    assert list(datasets.open_dataset(f"csv:{inner}", folder).addresses()) == [str(folder / "a.png")]


def test_a_link_inside_is_the_users_business(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = image(tmp_path_factory.mktemp("elsewhere") / "z.png")
    (folder / "link").symlink_to(elsewhere.parent)
    assert opened(folder, "path\nlink/z.png\n").table["path"].tolist() == ["link/z.png"]


@pytest.mark.parametrize("written", ["b\0.png", "n" * 300 + ".png", "x" * 100_000])
def test_a_path_that_no_disk_holds_is_refused_or_kept_as_missing(folder: Path, written: str) -> None:
    if "\0" in written:
        with pytest.raises(EmbedkitError, match="not a text file"):
            opened(folder, f"path\na.png\n{written}\n")
        with pytest.raises(EmbedkitError, match="line 3: the path is no file name"):
            opened(folder, f"path\na.png\n{written}\n", encoding="utf-16")
    else:
        assert opened(folder, f"path\na.png\n{written}\n").table["path"].tolist() == ["a.png", written]


def test_a_missing_image_stays_a_row(folder: Path) -> None:
    assert opened(folder, "path,label\na.png,x\ngone.png,y\ngone.dcm,y\n").table["path"].tolist() == [
        "a.png",
        "gone.png",
        "gone.dcm",
    ]


def test_the_same_row_twice_is_one_and_is_counted(folder: Path) -> None:
    found = opened(folder, "path,label\na.png,x\nb.png,y\n./a.png,x\na.png,x\n")
    assert found.table["path"].tolist() == ["a.png", "b.png"]
    assert found.facts["repeated_rows"] == 2


def test_ids_of_the_users_own(folder: Path) -> None:
    image(folder / "s.tif", frames=2)
    found = opened(folder, "id,path\n001,a.png\n002,s.tif\n003,b.png\n")
    assert found.table["id"].tolist() == ["001", "002#frame=0", "002#frame=1", "003"]
    assert found.table["path"].tolist() == ["a.png", "s.tif#frame=0", "s.tif#frame=1", "b.png"]


def test_frames_become_rows_and_a_named_frame_stays_one(folder: Path) -> None:
    image(folder / "s.tif", frames=3)
    image(folder / "t.tif", frames=3)
    found = opened(folder, "path,label\ns.tif,x\nt.tif#frame=2,y\n")
    assert found.table["path"].tolist() == ["s.tif#frame=0", "s.tif#frame=1", "s.tif#frame=2", "t.tif#frame=2"]
    assert found.table["label"].tolist() == ["x", "x", "x", "y"]
    with pytest.raises(EmbedkitError, match=r"lines 2, 3: 's.tif#frame=1' is listed with different values of label"):
        opened(folder, "path,label\ns.tif,x\ns.tif#frame=1,y\n")


def test_rows_of_an_npz_are_addresses(data_root: Path, tmp_path: Path) -> None:
    name = "pneumoniamnist_28.npz#val_images[3]"
    assert list(opened(tmp_path, f"path\n{name}\n", root=data_root).addresses()) == [str(data_root / name)]


def test_a_spreadsheet_of_europe(folder: Path) -> None:
    text = "path;label;größe\na.png;nævus;1,5\nb.png;mélanome;2,5\n"
    table = opened(folder, text, encoding="latin-1").table
    assert table["label"].tolist() == ["nævus", "mélanome"]
    assert table["größe"].tolist() == ["1,5", "2,5"]


def test_a_folder_or_nothing_instead_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"is a folder, not a table. For a folder of images write folder:"):
        datasets.open_dataset(f"csv:{tmp_path}")
    with pytest.raises(EmbedkitError, match=r"there is no file .*absent\.csv"):
        datasets.open_dataset(f"csv:{tmp_path / 'absent.csv'}")


def test_a_catalog_row_is_all_that_a_set_with_a_table_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_targets = {"grade": ("label",)}
    card = replace(datasets.catalog()["hei-med"], layout="table", targets=given_targets, folders=(".",))
    monkeypatch.setattr("embedkit.datasets.open.catalog", lambda: {card.name: card})
    write(folder / "labels.csv", "path,label\na.png,2\n")
    found = datasets.open_dataset("hei-med", folder)
    assert found.targets == given_targets
    assert found.table["label"].tolist() == ["2"]


def test_hundreds_of_columns_are_kept_without_a_warning(folder: Path) -> None:
    names = [f"c{number}" for number in range(150)]
    many = [f"label:l{number}" for number in range(150)]
    row = ["a.png", *map(str, range(150)), *("01"[number % 2] for number in range(150))]
    text = "\n".join([",".join(["path", *names, *many]), ",".join(row)]) + "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = opened(folder, text).table
    assert table[names].iloc[0].tolist() == list(range(150))
    assert table.shape == (1, 302)
