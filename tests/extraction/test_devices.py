"""A process for each device makes the cache of one process, bit for bit, though one of them is killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from embedkit import EmbedkitError
from embedkit.cache import Store, read
from embedkit.datasets import open_dataset
from embedkit.encoders import Occasion
from embedkit.extraction import Job, Report, SeveralDevices, embedding_cost, extract, extract_all_named, prepare, worker
from embedkit.extraction import devices as room
from embedkit.extraction.worker import Share, Work
from tests.extraction.fake import MANY, FakeEncoder, job, run, write_images

TWO = ("cpu:0", "cpu:1")
TOP = Path(__file__).resolve().parents[2]


@dataclass
class Marking(FakeEncoder):
    """Says in which process and for which device it runs, and how often."""

    folder: str = ""
    device: str = ""

    def encode(self, batch: np.ndarray) -> np.ndarray:
        with Path(self.folder, f"{os.getpid()} {self.device}").open("a") as mark:
            mark.write("x")
        return super().encode(batch)


def on_two(marks: Path, pause: float = 0.0, **changed: Any) -> Job:
    """Return a job on two devices, whose encoder leaves marks in a folder."""
    marks.mkdir(exist_ok=True)

    def load(_: Occasion, device: str) -> Any:
        return Marking(pause=pause, folder=str(marks), device=device)

    return replace(job(), load=load, devices=TWO, **changed)


@pytest.fixture(scope="module")
def alone(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one process makes of the images."""
    return run(many, tmp_path_factory.mktemp("alone"))


def _same(one: Report, two: Report) -> None:
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes()
    assert read(one.path).table.equals(read(two.path).table)
    assert (one.total, one.embedded, one.ledger) == (two.total, two.embedded, two.ledger)


def _marked(marks: Path) -> dict[str, set[int]]:
    """Return the processes of each device."""
    found: dict[str, set[int]] = {}
    for mark in marks.iterdir():
        pid, device = mark.name.split(" ")
        found.setdefault(device, set()).add(int(pid))
    return found


