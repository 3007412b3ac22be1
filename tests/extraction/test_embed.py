"""Batches in flight: in order whatever order they land in, few at a time, and taken back where memory runs out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from embedkit.cache import Store, read
from embedkit.datasets import open_dataset
from embedkit.encoders import OutOfMemory, engines
from embedkit.errors import EmbedkitError
from embedkit.extraction import Interrupted, Silent, embed, extract, prepare
from embedkit.extraction.embed import Embedder
from tests.extraction.fake import FakeEncoder, job, write_images

IMAGES = np.random.default_rng(0).integers(0, 256, (90, 4, 4, 3), np.uint8)


@dataclass
class Beside(FakeEncoder):
    """An encoder that wants three batches at once; they take longer the darker their first pixel is."""

    streams: int = 3
    most: int = 10**9
    at_once: int = 0
    seen: list[int] = field(default_factory=list)
    turn: Lock = field(default_factory=Lock)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        with self.turn:
            self.at_once += 1
            self.seen.append(self.at_once)
        try:
            time.sleep(batch[0, 0, 0, 0] / 255 * 0.01)
            if len(batch) > self.most:
                raise OutOfMemory("no memory")
            return super().encode(batch)
        finally:
            with self.turn:
                self.at_once -= 1


@pytest.fixture
def embedder(tmp_path: Path) -> Callable[[FakeEncoder], Embedder]:
    def make(encoder: FakeEncoder) -> Embedder:
        made = job(encoder)
        return Embedder(made, made.store(tmp_path, "set"), 8, len(IMAGES), lambda _: None)

    return make


def vectors_of(made: Embedder) -> tuple[list[str], np.ndarray]:
    digests = [digest.decode() for shard in made.shards for digest in shard.digests()]
    return digests, np.concatenate([_read(shard.path) for shard in made.shards])


def _read(path: Path) -> np.ndarray:
    import h5py

    with h5py.File(path) as file:
        return np.asarray(file["X"])


def digest(number: int) -> str:
    return f"{number:032x}"


def embed_all(embedder: Embedder) -> None:
    """Embed all images; their vectors are those of the encoder, in their order."""
    for number, image in enumerate(IMAGES):
        embedder.add(digest(number), image)
    embedder.finish()
    embedder.stop()
    digests, X = vectors_of(embedder)
    assert digests == list(map(digest, range(90)))
    np.testing.assert_array_equal(X, FakeEncoder().encode(IMAGES))


@pytest.mark.parametrize("most", [10**9, 4, 1])
def test_vectors_come_in_the_order_of_the_images(embedder: Callable[[FakeEncoder], Embedder], most: int) -> None:
    encoder = Beside(most=most)
    made = embedder(encoder)
    embed_all(made)
    assert max(encoder.seen) == 3
    assert made.batch == min(8, most)
    assert made.seconds > 0


def test_few_batches_wait_however_slow_the_encoder(embedder: Callable[[FakeEncoder], Embedder]) -> None:
    made = embedder(Beside(pause=0.02))
    for number, image in enumerate(IMAGES):
        made.add(digest(number), image)
        assert len(made.flying) <= 4
        assert len(made.waiting) < 8
    made.stop()


def test_stopping_keeps_what_is_encoded_or_being_encoded(embedder: Callable[[FakeEncoder], Embedder]) -> None:
    made = embedder(Beside(pause=0.05))
    for number, image in enumerate(IMAGES[:36]):
        made.add(digest(number), image)
    made.stop()
    digests, X = vectors_of(made)
    # Four batches are in flight by then, of which the fourth may still wait for a thread; four images wait for a batch.
    assert digests == list(map(digest, range(len(digests))))
    assert len(digests) in {24, 32}
    np.testing.assert_array_equal(X, FakeEncoder().encode(IMAGES[: len(digests)]))


def test_the_engine_is_told_what_is_to_come(tmp_path: Path) -> None:
    occasions = []

    def load(occasion, device):
        occasions.append((occasion, device))
        return FakeEncoder()

    made = replace(job(), load=load)
    store: Store = made.store(tmp_path, "set")
    told = Embedder(made, store, 8, 500, print)
    told.add("0" * 32, IMAGES[0])
    told.finish()
    told.stop()
    [(occasion, device)] = occasions
    assert device == "cpu"
    assert (occasion.images, occasion.sample.shape, occasion.note) == (500, (8, 4, 4, 3), print)
    assert (occasion.sample[0] == IMAGES[0]).all()
    assert not occasion.sample[1:].any()


@pytest.mark.parametrize(("grows", "device", "sizes"), [(True, "gpu", {32}), (False, "gpu", {8}), (True, "cpu", {8})])
def test_batches_grow_on_a_gpu_and_give_the_same_vectors(
    grows: bool, device: str, sizes: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "best_batch", lambda *_: 32)
    encoder = FakeEncoder()
    made = replace(job(encoder), device=lambda: device)
    grown = Embedder(made, made.store(tmp_path, "set"), 8, len(IMAGES), lambda _: None, grows)
    embed_all(grown)
    assert set(encoder.batches) == sizes


class _Impatient(Silent):
    """Presses Ctrl-C once so many images are done."""

    def __init__(self, images: int) -> None:
        self.left = images

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt


def test_weights_that_change_after_they_were_hashed_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "test_resnet.safetensors"

    def write(seed: int) -> None:
        torch.manual_seed(seed)
        save_file(timm.create_model("test_resnet").state_dict(), weights)

    write(0)
    write_images(tmp_path / "images", 5)
    dataset, how = open_dataset(f"folder:{tmp_path / 'images'}"), {"weights": weights, "precision": "fp32"}
    made = prepare("timm:test_resnet", **how)
    write(1)
    with pytest.raises(EmbedkitError, match=r"test_resnet\.safetensors were changed during the run"):
        extract(dataset, made, tmp_path / "cache", workers=0)
    assert not list(tmp_path.rglob("*.h5ad"))
    # Another file with the same content is the same weights.
    write(0)
    assert extract(dataset, made, tmp_path / "cache", workers=0).embedded == 5
    assert prepare("timm:test_resnet", **how).key == made.key


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_real_engine_that_is_interrupted_gives_the_same_bits(engine: str, tmp_path: Path) -> None:
    if missing := engines.lacks(engine, "fp32", "cpu"):
        pytest.skip(missing)
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "test_resnet.safetensors")
    made = prepare("timm:test_resnet", weights=tmp_path / "test_resnet.safetensors", precision="fp32", engine=engine)
    write_images(tmp_path / "images", 90)
    dataset = open_dataset(f"folder:{tmp_path / 'images'}")
    options = {"workers": 0, "batch": 8}
    with pytest.raises(Interrupted):
        extract(dataset, made, tmp_path / "one", progress=_Impatient(50), **options)
    again = extract(dataset, made, tmp_path / "one", **options)
    whole = extract(dataset, made, tmp_path / "two", **options)
    assert again.engine == whole.engine == engine
    assert 0 < again.reused < 90 == whole.embedded
    assert read(again.path).X.tobytes() == read(whole.path).X.tobytes()
    assert len(np.unique(read(whole.path).X, axis=0)) == 90
