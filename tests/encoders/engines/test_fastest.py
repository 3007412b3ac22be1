"""The fastest engine, chosen among made-up ones whose speed and vectors are known."""

import errno
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

from embedkit.encoders import Occasion, engines
from embedkit.encoders.engines import fastest, memory, running
from embedkit.encoders.engines.fastest import Contest
from embedkit.encoders.engines.memory import Trial
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError

PREPROCESSING = Preprocessing(8, 8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SAMPLE = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


@dataclass
class Machine:
    """Engines that take so many seconds for a batch, by a clock of their own; what they started, and what was said."""

    seconds: dict[str, float]
    clock: float = 0.0
    started: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    wrong: dict[str, float] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)

    def module(self, name: str) -> Any:
        def start(*_: Any) -> engines.Running:
            self.started.append(name)
            if name in self.broken:
                raise EmbedkitError("it cannot convert it")

            def run(batch: np.ndarray) -> np.ndarray:
                self.clock += self.seconds[name]
                vectors = batch.reshape(len(batch), -1)[:, :16].astype(np.float32)
                vectors[:, 0] += self.wrong.get(name, 0.0)
                return vectors

            return engines.Running(run)

        return SimpleNamespace(start=start, lacks=lambda *_: "a thing" if name in self.absent else "")

    def choose(self, images: int = 100_000, precision: str = "bf16", encoder: str = "e", before: str = "") -> str:
        contest = Contest(encoder, {"source": encoder}, nn.Identity, PREPROCESSING, precision, "cpu")
        name, chosen = contest.fastest(Occasion(SAMPLE, images, self.said.append, before))
        assert chosen.run(SAMPLE).shape == (4, 16)
        return name


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Machine]:
    monkeypatch.setenv("EMBEDKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fastest, "_SECONDS", 0.0)

    def make(**seconds: float) -> Machine:
        made = Machine(seconds)
        monkeypatch.setattr(running, "time", SimpleNamespace(perf_counter=lambda: made.clock))
        made.absent = set(engines.MODULES) - set(seconds)
        for name in engines.MODULES:
            monkeypatch.setitem(sys.modules, f"made_up_{name}", made.module(name))
            monkeypatch.setitem(engines.MODULES, name, f"made_up_{name}")
        return made

    return make


def test_the_fastest_is_taken_told_and_remembered(machine: Callable[..., Machine]) -> None:
    here = machine(torch=0.03, openvino=0.01, compile=0.02)
    assert here.choose() == "openvino"
    assert here.started == ["torch", "openvino", "compile"]
    trying, said = here.said
    assert trying == "e: trying the engine compile once, for a minute or longer"
    assert said.startswith("e: engine openvino; images/s measured now: torch ")
    assert str(memory.memory_file()) in said
    here.started.clear()
    assert here.choose() == "openvino"
    assert here.started == ["openvino"]
    assert len(here.said) == 2


@pytest.mark.parametrize(
    ("before", "wanted"), [("compile", "compile"), ("torch", "torch"), ("onnx", "openvino"), ("no engine", "openvino")]
)
def test_a_run_that_goes_on_keeps_its_engine_if_it_is_there(
    machine: Callable[..., Machine], before: str, wanted: str
) -> None:
    here = machine(torch=0.03, openvino=0.01, compile=0.02)
    assert here.choose(before=before) == wanted
    assert (here.started == [wanted]) == (before == wanted)


@pytest.mark.parametrize(
    ("precision", "off", "wanted"), [("bf16", 60.0, "torch"), ("bf16", 1.0, "openvino"), ("fp32", 9.0, "torch")]
)
def test_an_engine_with_other_vectors_is_not_taken(
    machine: Callable[..., Machine], precision: str, off: float, wanted: str
) -> None:
    here = machine(torch=0.02, openvino=0.005)
    here.wrong["openvino"] = off
    assert here.choose(precision=precision) == wanted
    assert ("other vectors" in here.said[0]) == (wanted == "torch")


def test_an_engine_that_fails_is_not_tried_again(machine: Callable[..., Machine]) -> None:
    here = machine(torch=0.01, openvino=0.001)
    here.broken.add("openvino")
    assert here.choose() == "torch"
    assert "openvino can't run it" in here.said[0]
    here.started.clear()
    assert here.choose() == "torch"
    assert here.started == ["torch"]


def test_few_images_are_not_worth_trying(machine: Callable[..., Machine]) -> None:
    here = machine(torch=0.02, openvino=0.001)
    assert here.choose(images=255) == "torch"
    assert not memory.memory_file().exists()
    assert here.said == []
    here.choose()
    here.started.clear()
    assert here.choose(images=1) == "openvino"
    assert here.started == ["openvino"]


def test_what_takes_longer_to_start_than_it_could_save_is_left_to_a_longer_run(machine: Callable[..., Machine]) -> None:
    here = machine(torch=0.02, openvino=0.01, compile=0.005)
    # 200 images/s: 3,000 images take 15 s, more than twice the 6 s of OpenVINO, and not those of a compiler.
    assert here.choose(images=3_000) == "openvino"
    assert "compile" not in here.started
    here.started.clear()
    # 400 images/s by now.
    assert here.choose(images=70_000) == "compile"
    assert here.started.count("openvino") == 0


def test_a_small_gain_is_not_worth_leaving_torch(machine: Callable[..., Machine]) -> None:
    contest = Contest("e", {}, nn.Identity, PREPROCESSING, "bf16", "cpu")
    assert contest._best({"torch": Trial(100, 0), "openvino": Trial(104, 0)}) == "torch"
    assert contest._best({"torch": Trial(100, 0), "openvino": Trial(106, 0)}) == "openvino"
    assert contest._best({"torch": Trial(100, 0), "openvino": Trial(900, 2e-3)}) == "torch"


def test_another_encoder_precision_or_batch_is_measured_for_itself(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine(torch=0.01, openvino=0.002)
    here.choose()
    assert here.choose(encoder="other") == "openvino"
    monkeypatch.setattr(memory, "_PACKAGES", ("torch", "openvino", "numpy"))
    here.choose()
    assert len(here.said) == 3
    assert len(json.loads(memory.memory_file().read_text())) == 3


def test_the_weights_do_not_matter_to_the_speed(tmp_path: Path) -> None:
    encoders = [{"source": "x", "weights": digest} for digest in "ab"]
    first, second = (memory.circumstances(encoder, "cpu", 32) for encoder in encoders)
    assert first == second != memory.circumstances(encoders[0], "cpu", 16)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "null"])
