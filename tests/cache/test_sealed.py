"""A file under its final name is complete, and no byte of it can change unseen."""

import os
import signal
import subprocess
import sys
from errno import EACCES
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedkit.cache import DamagedCache, ForeignCache
from embedkit.cache.errors import CacheError
from embedkit.cache.sealed import open_sealed, read_seal, sealed_file, verify_seal


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "x.h5"
    with sealed_file(path, 1 << 16) as file:
        file["X"] = np.arange(100)
    return path


def test_reads_back_and_verifies(sealed: Path) -> None:
    verify_seal(sealed)
    with open_sealed(sealed) as file:
        np.testing.assert_array_equal(file["X"][()], np.arange(100))
    assert [path.name for path in sealed.parent.iterdir()] == ["x.h5"]


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_flipped_bit_is_found(sealed: Path, data: st.DataObject) -> None:
    content = bytearray(sealed.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    broken = sealed.with_name("flipped.bin")
    broken.write_bytes(content)
    with pytest.raises(CacheError):
        verify_seal(broken)
    broken.unlink()


def test_damage_of_the_structure_is_found_on_opening(sealed: Path, tmp_path: Path) -> None:
    # The HDF5 library can loop for ever on such bytes, so they must not reach it.
    content = sealed.read_bytes()
    broken = tmp_path / "zeroed.h5"
    with open_sealed(sealed) as file:
        vectors_at = file["X"].id.get_offset()
    for start in range(512, vectors_at - 64, 101):
        broken.write_bytes(
            content[:start] + bytes(b ^ 0x55 for b in content[start : start + 64]) + content[start + 64 :]
        )
        with pytest.raises(DamagedCache, match="checksum"), open_sealed(broken):
            pass


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1000, -1])
def test_any_truncation_is_found_on_opening(sealed: Path, tmp_path: Path, size: int) -> None:
    broken = tmp_path / "short.h5"
    broken.write_bytes(sealed.read_bytes()[:size])
    with pytest.raises((DamagedCache, ForeignCache)), open_sealed(broken):
        pass


def test_another_format_version_is_named(sealed: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "future.h5"
    foreign.write_bytes(sealed.read_bytes().replace(b"format 1\n", b"format 7\n"))
    with pytest.raises(ForeignCache, match=r"format 7.*reads format 1.*extract again"), open_sealed(foreign):
        pass


def test_a_plain_hdf5_file_is_refused(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "plain.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = np.zeros(3)
    with pytest.raises(ForeignCache, match="not an embedkit cache"), open_sealed(path):
        pass


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sealed_file(tmp_path / "x.h5", 1 << 16) as file:
        file["X"] = np.arange(10)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
import resource, sys
from errno import EACCES
from pathlib import Path
import numpy as np
from embedkit.cache.errors import CacheError
from embedkit.cache.sealed import sealed_file
path = Path(sys.argv[1])
with sealed_file(path, 1 << 16) as file:
    file["X"] = np.arange(10)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with sealed_file(path, 8 << 20) as file:
        raise AssertionError("HDF5 must not be asked to fill a full disk")
except CacheError as error:
    print("SAID", error)
"""
    path = tmp_path / "x.h5"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SAID the disk of" in done.stdout
    assert "full" in done.stdout
    verify_seal(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.h5"]


def test_a_writer_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from errno import EACCES
from pathlib import Path
import numpy as np
from embedkit.cache.sealed import sealed_file
with sealed_file(Path(sys.argv[1]), 1 << 16) as file:
    file["X"] = np.arange(5)
with sealed_file(Path(sys.argv[1]), 1 << 16) as file:
    file["X"] = np.arange(7)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "x.h5"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    verify_seal(path)
    with open_sealed(path) as file:
        assert len(file["X"]) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_closed_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CacheError, match="can't be written"), sealed_file(tmp_path / "x.h5", 1 << 16):
        pass


def test_a_folder_that_cannot_be_entered_is_a_sentence(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(CacheError, match="can't be read: Permission denied"):
        read_seal(sealed)


def test_a_file_in_the_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(CacheError, match="can't be written"), sealed_file(tmp_path / "cache" / "x.h5", 1 << 16):
        pass
