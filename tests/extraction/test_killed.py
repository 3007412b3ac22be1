"""A run that dies goes on where it was, and ends with the same bytes of vectors and rows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import read
from embedkit.extraction import embed
from tests.extraction.fake import FakeEncoder, run, write_images

ROWS = 600  # two shards and a rest
FEW = 300  # a shard and a rest
TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "images"
    write_images(folder, ROWS)
    return folder


def _start(folder: Path, cache: Path, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.extraction.fake", str(folder), str(cache), str(pause)]
    return subprocess.Popen(command, cwd=TOP, stderr=subprocess.PIPE, text=True)


def _wait_for_shards(cache: Path, number: int, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if len(list(cache.glob("*/.shards/*/*.h5"))) >= number:
            return
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    raise AssertionError("no shard was written")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_resumes_to_the_same_result(folder: Path, tmp_path: Path, how: signal.Signals) -> None:
    process = _start(folder, tmp_path / "cache", 0.05)
    _wait_for_shards(tmp_path / "cache", 1, process)
    process.send_signal(how)
    assert process.wait(30) == -how
    assert list((tmp_path / "cache").rglob("*.h5ad")) == []

    encoder = FakeEncoder()
    resumed = run(folder, tmp_path / "cache", encoder)
    assert resumed.reused >= embed.SHARD_ROWS
    assert resumed.embedded == ROWS - resumed.reused
    assert sum(encoder.batches) < ROWS - resumed.reused + 8

    whole = run(folder, tmp_path / "other")
    one, two = read(resumed.path), read(whole.path)
    assert one.X.tobytes() == two.X.tobytes()
    pd.testing.assert_frame_equal(one.table, two.table)
    assert not list((tmp_path / "cache").rglob("*.h5"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_hit_again_and_again_ends_with_the_same_bytes(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "images"
    write_images(folder, FEW)
    command = [sys.executable, "-m", "tests.extraction.storm", str(folder), str(tmp_path / "cache"), str(int(how)), "1"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
    [path] = (tmp_path / "cache").rglob("*.h5ad")
    one, two = read(path), read(run(folder, tmp_path / "other").path)
    assert one.X.tobytes() == two.X.tobytes()
    pd.testing.assert_frame_equal(one.table, two.table)
    # One that was hit after the final file was written has left its shards to the next.
    run(folder, tmp_path / "cache")
    left = [file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert sorted(left) == [f".{path.name}.lock", path.name]


def test_ctrl_c_keeps_even_the_unfinished_shard_and_says_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    process = _start(folder, tmp_path / "cache", 0.05)
    _wait_for_shards(tmp_path / "cache", 1, process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "are kept: run the same command again" in said
    assert len(list((tmp_path / "cache").glob("*/.shards/*/*.h5"))) == 2
    resumed = run(folder, tmp_path / "cache")
    assert embed.SHARD_ROWS < resumed.reused < ROWS


def test_two_processes_at_once_do_the_work_once(folder: Path, tmp_path: Path) -> None:
    first = _start(folder, tmp_path / "cache", 0.02)
    _wait_for_shards(tmp_path / "cache", 1, first)
    encoder = FakeEncoder()
    second = run(folder, tmp_path / "cache", encoder)
    assert first.wait(60) == 0
    assert (second.embedded, second.reused, encoder.batches) == (0, ROWS, [])


def test_a_flipped_byte_in_a_shard_costs_that_shard_only(folder: Path, tmp_path: Path) -> None:
    process = _start(folder, tmp_path / "cache", 0.02)
    _wait_for_shards(tmp_path / "cache", 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    shard = next(iter((tmp_path / "cache").glob("*/.shards/*/*.h5")))
    content = bytearray(shard.read_bytes())
    content[-9] ^= 4
    shard.write_bytes(content)
    resumed = run(folder, tmp_path / "cache")
    assert resumed.reused == embed.SHARD_ROWS
    whole = run(folder, tmp_path / "other")
    np.testing.assert_array_equal(read(resumed.path).X, read(whole.path).X)