def test_a_damaged_memory_is_written_anew(machine: Callable[..., Machine], content: str) -> None:
    here = machine(torch=0.005, openvino=0.001)
    memory.memory_file().parent.mkdir(parents=True)
    memory.memory_file().write_text(content)
    assert here.choose() == "openvino"
    here.started.clear()
    assert here.choose() == "openvino"
    assert here.started == ["openvino"]


@pytest.mark.parametrize(
    "trials",
    [
        {"openvino": {"images_per_second": 9.0, "difference": 0.0, "failed": ""}},
        {"torch": {"images_per_second": 0.0, "difference": 0.0, "failed": ""}},
        {"torch": {"images_per_second": "fast", "difference": 0.0, "failed": ""}},
        {"torch": {"images_per_second": float("nan"), "difference": 0.0, "failed": ""}},
        {"torch": {"images_per_second": 1.0}},
        {"torch": 7},
        [],
    ],
)
def test_a_memory_that_says_what_cannot_be_is_measured_anew(machine: Callable[..., Machine], trials: object) -> None:
    here = machine(torch=0.005, openvino=0.001)
    here.choose()
    known = json.loads(memory.memory_file().read_text())
    [entry] = known.values()
    entry["trials"] = trials
    memory.memory_file().write_text(json.dumps(known))
    here.said.clear()
    assert here.choose() == "openvino"
    assert len(here.said) == 1
    assert set(memory.memory_file().parent.glob("[!.]*")) == {memory.memory_file()}


def test_a_full_disk_forgets_and_leaves_nothing(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text[:9].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    here = machine(torch=0.005, openvino=0.001)
    monkeypatch.setattr(Path, "write_text", full)
    assert here.choose() == "openvino"
    assert not list(memory.memory_file().parent.glob("[!.]*"))


def test_a_home_that_cannot_be_written_forgets(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMBEDKIT_HOME", str(tmp_path / "file" / "below"))
    here = machine(torch=0.005, openvino=0.001)
    assert here.choose() == "openvino"
    assert here.choose() == "openvino"
    assert len(here.said) == 2


def test_of_two_that_begin_at_once_one_measures(machine: Callable[..., Machine]) -> None:
    here = machine(torch=0.02, openvino=0.005)
    measuring = memory.one_at_a_time()
    with ThreadPoolExecutor(1) as other:
        with measuring:
            waits = other.submit(here.choose, 3_000)
            time.sleep(0.1)
            assert here.started == []
            where = memory.circumstances({"source": "e"}, "cpu", len(SAMPLE))
            memory.remember(where, {"torch": Trial(100, 0), "openvino": Trial(90, 0)})
        assert waits.result() == "torch"
    assert (here.started, here.said) == (["torch"], [])


def test_without_a_home_nobody_waits(machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine(torch=0.02, openvino=0.005)
    monkeypatch.setenv("EMBEDKIT_HOME", "/proc/nowhere")
    assert here.choose() == "openvino"
    assert "(not remembered: /proc/nowhere/engines.json can't be written)" in here.said[0]
