"""Calibration: where the int8 networks of a cache are, and how one is made of a few hundred images of a set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from embedkit import encoders
from embedkit.cache import EmbeddingSet, NotCached, cache_key
from embedkit.cache.errors import writing_to
from embedkit.datasets import ImageSet, open_dataset
from embedkit.errors import EmbedkitError
from embedkit.extraction.decode import Way
from embedkit.extraction.drawn import draw, in_drawn_order
from embedkit.extraction.progress import Progress, Silent

IMAGES = 300
FOLDER = ".int8"


@dataclass(frozen=True)
class Calibration:
    """The set whose images calibrate networks in int8, and where these are: one per set and encoder.

    Attributes:
        cache: the folder of all caches. name: of the set. data: its address; None where no network may be made.
        root: the folder of all data sets. workers: decoding processes. progress: told of what is made.
        drift: what the AUC of a probe loses, from embeddings of the same images in fp32 and in int8.
    """

    cache: Path
    name: str
    data: str | None
    drift: Callable[[EmbeddingSet, EmbeddingSet], dict[str, Any]]
    root: Path | None = None
    workers: int | None = None
    progress: Progress | None = None

    @property
    def folder(self) -> Path:
        """Where the networks are that this set has calibrated; a worker of a cluster runs in another folder."""
        return (self.cache / self.name / FOLDER).absolute()

    def network(
        self, card: encoders.EncoderCard, weights: encoders.Weights, way: Way, configuration: Mapping[str, Any]
    ) -> Path:
        """Return the file of the network of an encoder; where there is none, it is made.

        Args:
            weights: of the encoder. way: how its images are decoded and prepared.
            configuration: all that changes a vector, but for the network.

        Raises:
            NotCached: there is none, and none may be made.
            EmbedkitError: no image can be read, a package is missing, NNCF can't quantise the model.
        """
        path = self.folder / f"{card.slug}.{cache_key(dict(configuration))}.safetensors"
        if path.exists():
            return path
        if self.data is None:
            raise NotCached(
                f"there is no network of {card.name} in int8, calibrated on {self.name}, in {self.folder}: "
                f"embedkit extract --model {card.name} --data {self.name} --precision int8 makes one"
            )
        encoders.check_quantises()
        dataset = open_dataset(self.data, self.root)
        with writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f".{path.name}.lock")
        with lock:
            if not path.exists():
                self._quantise(card, weights, way, dataset).save(path)
        return path

    def _quantise(
        self, card: encoders.EncoderCard, weights: encoders.Weights, way: Way, dataset: ImageSet
    ) -> encoders.QuantisedNetwork:
        # Where a set says which images are to learn from, no judged one decides a scale.
        images = draw(dataset, in_drawn_order(dataset, "train"), IMAGES, way, self.workers)
        if not images.rows:
            raise EmbedkitError(f"none of the {len(dataset)} images of {self.name} can be read, so none can calibrate")
        tell = self.progress or Silent()
        tell.note(f"{card.name}: int8 is calibrated on {len(images.rows)} images of {self.name}, once")
        return encoders.quantise(card, weights, images.pixels, tuple(images.digests), self.name)


def networks_of(cache: Path, encoder: str = "*") -> list[str]:
    """Return the names of the sets that have calibrated a network of an encoder, or of any."""
    return sorted({path.parent.parent.name for path in cache.glob(f"*/{FOLDER}/{encoder}.*.safetensors")})
