"""``embedkit datasets``, ``datasets get`` and ``datasets check``."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from embedkit.datasets import DatasetCard
from tests.cli.conftest import Run
from tests.datasets.making import images, write
from tests.datasets.test_unpacking import zipped


def test_lists_by_modality_state_and_licence(embedkit: Run, data_root: Path) -> None:
    rows = {row["data"]: row for row in embedkit("datasets", "--root", data_root, "--json").results}
    assert (rows["mini-mias"]["state"], rows["ham10000"]["state"], rows["eyepacs"]["state"]) == (
        "ready",
        "partly there",
        "absent",
    )
    retina = embedkit("datasets", "--root", data_root, "--modality", "fundus", "--state", "absent", "--json").results
    assert {row["modality"] for row in retina} == {"fundus photography"}
    assert {"idrid", "brset"} <= {row["data"] for row in retina}
    assert "hei-med" not in {row["data"] for row in retina}
    free = embedkit("datasets", "--root", data_root, "--licence", "cc by 4.0", "--json").results
    assert {"rfmid", "pathmnist"} <= {row["data"] for row in free}
    assert "ham10000" not in {row["data"] for row in free}
    assert "partly there" in embedkit("datasets", "--root", data_root).out


def test_get_tells_where_to_apply_and_where_the_files_go(embedkit: Run, place: Path) -> None:
    done = embedkit("datasets", "get", "brset", "--root", "sets")
    assert done.status == 2
    for part in ("needs a login or an agreement", "physionet.org", "Credentialed", str(place / "sets/brset")):
        assert part in done.err
    assert not (place / "sets").exists()


def test_get_wants_the_licence_accepted_first(embedkit: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def fetch(card: DatasetCard, folder: Path, progress: object) -> None:
        fetched.append(f"{card.name} {folder}")

    monkeypatch.setattr("embedkit.datasets.fetch.fetch", fetch)
    done = embedkit("datasets", "get", "dermamnist-c", "--root", place)
    assert done.status == 2
    assert "CC BY-NC 4.0" in done.out
    assert "was not accepted" in done.err
    assert fetched == []
    assert embedkit("datasets", "get", "DermaMNIST_C", "--accept", "--root", place).status == 0
    assert fetched == [f"dermamnist-c {place / 'dermamnist-c'}"]


def test_get_unpacks_what_was_downloaded(embedkit: Run, place: Path) -> None:
    archive = zipped(place / "a.zip", {"train.csv": "id_code,diagnosis\nx,1\n"})
    done = embedkit("datasets", "get", "aptos2019", "--accept", "--from", archive, "--root", place)
    assert done.status == 0
    assert (place / "aptos2019/train.csv").exists()
    bad = zipped(place / "b.zip", {"../x": "1"})
    assert "would leave" in embedkit("datasets", "get", "aptos2019", "--accept", "--from", bad, "--root", place).err


def test_an_unknown_name_says_which_is_close(embedkit: Run) -> None:
    assert "Did you mean brset" in embedkit("datasets", "get", "brsett").err
    assert "Did you mean brset" in embedkit("datasets", "check", "brsett").err


def test_check_exits_with_1_where_something_differs(embedkit: Run, place: Path, data_root: Path) -> None:
    write(place / "aptos2019/train.csv", "id_code,diagnosis\na,0\nb,1\n")
    images(place / "aptos2019", "train_images/a.png")
    done = embedkit("datasets", "check", "aptos2019", "--root", place)
    assert done.status == 1
    assert "1 of 2 listed images are there" in done.out
    assert "1 images listed but not there, such as train_images/b.png" in done.out
    [found] = embedkit("datasets", "check", "aptos2019", "--root", place, "--json").results
    assert (found["images"], found["present"], found["stated"]) == (2, 1, {"all": 3662})
    whole = embedkit("datasets", "check", "hei-med", "--quick", "--root", data_root)
    assert whole.status == 0
    assert "all is as the publisher states" in whole.out


def test_check_lists_images_with_burned_in_text(embedkit: Run, place: Path) -> None:
    for name, text in (("set/a/1.png", "PID 4711"), ("set/b/2.png", "")):
        page = Image.new("L", (160, 80), 40)
        ImageDraw.Draw(page).text((8, 8), text, fill=250, font=ImageFont.load_default(20))
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        page.save(place / name)
    assert embedkit("datasets", "check", "folder:set").status == 0
    told = embedkit("datasets", "check", "folder:set", "--text", "--workers", "0")
    assert told.status == 1
    assert "1 images with what looks like burned-in text, such as a/1.png" in told.out


def test_a_modality_or_licence_that_no_set_has_is_told(embedkit: Run) -> None:
    for option in ("--modality", "--licence"):
        done = embedkit("datasets", option, "nosuch")
        assert done.status == 2
        assert "'nosuch'" in done.err
        assert "There are " in done.err