class Counting:
    """Adds up what a run tells."""

    def __init__(self) -> None:
        self.done, self.notes = 0, list[str]()

    def start(self, what: str, total: int, unit: str = "images") -> None: ...
    def stop(self) -> None: ...

    def advance(self, count: int) -> None:
        self.done += count

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_the_cache_is_that_of_one_process_though_one_of_two_is_killed_half_way(
    many: Path, tmp_path: Path, alone: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that a share has several stretches: what was told of the first ones must not be told again.
    monkeypatch.setattr(worker, "_SHARES_PER_WORKER", 1)
    marks, progress, killed = tmp_path / "marks", Counting(), []
    done = on_two(marks, pause=0.01, multiply_adds=lambda _: 7)

    def kill_one() -> None:
        while not (found := [mark for mark in marks.glob("*cpu:1") if mark.stat().st_size > 45]):
            time.sleep(0.01)
        killed.append(int(found[0].name.split(" ")[0]))
        os.kill(killed[0], signal.SIGKILL)

    Thread(target=kill_one, daemon=True).start()
    data = open_dataset(f"folder:{many}")
    report = extract(data, done, tmp_path / "cache", workers=0, batch=8, progress=progress)
    assert killed
    _same(report, alone)
    assert progress.done == MANY + 2
    # Its share is done again by the process in its place, or by the other one if that is through before.
    assert {device: set(map(int, pids)) & set(killed) for device, pids in _marked(marks).items()} == {
        "cpu:0": set(),
        "cpu:1": set(killed),
    }
    assert os.getpid() not in set.union(*_marked(marks).values())
    assert not list(tmp_path.rglob(".shards/*"))
    cost = embedding_cost(read(report.path).provenance)
    assert cost is not None
    assert cost.cost.multiply_adds == 7 * MANY
    # Of its own process, and of each of two processes that have imported and decoded.
    assert cost.cost.processor_seconds > 1
    assert not [pid for pids in _marked(marks).values() for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_part_of_a_set_is_shared_too(many: Path, tmp_path: Path, alone: Report) -> None:
    data, several = f"folder:{many}", on_two(tmp_path / "marks")
    extract_all_named(data, [several], tmp_path / "c", workers=0, batch=8, part=(1, 2))
    extract_all_named(data, [job()], tmp_path / "c", workers=0, batch=8, part=(2, 2))
    assert _marked(tmp_path / "marks").keys() <= set(TWO)
    assert os.getpid() not in set.union(*_marked(tmp_path / "marks").values())
    [merged] = extract_all_named(data, [several], tmp_path / "c", merge_only=True)
    assert (merged.embedded, merged.reused) == (0, MANY + 1)
    assert read(merged.path).X.tobytes() == read(alone.path).X.tobytes()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_and_loses_no_shard(
    many: Path, tmp_path: Path, alone: Report, how: signal.Signals
) -> None:
    marks = tmp_path / "marks"
    words = [str(many), str(tmp_path / "cache"), str(marks)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.extraction.test_devices", *words], cwd=TOP, stderr=subprocess.PIPE, text=True
    )
    while len(list((tmp_path / "cache").rglob("*.h5"))) < 2 or len(_marked(marks)) < 2:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    process.send_signal(how)
    _, said = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert "embeddings made until now are kept: run the same command again" in said
    else:
        assert process.returncode == -how
    ended = time.monotonic() + 20
    left = set.union(*_marked(marks).values())
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < ended, "a process has outlived the run"
        time.sleep(0.05)
    report = run(many, tmp_path / "cache")
    assert report.reused >= 512
    assert read(report.path).X.tobytes() == read(alone.path).X.tobytes()


def test_a_network_of_torch_gives_the_same_bits(tmp_path: Path) -> None:
    # The processes of other tests import this module, and need no torch.
    from tests.cli.conftest import write_checkpoint

    write_images(tmp_path / "images", 530)
    weights = write_checkpoint(tmp_path, "test_vit")
    data = open_dataset(f"folder:{tmp_path / 'images'}")
    how: dict[str, Any] = {"weights": weights, "precision": "fp32", "engine": "torch"}
    two = prepare("timm:test_vit", device="cpu:0,cpu:1", **how)
    one = prepare("timm:test_vit", device="cpu", **how)
    assert isinstance(two, Job)
    assert (two.key, two.devices, two.device(), two.on("cpu:1").device()) == (one.key, TWO, "cpu:0", "cpu:1")
    reports = [extract(data, each, tmp_path / name, workers=0, batch=8) for name, each in (("2", two), ("1", one))]
    _same(*reports)
    assert [report.engine for report in reports] == ["torch", "torch"]


def test_a_process_that_fails_says_on_which_device(many: Path, tmp_path: Path) -> None:
    def load(_: Occasion, device: str) -> Any:
        raise ZeroDivisionError("by nought") if device == "cpu:1" else EmbedkitError("no such thing")

    for device, said in (("cpu:1", "process for cpu:1 failed with ZeroDivisionError: by nought"), ("cpu:0", "no such")):
        failing = replace(job(), load=load, devices=(device, device))
        with pytest.raises(EmbedkitError, match=said):
            extract(open_dataset(f"folder:{many}"), failing, tmp_path, workers=0, batch=8)


def test_a_process_that_can_not_start_ends_the_run(tmp_path: Path) -> None:
    def die(*_: Any) -> None:
        os._exit(3)

    dying = replace(job(), dtype=_Deadly(die))
    share = Share((0,), ("a",), (0,))
    flow = SeveralDevices(TWO).embed(Work([share], [dying], [Store(tmp_path, "d", "e", "k")], 0, 8, [""]))
    with pytest.raises(EmbedkitError, match=r"the process for cpu:0 died before it embedded anything \(status 3\)"):
        list(flow)


class _Deadly:
    """Runs a function where it is unpickled."""

    def __init__(self, does: Any) -> None:
        self.does = does

    def __reduce__(self) -> Any:
        return self.does, ()


@pytest.mark.parametrize(
    ("decoders", "devices", "each"), [(16, 4, 4), (16, 3, 5), (2, 4, 1), (0, 4, 0), (1, 1, 1), (5, 2, 2)]
)
def test_decoding_processes_are_shared_out(decoders: int, devices: int, each: int) -> None:
    assert room._evenly(decoders, devices) == each


if __name__ == "__main__":
    # A run to be ended: slow enough to be caught in the middle, with decoding processes of its own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pictures, cache, marked = map(Path, sys.argv[1:])
    extract(open_dataset(f"folder:{pictures}"), on_two(marked, pause=0.03), cache, workers=2, batch=8)
