"""Several encoders over one set, and encoders for which there is not enough memory."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit import images
from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.encoders import OutOfMemory
from embedkit.extraction import Job, Silent, extract, extract_all
from tests.extraction.fake import PREPROCESSING, FakeEncoder, expected, job, run, write_images


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each image was read."""
    counted: Counter[str] = Counter()
    real = images.read

    def read_once(address: str) -> object:
        counted[address] += 1
        return real(address)

    monkeypatch.setattr(images, "read", read_once)
    return counted


def _jobs() -> list[Job]:
    large = replace(PREPROCESSING, size=20, resize=20)
    return [job(weights="1"), replace(job(weights="2"), preprocessing=large), job(FakeEncoder(), weights="3")]


def test_each_image_is_decoded_once_and_vectors_are_those_of_a_run_alone(
    folder: Path, tmp_path: Path, loads: Counter[str]
) -> None:
    dataset = open_dataset(f"folder:{folder}")
    (folder / "a" / "00000.png").write_text("broken")
    reports = extract_all(dataset, _jobs(), tmp_path / "together", workers=0, batch=8)
    assert set(loads.values()) == {1}
    assert len(loads) == 30
    assert len({report.path for report in reports}) == 3
    for report, alone in zip(reports, _jobs(), strict=True):
        other = extract(dataset, alone, tmp_path / "alone", workers=0, batch=8)
        assert (report.key, report.embedded, report.reused, len(report.ledger)) == (alone.key, 29, 0, 1)
        assert read(report.path).X.tobytes() == read(other.path).X.tobytes()
        assert read(report.path).table.equals(read(other.path).table)
        assert report.ledger == other.ledger


def test_what_one_of_them_has_is_decoded_for_the_others_alone(
    folder: Path, tmp_path: Path, loads: Counter[str]
) -> None:
    one, two, three = _jobs()
    extract(open_dataset(f"folder:{folder}"), one, tmp_path, workers=0)
    write_images(folder, 6, first=100)
    extract(open_dataset(f"folder:{folder}"), two, tmp_path, workers=0)
    loads.clear()
    dataset = open_dataset(f"folder:{folder}")
    reports = extract_all(dataset, [three, one, two], tmp_path, workers=0, batch=8)
    assert [report.embedded for report in reports] == [36, 6, 0]
    assert set(loads.values()) == {1}
    for report in (reports[0], reports[1]):
        np.testing.assert_array_equal(read(report.path).X, expected(dataset))
    assert [report.embedded for report in extract_all(dataset, [one, two, three], tmp_path)] == [0, 0, 0]


def test_their_cost_is_shared_out(folder: Path, tmp_path: Path) -> None:
    slow, quick = job(FakeEncoder(pause=0.02), weights="1"), job(weights="2")
    reports = extract_all(open_dataset(f"folder:{folder}"), [slow, quick], tmp_path, workers=0, batch=8)
    costs = [read(report.path).provenance["cost"] for report in reports]
    seconds = [float(text.split('"wall_seconds": ')[1].split(",")[0]) for text in costs]
    assert seconds[0] > seconds[1] > 0
    assert sum(seconds) <= reports[0].seconds


class _Small(FakeEncoder):
    """An encoder with memory for so many images."""

    most = 3

    def encode(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > self.most:
            raise OutOfMemory("no memory")
        return super().encode(batch)


class _Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_batch_that_needs_too_much_memory_is_halved_and_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    encoder, told = _Small(), _Notes()
    report = run(folder, tmp_path, encoder, progress=told)
    assert (report.embedded, len(report.ledger)) == (30, 0)
    assert encoder.batches == [2] * 15
    assert [note.split("so ")[1].split(" ")[0] for note in told.notes] == ["4", "2"]
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_no_memory_for_one_image_is_an_error(folder: Path, tmp_path: Path) -> None:
    encoder = _Small()
    encoder.most = 0
    with pytest.raises(OutOfMemory):
        run(folder, tmp_path, encoder)
