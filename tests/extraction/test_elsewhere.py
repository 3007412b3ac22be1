"""What workers elsewhere made comes into the cache files as if it had been made here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedkit import EmbedkitError, images
from embedkit.cache import read
from embedkit.cost import Cost
from embedkit.datasets import open_dataset
from embedkit.extraction import Interrupted, Report, extract, extract_all
from embedkit.extraction.elsewhere import together
from embedkit.extraction.worker import Done, Share, Work, Worker
from tests.extraction.fake import MANY, Failing, FakeEncoder, job, run, telling


class InThisProcess:
    """A cluster of one worker, which is here."""

    workers = None

    def __init__(self) -> None:
        self.shares: list[Share] = []

    def embed(self, work: Work) -> Iterator[Done]:
        self.shares += work.shares
        worker = Worker(work.jobs, work.stores, work.images, work.decoders, work.batch, work.before)
        for share in work.shares:
            yield from worker.embed(share)


def _elsewhere(many: Path, cache: Path, encoder: FakeEncoder | None = None, **options: Any) -> Report:
    options = {"workers": 0, "batch": 8, "cluster": InThisProcess(), **options}
    return extract(open_dataset(f"folder:{many}"), job(encoder), cache, **options)


def _same(one: Report, two: Report) -> None:
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes()
    assert read(one.path).table.equals(read(two.path).table)
    assert (one.total, one.embedded, one.reused, one.ledger) == (two.total, two.embedded, two.reused, two.ledger)


def test_the_file_and_the_report_are_those_of_a_run_here(many: Path, tmp_path: Path) -> None:
    _same(_elsewhere(many, tmp_path / "one"), run(many, tmp_path / "two"))
    assert not list(tmp_path.rglob(".shards/*"))


def test_what_is_there_is_kept_and_several_encoders_share_a_pass(many: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    for path in sorted(many.rglob("*.png"))[:300]:
        (part / path.parent.name).mkdir(parents=True, exist_ok=True)
        (part / path.parent.name / path.name).write_bytes(path.read_bytes())
    run(part, tmp_path / "cache")
    here = InThisProcess()
    jobs = [job(), replace(job(weights="2"), multiply_adds=lambda _: 7)]
    options: dict[str, Any] = {"workers": 0, "batch": 8, "cluster": here}
    one, two = extract_all(open_dataset(f"folder:{many}"), jobs, tmp_path / "cache", **options)
    assert (one.embedded, two.embedded) == (MANY - 300, MANY)
    # The broken image is tried for both.
    assert {share.which: len(share.rows) for share in here.shares} == {(1,): 301, (0, 1): MANY - 300 + 1}
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes() == read(run(many, tmp_path / "o").path).X.tobytes()
    assert '"multiply_adds_per_image": 7' in read(two.path).provenance["cost"]


def test_images_are_decoded_as_the_key_says(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(tmp_path / "large" / f"{number}.jpg")
    data, scaled = open_dataset(f"folder:{tmp_path / 'large'}"), job(decoder=images.DECODERS["scaled"])
    here = extract(data, scaled, tmp_path / "one", workers=0, batch=8)
    there = extract(data, scaled, tmp_path / "two", workers=0, batch=8, cluster=InThisProcess())
    assert read(here.path).X.tobytes() == read(there.path).X.tobytes()
    assert (read(here.path).X != read(extract(data, job(), tmp_path / "one", workers=0).path).X).any()


@pytest.mark.parametrize("error", [EmbedkitError("another output"), KeyboardInterrupt()])
def test_what_was_made_before_an_error_is_kept(many: Path, tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(
        EmbedkitError, match=r"another output \(a worker on|The 256 embeddings made until now are kept"
    ) as told:
        _elsewhere(many, tmp_path / "one", Failing(error=error, after=70))
    assert isinstance(told.value, Interrupted) == isinstance(error, KeyboardInterrupt)
    report = _elsewhere(many, tmp_path / "one")
    assert report.reused >= 256
    assert read(report.path).X.tobytes() == read(run(many, tmp_path / "two").path).X.tobytes()


def test_workers_are_told_of_the_engine_of_the_run_that_they_go_on_from(many: Path, tmp_path: Path) -> None:
    told: list[str] = []
    data, options = open_dataset(f"folder:{many}"), {"workers": 0, "batch": 8, "cluster": InThisProcess()}
    with pytest.raises(EmbedkitError):
        extract(data, telling(Failing(after=70, engine="openvino"), told), tmp_path, **options)
    extract(data, telling(FakeEncoder(engine="openvino"), told), tmp_path, **options)
    assert told == ["", "openvino"]


def test_shards_that_can_not_be_seen_from_here_are_told(many: Path, tmp_path: Path) -> None:
    class OnAnotherDisk(InThisProcess):
        def embed(self, work: Work) -> Iterator[Done]:
            for done in super().embed(work):
                for made in done.made:
                    made.shards[:] = [replace(shard, path=tmp_path / "elsewhere") for shard in made.shards]
                yield done

    with pytest.raises(EmbedkitError, match="--cache must be a folder that all nodes share"):
        _elsewhere(many, tmp_path, cluster=OnAnotherDisk())


def test_the_clock_is_of_here_and_the_processors_are_everybodys() -> None:
    here, there = Cost(10.0, 1.0, 100, None, 1.0), Cost(9.0, 8.0, 300, None, 2.0)
    assert together(here, []) == here
    assert together(here, [there, there]) == Cost(10.0, 17.0, 300, None, None)
