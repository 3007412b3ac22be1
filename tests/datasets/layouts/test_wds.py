import io
import json
import random
import tarfile

import numpy as np
import pytest

from embedkit import images
from embedkit.datasets import DatasetNotFound, open_dataset
from embedkit.errors import EmbedkitError

from ..making import image


def png(tmp_path, number):
    return image(tmp_path / f".made/{number}.png").read_bytes() + bytes([number])


def tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def sample(tmp_path, key, label, **more):
    number = int(key.rpartition("/")[2])
    data = json.dumps({"age": 30 + number, "group": f"p{number // 2}", "box": [1, 2], **more}).encode()
    return [(f"{key}.png", png(tmp_path, number)), (f"{key}.cls", str(label).encode()), (f"{key}.json", data)]


@pytest.fixture
def shards(tmp_path):
    root = tmp_path / "set"
    tar(root / "train-000000.tar", [*sample(tmp_path, "a/0001", 1), *sample(tmp_path, "a/0002", 0, sex="F")])
    tar(root / "test-000000.tar", [*sample(tmp_path, "0001", 0), ("0003.png", png(tmp_path, 3)), ("0004.cls", b"1")])
    return root


def test_samples_become_rows_and_their_images_stay_in_the_shards(shards, tmp_path):
    opened = open_dataset(f"wds:{shards}")
    table = opened.table
    assert list(table["id"]) == [
        "test-000000.tar/0001",
        "test-000000.tar/0003",
        "train-000000.tar/a/0001",
        "train-000000.tar/a/0002",
    ]
    assert list(table["label"].fillna("")) == ["0", "", "1", "0"]
    assert list(table["split"]) == ["test", "test", "train", "train"]
    assert list(table["group"].fillna("")) == ["p0", "", "p0", "p1"]
    assert list(table["age"].fillna(0)) == [31, 0, 31, 32]
    assert opened.targets == {"label": ("label",)}
    assert opened.facts["samples_without_image"] == 1
    assert opened.facts["columns_left_out"] == ["box"]
    for address, number in zip(opened.addresses(), (1, 3, 1, 2), strict=True):
        (tmp_path / "alone.png").write_bytes(png(tmp_path, number))
        assert images.load(address)[1] == images.digest(str(tmp_path / "alone.png"))
    one = open_dataset(f"wds:{shards / 'train-000000.tar'}")
    assert list(one.table["path"]) == list(table["path"][2:])


def test_several_views_of_a_sample_are_rows(tmp_path):
    members = [("1.left.png", png(tmp_path, 1)), ("1.right.png", png(tmp_path, 2)), ("1.cls", b"x")]
    table = open_dataset(f"wds:{tar(tmp_path / 'x.tar', members)}").table
    assert table[["id", "view", "label"]].to_numpy().tolist() == [
        ["x.tar/1.left", "left", "x"],
        ["x.tar/1.right", "right", "x"],
    ]
    members = [("1.png", png(tmp_path, 1)), ("1.mask.png", png(tmp_path, 2))]
    masked = open_dataset(f"wds:{tar(tmp_path / 'x.tar', members)}")
    assert list(masked.table["id"]) == ["x.tar/1"]
    assert masked.facts["members_not_used"] == 1
    with pytest.raises(EmbedkitError, match=r"several images of one sample \(1\.png, 1\.jpg\)"):
        open_dataset(f"wds:{tar(tmp_path / 'x.tar', [('1.png', b'a'), ('1.jpg', b'b')])}")


def test_a_shard_cut_anywhere_is_refused(shards):
    shard = shards / "train-000000.tar"
    whole = shard.read_bytes().rstrip(b"\0")
    for size in [*range(0, len(whole) - 512, 512), *random.Random(0).sample(range(1, len(whole)), 20)]:
        shard.write_bytes(whole[:size])
        with pytest.raises(EmbedkitError, match=r"train-000000\.tar is no whole tar .*copy it again"):
            open_dataset(f"wds:{shards}")


def test_a_damaged_header_in_the_middle_does_not_end_the_shard_in_silence(shards):
    shard = shards / "train-000000.tar"
    data = bytearray(shard.read_bytes())
    at = data.index(b"a/0002.png")
    data[at : at + 20] = b"\xff" * 20
    shard.write_bytes(data)
    with pytest.raises(EmbedkitError, match="no member and no end at byte"):
        open_dataset(f"wds:{shards}")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("1.png", b"a"), ("1.cls", b"0"), ("1.png", b"b")], r"holds '1\.png' twice"),
        ([("../1.png", b"a")], r"member '\.\./1\.png', which would leave the folder"),
        ([("/etc/1.png", b"a")], "would leave the folder"),
        ([("1.png", b"a"), ("1.json", b"{")], r"'1\.json' is no JSON"),
        ([("1.png", b"a"), ("1.json", b"[" * 99999)], "is no JSON"),
        ([("1.png", b"a"), ("1.json", b"[1]")], "is no JSON object"),
        ([("1.png", b"a"), ("1.cls", b"\xff")], "is no text in UTF-8"),
        ([("1.png", b"a"), ("1.txt", b"a" * (1 << 21))], "too many for a label"),
        ([("1.cls", b"0")], "no images in the 1 shards"),
    ],
)
def test_what_is_wrong_in_a_shard_is_said(tmp_path, members, words):
    with pytest.raises(EmbedkitError, match=words):
        open_dataset(f"wds:{tar(tmp_path / 'x.tar', members)}")


def test_links_are_not_followed_and_counted(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        data = png(tmp_path, 1)
        info = tarfile.TarInfo("1.png")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    opened = open_dataset(f"wds:{tmp_path / 'x.tar'}")
    assert list(opened.table["id"]) == ["x.tar/1"]
    assert opened.facts["members_not_used"] == 1
    assert "label" not in opened.table
    assert not opened.targets


def test_what_is_no_shard_is_said(tmp_path):
    with pytest.raises(DatasetNotFound, match="no folder or shard"):
        open_dataset(f"wds:{tmp_path / 'gone'}")
    with pytest.raises(EmbedkitError, match="no shards in"):
        open_dataset(f"wds:{tmp_path}")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz"):
        pass
    with pytest.raises(EmbedkitError, match=r"x\.tar\.gz is compressed, unpack its gzip"):
        open_dataset(f"wds:{tmp_path}")
    (tmp_path / "x.tar.gz").rename(tmp_path / "x-00000-of-00002.tar")
    with pytest.raises(EmbedkitError, match=r"1 of the 2 shards of x: x-00001-of-00002\.tar is not there"):
        open_dataset(f"wds:{tmp_path}")
    with pytest.raises(EmbedkitError, match="it is compressed: unpack its gzip"):
        open_dataset(f"wds:{tmp_path / 'x-00000-of-00002.tar'}")


def test_headers_are_not_kept(tmp_path):
    path = tar(tmp_path / "x.tar", [(f"{n:05d}.png", b"x") for n in range(3000)])
    opened = open_dataset(f"wds:{path}")
    assert len(opened) == 3000
    with tarfile.open(path) as reference:
        starts = [member.offset_data for member in reference]
    assert list(opened.table["path"]) == [f"x.tar#bytes={start}+1" for start in starts]
    assert not np.any(opened.table["id"].duplicated())
