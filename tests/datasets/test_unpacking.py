import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from embedkit.datasets.unpacking import members, unpack
from embedkit.errors import EmbedkitError


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def tarred(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize(("make", "name"), [(zipped, "set.zip"), (tarred, "set.tar.gz")])
def test_an_archive_is_unpacked_whole_beside_what_is_there(tmp_path: Path, make, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.txt").write_text("mine")
    archive = make(tmp_path / name, {"a/1.txt": "one", "a/2.txt": "two"})
    assert members(archive) == ["a/1.txt", "a/2.txt"]
    assert unpack(archive, tmp_path / "data") == 2
    files = {str(path.relative_to(tmp_path / "data")): path.read_text() for path in (tmp_path / "data").rglob("*.txt")}
    assert files == {"mine.txt": "mine", "a/1.txt": "one", "a/2.txt": "two"}
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"mine.txt", "a"}


@pytest.mark.parametrize(("make", "name"), [(zipped, "set.zip"), (tarred, "set.tar.gz")])
@pytest.mark.parametrize("member", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:/out.txt"])
def test_a_member_that_leaves_the_folder_stops_all(tmp_path: Path, make, name: str, member: str) -> None:
    archive = make(tmp_path / name, {"good.txt": "good", member: "bad"})
    with pytest.raises(EmbedkitError, match="would leave the folder: nothing was taken from it"):
        unpack(archive, tmp_path / "inner/data")
    assert not list(tmp_path.rglob("*.txt"))


def test_the_folder_itself_may_be_a_member(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("a")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "in", ".")
    unpack(tmp_path / "set.tar", tmp_path / "data")
    assert (tmp_path / "data/a.txt").read_text() == "a"


@pytest.mark.parametrize(("make", "name"), [(zipped, "set.zip"), (tarred, "set.tar.gz")])
def test_half_an_archive_unpacks_nothing(tmp_path: Path, make, name: str) -> None:
    archive = make(tmp_path / name, {f"{number}.txt": str(number) * 2000 for number in range(40)})
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EmbedkitError, match=r"can't be unpacked .*download it again"):
        unpack(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
    with pytest.raises(EmbedkitError, match="is no whole archive"):
        members(archive)


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_text("<html>please log in</html>")
    with pytest.raises(EmbedkitError, match="can't be unpacked"):
        unpack(tmp_path / "page.zip", tmp_path / "data")


def test_a_disk_that_fills_up_is_not_the_archives_fault_and_leaves_nothing(tmp_path: Path) -> None:
    zipped(tmp_path / "set.zip", {"small.txt": "a", "large.txt": "b" * 400_000})
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.txt").write_text("mine")
    script = f"""
import resource, signal
from pathlib import Path
from embedkit.datasets.unpacking import unpack
from embedkit.errors import EmbedkitError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    unpack(Path({str(tmp_path / "set.zip")!r}), Path({str(tmp_path / "data")!r}))
except EmbedkitError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "free some space" in done.stdout
    assert "download it again" not in done.stdout
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mine.txt"]


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"there is no file .*absent\.zip"):
        unpack(tmp_path / "absent.zip", tmp_path / "data")
    assert not (tmp_path / "data").exists()
