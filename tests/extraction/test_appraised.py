"""What int8 gains and costs is what encoders whose speed and vectors are known gain and cost."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.datasets import ImageSet, open_dataset
from embedkit.encoders import QuantisedNetwork
from embedkit.encoders.engines import running
from embedkit.errors import EmbedkitError
from embedkit.extraction import Silent, appraised
from embedkit.extraction.appraised import Appraisal, Rivals
from embedkit.extraction.decode import Way
from embedkit.extraction.drawn import draw, in_drawn_order
from tests.extraction import fake
from tests.extraction.fake import PREPROCESSING, FakeEncoder, write_images

WAY = Way(PREPROCESSING)


@dataclass
class Turned(FakeEncoder):
    """Gives other vectors for dark images than for bright ones."""

    turn: float = 0.0

    def encode(self, batch: np.ndarray) -> np.ndarray:
        vectors = super().encode(batch)
        vectors[:, 0] += self.turn * (vectors[:, 1] > 127)
        return vectors


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appraised, "_SECONDS", 0.02)
    monkeypatch.setattr(appraised, "_ROUNDS", 3)
    monkeypatch.setattr(appraised, "_FEWEST", 10)
    # By a clock of the encoders' own, which nothing else on the machine slows down.
    clock = [0.0]

    def pause(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(running, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(fake, "time", SimpleNamespace(sleep=pause))


def _appraisal(
    folder: Path, calibrating: tuple[str, ...] = (), faster: float = 2.0, drift: Any = lambda *_: {"why": "no reason"}
) -> Appraisal:
    network = folder.parent / "network"
    QuantisedNetwork(b"", b"", "fp32", calibrating, "the set", {"nncf": "1"}).save(network)
    mine, other = Turned(pause=0.004 / faster, turn=30.0), FakeEncoder(pause=0.004, engine="openvino")
    best = Rivals("bf16", lambda _: [FakeEncoder(pause=0.02), other])
    return Appraisal("fake", "key", network, WAY, lambda _: mine, lambda _: FakeEncoder(), best, drift)


def _measured(appraisal: Appraisal, folder: Path, cache: Path) -> tuple[dict[str, Any], list[str], ImageSet]:
    dataset, tell = open_dataset(f"folder:{folder}"), Told()
    appraisal.measure(dataset, cache, 0, tell)
    known = appraisal.known(cache, dataset.name)
    assert known is not None
    return known, tell.lines, dataset


def test_the_cosines_are_those_of_the_vectors(folder: Path, cache: Path) -> None:
    known, _, dataset = _measured(_appraisal(folder), folder, cache)
    pixels = draw(dataset, in_drawn_order(dataset), 300, WAY, 0).pixels
    X, Y = Turned(turn=30.0).encode(pixels).astype(float), FakeEncoder().encode(pixels).astype(float)
    cosines = [x @ y / np.sqrt((x @ x) * (y @ y)) for x, y in zip(X, Y, strict=True)]
    assert known["cosine"]["mean"] == pytest.approx(np.mean(cosines))
    assert known["cosine"]["least"] == pytest.approx(min(cosines))
    assert min(cosines) < 0.999


def test_the_gain_is_the_ratio_of_the_rates_and_what_does_not_pay_is_said(folder: Path, cache: Path) -> None:
    known, lines, _ = _measured(_appraisal(folder, faster=4.0), folder, cache)
    rates = known["images_per_second"]
    assert known["gain"] == pytest.approx(rates["int8"] / rates["best_other"])
    assert known["gain"] == pytest.approx(4.0)
    assert known["best_other"] == {"precision": "bf16", "engine": "openvino"}
    assert f"{known['gain']:.2f} times the" in lines[-1]
    known, lines, _ = _measured(_appraisal(folder, faster=0.5), folder, cache.with_name("slow"))
    assert known["gain"] == pytest.approx(0.5)
    assert lines[-1].startswith("int8 does not pay on this machine: take --precision bf16")


def test_the_calibrating_images_are_not_measured_on_where_there_are_enough_others(folder: Path, cache: Path) -> None:
    dataset = open_dataset(f"folder:{folder}")
    calibrating = tuple(draw(dataset, in_drawn_order(dataset), 18, WAY, 0).digests)
    seen: list[EmbeddingSet] = []

    def drift(exact: EmbeddingSet, other: EmbeddingSet) -> dict[str, Any]:
        seen.extend((exact, other))
        return {"why": "seen"}

    known, lines, _ = _measured(_appraisal(folder, calibrating, drift=drift), folder, cache)
    assert (known["images"], known["held_out"]) == (12, True)
    assert "calibrated on 18 images of the set; measured on 12 others" in lines[-1]
    exact, other = seen
    assert exact.table.equals(other.table)
    assert set(exact.table["id"]).isdisjoint(dataset.table["id"][in_drawn_order(dataset)[:18]])
    assert (exact.X != other.X).any()
    write_images(folder, 32)
    all_but_two = tuple(draw(open_dataset(f"folder:{folder}"), range(30), 30, WAY, 0).digests)
    known, lines, _ = _measured(_appraisal(folder, all_but_two), folder, cache.with_name("few"))
    assert (known["images"], known["held_out"]) == (32, False)
    assert "the calibrating ones among them" in lines[-1]


def test_it_is_measured_once_and_said_each_time(folder: Path, cache: Path) -> None:
    first, lines, _ = _measured(_appraisal(folder), folder, cache)
    again, said, _ = _measured(_appraisal(folder), folder, cache)
    assert first == again
    assert said == lines[-len(said) :]
    assert len(said) < len(lines)


def test_a_file_that_says_something_else_is_told_and_measured_again(folder: Path, cache: Path) -> None:
    appraisal = _appraisal(folder)
    first, lines, dataset = _measured(appraisal, folder, cache)
    file = appraisal.file(cache, dataset.name)
    for content in ('{"a": 1}', "3", json.dumps({**first, "gain": "fast"}), json.dumps(first)[:-1]):
        file.write_text(content)
        assert appraisal.known(cache, dataset.name) is None
        again, said, _ = _measured(appraisal, folder, cache)
        assert said[0] == f"{file} is damaged: what it said is measured again"
        assert len(said) == len(lines) + 1
        assert again.keys() == first.keys()


def test_why_there_is_no_auc_is_said(folder: Path, cache: Path) -> None:
    def refuse(*_: EmbeddingSet) -> dict[str, Any]:
        raise EmbedkitError("too few labels")

    known, lines, _ = _measured(_appraisal(folder, drift=refuse), folder, cache)
    assert known["auc"] == {"why": "too few labels"}
    assert "no AUC drift: too few labels" in " ".join(lines)


def test_rates_are_measured_in_turns() -> None:
    calls: list[str] = []

    @dataclass
    class Named(FakeEncoder):
        name: str = ""

        def encode(self, batch: np.ndarray) -> np.ndarray:
            calls.append(self.name)
            return super().encode(batch)

    one, two = Named(name="one", pause=0.001), Named(name="two", pause=0.001)
    appraised._interleaved([one, two], np.zeros((2, *WAY.shape), np.uint8))
    changes = sum(a != b for a, b in pairwise(calls))
    assert changes == 5
