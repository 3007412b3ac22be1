import json
import sys

import pytest

from embedkit import images
from embedkit.datasets import DatasetNotFound, open_dataset
from embedkit.errors import EmbedkitError

from ..making import image, write
from ..making import images as many

FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["NORMAL", "PNEUMONIA"], "_type": "ClassLabel"},
    "findings": {"feature": {"names": ["edema", "mass"], "_type": "ClassLabel"}, "_type": "List"},
}


def table(tmp_path, rows, features=FEATURES):
    """Return a table with the schema that `datasets` 5.2.0 writes, checked against it by hand."""
    pa = pytest.importorskip("pyarrow")
    data = [image(tmp_path / f".made/{row}.png").read_bytes() + bytes([row]) for row in rows]
    columns = {
        "image": pa.array(
            [{"bytes": one, "path": f"{row}.png"} for row, one in zip(rows, data, strict=True)],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "label": pa.array([(-1, 0, 1)[row % 3] for row in rows], pa.int64()),
        "findings": pa.array([[[0], [0, 1], None][row % 3] for row in rows], pa.list_(pa.int64())),
        "patient": [f"p{row // 2}" for row in rows],
        "age": pa.array([None if row == 1 else 40 + row for row in rows], pa.int64()),
        "box": [[1.0, 2.0] for _ in rows],
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if features else {}
    return pa.table(columns).replace_schema_metadata(metadata)


def arrow(path, whole):
    import pyarrow as pa

    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=2)


def saved(tmp_path):
    root = tmp_path / "saved"
    for split, shards in {"train": [[0, 1], [2]], "test": [[3, 4]]}.items():
        names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
        for name, rows in zip(names, shards, strict=True):
            arrow(root / split / name, table(tmp_path, rows))
        write(root / split / "state.json", json.dumps({"_data_files": [{"filename": name} for name in names]}))
    arrow(root / "train" / "cache-of-a-map.arrow", table(tmp_path, [0]))
    write(root / "dataset_dict.json", '{"splits": ["train", "test"]}')
    return root


def in_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    root = tmp_path / "parquet"
    for name, rows in {
        "test-00000-of-00001": [3, 4],
        "train-00000-of-00002": [0, 1],
        "train-00001-of-00002": [2],
    }.items():
        (root / "data").mkdir(parents=True, exist_ok=True)
        parquet.write_table(table(tmp_path, rows), root / "data" / f"{name}.parquet", row_group_size=1)
    return root


@pytest.mark.parametrize("make", [saved, in_parquet])
def test_columns_become_labels_flags_and_metadata(tmp_path, make):
    opened = open_dataset(f"hf:{make(tmp_path)}")
    rows = opened.table.set_index("file_name").sort_index()
    assert opened.targets == {"label": ("label",), "findings": ("edema", "mass")}
    assert rows["label"].fillna("").tolist() == ["", "NORMAL", "PNEUMONIA", "", "NORMAL"]
    assert rows[["edema", "mass"]].fillna(-1).to_numpy().tolist() == [[1, 0], [1, 1], [-1, -1], [1, 0], [1, 1]]
    assert rows["split"].tolist() == ["train"] * 3 + ["test"] * 2
    assert rows["age"].fillna(0).tolist() == [40, 0, 42, 43, 44]
    assert rows["patient"].tolist() == ["p0", "p0", "p1", "p1", "p2"]
    assert opened.facts == {"columns_left_out": ["box"]}
    assert opened.table["id"].is_unique
    for address, name in zip(opened.addresses(), opened.table["file_name"], strict=True):
        alone = tmp_path / "alone.png"
        alone.write_bytes((tmp_path / ".made" / name).read_bytes() + bytes([int(name[0])]))
        assert images.load(address)[1] == images.digest(str(alone))


def test_without_the_publishers_features_numbers_are_labels(tmp_path):
    pytest.importorskip("pyarrow")
    arrow(tmp_path / "x" / "a.arrow", table(tmp_path, [0, 1, 2], features=None))
    opened = open_dataset(f"hf:{tmp_path / 'x'}")
    assert opened.table["label"].tolist() == ["-1", "0", "1"]
    assert opened.facts == {"columns_left_out": ["box", "findings"]}
    assert "split" not in opened.table


def test_one_file_alone_and_the_lists_of_older_releases(tmp_path):
    pytest.importorskip("pyarrow")
    old = {**FEATURES, "findings": [{"names": ["age", "mass"], "_type": "ClassLabel"}]}
    arrow(tmp_path / "x-test.arrow", table(tmp_path, [3, 4], features=old))
    opened = open_dataset(f"hf:{tmp_path / 'x-test.arrow'}")
    assert opened.root == tmp_path
    assert opened.targets["findings"] == ("findings_age", "mass")
    assert opened.table[["age", "findings_age", "split"]].to_numpy().tolist() == [[43, 1, "test"], [44, 1, "test"]]


def test_files_that_are_cut_or_missing_are_refused(tmp_path):
    root = saved(tmp_path)
    shard = root / "train" / "data-00001-of-00002.arrow"
    whole = shard.read_bytes()
    for size in (0, 5, len(whole) // 2, len(whole) - 8):
        shard.write_bytes(whole[:size])
        with pytest.raises(EmbedkitError, match=r"data-00001-of-00002\.arrow cannot be read"):
            open_dataset(f"hf:{root}")
    shard.unlink()
    with pytest.raises(EmbedkitError, match=r"state\.json names data-00001-of-00002\.arrow, which is not there"):
        open_dataset(f"hf:{root}")
    write(root / "train" / "state.json", "{}")
    with pytest.raises(EmbedkitError, match="is not what save_to_disk writes"):
        open_dataset(f"hf:{root}")
    root = in_parquet(tmp_path)
    (root / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(EmbedkitError, match="holds 1 of the 2 shards of data/train"):
        open_dataset(f"hf:{root}")


def test_a_column_of_images_that_is_not_clear_is_asked_for(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    plain = table(tmp_path, [0, 1], features=None)
    for names, words in {
        ("scan", "label"): None,
        ("left", "right"): r"several columns of images \(left, right\)",
        ("my image", "label"): "named 'my image': rename it",
        ("label", "label2"): "no column of images: its columns are label, label2",
    }.items():
        source = {"left": "image", "right": "image", "scan": "image", "my image": "image"}
        chosen = plain.select([source.get(name, "label") for name in names]).rename_columns(list(names))
        (tmp_path / "x").mkdir(exist_ok=True)
        parquet.write_table(chosen, tmp_path / "x" / "a.parquet")
        if words is None:
            assert list(open_dataset(f"hf:{tmp_path / 'x'}").table["path"]) == [
                "a.parquet#scan[0]",
                "a.parquet#scan[1]",
            ]
            continue
        with pytest.raises(EmbedkitError, match=words):
            open_dataset(f"hf:{tmp_path / 'x'}")


def test_a_class_number_beyond_its_names_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    short = {**FEATURES, "label": {"names": ["NORMAL"], "_type": "ClassLabel"}}
    arrow(tmp_path / "x" / "a.arrow", table(tmp_path, [2], features=short))
    with pytest.raises(EmbedkitError, match="'label' holds 1, and its names are NORMAL"):
        open_dataset(f"hf:{tmp_path / 'x'}")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", "PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EmbedkitError, match=r"a\.parquet: reading Parquet and Arrow needs pyarrow.*embedkit\[hf\]"):
        open_dataset(f"hf:{tmp_path}")


def test_an_image_folder_with_metadata(tmp_path):
    many(tmp_path, "train/0.png", "train/sub/1.png", "train/other.png", "test/0.png")
    write(tmp_path / "train" / "metadata.csv", "file_name,label,age\n0.png,b,3\nsub/1.png,a,4\n")
    write(
        tmp_path / "test" / "metadata.jsonl",
        '{"file_name": "0.png", "label": "a", "age": 5, "objects": {"box": [1]}}\n\n'
        '{"file_name": "gone.png", "label": null}\n',
    )
    opened = open_dataset(f"hf:{tmp_path}")
    rows = opened.table.set_index("path").sort_index()
    assert rows.index.tolist() == ["test/0.png", "test/gone.png", "train/0.png", "train/sub/1.png"]
    assert rows["label"].fillna("").tolist() == ["a", "", "b", "a"]
    assert rows["split"].tolist() == ["test", "test", "train", "train"]
    assert rows["age"].fillna(0).tolist() == [5, 0, 3, 4]
    assert opened.facts["unlisted"] == 1
    write(tmp_path / "metadata.csv", "file_name\ntest/0.png\n")
    with pytest.raises(EmbedkitError, match=r"'test/0\.png' is listed by two of"):
        open_dataset(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metadata.csv", "image,label\n0.png,a\n", "no column 'path'|no column 'file_name'"),
        ("metadata.csv", "file_name,label\n../0.png,a\n", r"line 2: '\.\./0\.png' is outside"),
        ("metadata.jsonl", '{"label": "a"}\n', "line 1: it has no 'file_name'"),
        ("metadata.jsonl", '{"file_name": "0.png"\n', "line 1: no JSON object"),
        ("metadata.jsonl", "[1]\n", "line 1: no JSON object"),
        ("metadata.jsonl", "\n", "is empty"),
    ],
)
def test_metadata_that_is_wrong_is_named(tmp_path, name, text, words):
    many(tmp_path, "set/0.png", "0.png")
    write(tmp_path / "set" / name, text)
    with pytest.raises(EmbedkitError, match=words):
        open_dataset(f"hf:{tmp_path / 'set'}")


def test_class_folders_and_nothing_at_all(tmp_path):
    many(tmp_path, "set/train/a/0.png", "set/test/b/1.png")
    assert open_dataset(f"hf:{tmp_path / 'set'}").table["label"].tolist() == ["b", "a"]
    with pytest.raises(DatasetNotFound, match="no folder"):
        open_dataset(f"hf:{tmp_path / 'gone'}")
