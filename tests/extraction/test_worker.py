"""What comes of a share depends on its rows alone, so a share done twice gives the same files."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache.shards import read_shards
from embedkit.datasets import open_dataset
from embedkit.errors import EmbedkitError
from embedkit.extraction.worker import Done, Share, Worker, stretch_rows
from tests.extraction.fake import FakeEncoder, expected, job, write_images

ROWS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, ROWS)
    (folder / "a" / "broken.png").write_text("no image")
    return folder


def _share(folder: Path) -> Share:
    addresses = open_dataset(f"folder:{folder}").addresses()
    return Share(tuple(range(len(addresses))), tuple(addresses), (0,))


def _worker(cache: Path, encoder: FakeEncoder | None = None, batch: int | None = None) -> Worker:
    made = job(encoder)
    return Worker([made], [made.store(cache, "set")], ROWS, 0, batch, [""])


def test_every_row_is_told_once_and_the_shards_hold_the_vectors(folder: Path, tmp_path: Path) -> None:
    share = _share(folder)
    told = list(_worker(tmp_path).embed(share))
    rows = [row for done in told for row in (*done.rows, *(failure.row for failure in done.failures))]
    assert sorted(rows) == list(share.rows)
    assert [len(done.rows) + len(done.failures) for done in told] == [256, 256, 89, 0]
    assert [done.cost is not None for done in told] == [False, False, False, True]
    shards = [shard for done in told for made in done.made for shard in made.shards]
    kept = list(read_shards(shards[0].path.parent))
    assert {shard.path for shard in kept} == {shard.path for shard in shards}
    assert sum(shard.count for shard in kept) == ROWS
    assert [f.reason for done in told for f in done.failures] == ["not an image"]


@pytest.mark.parametrize("batch", [None, 7])
def test_a_share_that_is_done_again_gives_the_same_files(folder: Path, tmp_path: Path, batch: int | None) -> None:
    share = _share(folder)
    worker = _worker(tmp_path, batch=batch)
    first = [done.made for done in worker.embed(share)]
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.h5")}
    list(worker.embed(share))
    list(_worker(tmp_path, batch=batch).embed(share))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.h5")} == files
    assert len(files) == sum(len(one.shards) for made in first for one in made)


def test_a_stretch_is_a_shard_in_whole_batches() -> None:
    assert [stretch_rows(batch) for batch in (None, 1, 32, 100, 256, 1000)] == [256, 256, 256, 300, 256, 1000]
    assert [len(piece.rows) for piece in Share(tuple(range(7)), ("",) * 7, (0,)).cut(3)] == [3, 3, 1]


def test_each_vector_that_is_not_finite_is_told_once(folder: Path, tmp_path: Path) -> None:
    class Overflowing(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            X = super().encode(batch)
            X[X[:, 0] > middle] = np.inf
            return X

    X = expected_of(folder)
    middle = np.median(X[:, 0])
    told = list(_worker(tmp_path, Overflowing()).embed(_share(folder)))
    lost = [digest for done in told for made in done.made for digest in made.lost]
    assert len(lost) == len(set(lost)) == (X[:, 0] > middle).sum()


def expected_of(folder: Path) -> np.ndarray:
    data = open_dataset(f"folder:{folder}")
    table = data.table[data.table["path"] != "a/broken.png"]
    return expected(type(data)(data.name, data.root, table, data.targets))


def test_an_error_is_handed_over_in_words(folder: Path, tmp_path: Path) -> None:
    class Refuses(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            raise EmbedkitError("the model has another output")

    block = {"share": [pickle.dumps(_share(folder))]}
    [told] = _worker(tmp_path, Refuses())(block)
    done = pickle.loads(told["done"][0])
    assert isinstance(done, Done)
    assert done.error.startswith("the model has another output (a worker on ")


def test_a_share_that_kills_each_worker_ends_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    share = Share((0,), _share(folder).addresses[:1], (0,))
    for _ in range(4):
        killed = _worker(tmp_path).embed(share)
        assert not next(killed).error
        killed.close()
    [told] = _worker(tmp_path).embed(share)
    assert "4 workers died one after the other over the same 1 images" in told.error
    assert share.addresses[0] in told.error
