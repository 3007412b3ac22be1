"""A disk that fills up or is closed in the middle of a run, on a small file system of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.extraction.fake import write_images

TOP = Path(__file__).resolve().parents[2]

SCENE = """
import subprocess, sys
from pathlib import Path
import numpy as np
from embedkit import EmbedkitError
from embedkit.cache import read
from tests.extraction.fake import FakeEncoder, run

folder, place = Path(sys.argv[1]), Path(sys.argv[2])
filler = place / "filler"

def call(*words):
    subprocess.run([*words, str(place)], check=True)

def fill(_batch):
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def close(_batch):
    # Mounted over itself: a file system with a file open for writing, such as the lock, can't be made read-only.
    call("mount", "-o", "bind,ro", str(place))

class Sabotage(FakeEncoder):
    def encode(self, batch):
        X = super().encode(batch)
        if len(self.batches) == self.when:
            self.what(batch)
        return X

call("mount", "-t", "tmpfs", "-o", "size=2m", "none")
whole = read(run(folder, Path(sys.argv[3])).path)
for what in (fill, close):
    # During the first shard, after it, and before the merge.
    for when in (1, 36, 38):
        cache = place / f"{what.__name__}{when}"
        encoder = Sabotage()
        encoder.what, encoder.when = what, when
        try:
            run(folder, cache, encoder)
            raise AssertionError("it was not noticed")
        except EmbedkitError as error:
            print(what.__name__, when, error)
        if what is close:
            try:
                run(folder, cache)
                raise AssertionError("it was not noticed")
            except EmbedkitError:
                call("umount")
        else:
            filler.unlink()
        again = run(folder, cache)
        assert again.embedded + again.reused == 300
        assert again.reused >= when * 8 // 256 * 256, again
        found = read(again.path)
        assert found.X.tobytes() == whole.X.tobytes() and found.table.equals(whole.table)
        assert not list(cache.rglob("*.tmp")) + list(cache.rglob("*.h5"))
"""


def test_a_disk_that_fills_up_or_is_closed_costs_a_shard_at_most(tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--mount"]
    place = tmp_path / "disk"
    place.mkdir()
    mount = [*alone, "mount", "-t", "tmpfs", "none", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    write_images(tmp_path / "images", 300)
    command = [*alone, sys.executable, "-c", SCENE, str(tmp_path / "images"), str(place), str(tmp_path / "whole")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["fill"] * 3 + ["close"] * 3
    assert all("is full" in line or "can't be written" in line for line in said)
