"""Appraisal: what int8 gains on this machine and what it costs, measured on images of the set that is embedded."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from embedkit import encoders
from embedkit.cache import EmbeddingSet
from embedkit.cache.errors import writing_to
from embedkit.cache.whole import whole_file
from embedkit.datasets import ImageSet
from embedkit.encoders.device import cpu_name
from embedkit.encoders.engines.running import rate_of
from embedkit.errors import EmbedkitError
from embedkit.extraction.calibrated import FOLDER
from embedkit.extraction.decode import Way
from embedkit.extraction.drawn import Drawn, draw, in_drawn_order
from embedkit.extraction.plan import canonical_table
from embedkit.extraction.progress import Progress

IMAGES = 300
# Fewer others than these say less than the calibrating images themselves.
_FEWEST = 50
_BATCH, _SECONDS, _ROUNDS = 32, 1.0, 5
WORTH_IT = 1.1
"""int8 as often as fast as the best other precision, or it does not pay."""

Load = Callable[[encoders.Occasion], encoders.Encoder]


@dataclass(frozen=True)
class Rivals:
    """The encoder in the best other precision, in every engine that may be the fastest here."""

    precision: str
    load: Callable[[encoders.Occasion], Sequence[encoders.Encoder]]


@dataclass(frozen=True)
class Appraisal:
    """What measures an encoder in int8.

    Attributes:
        encoder, key: of the cache files that say what it is worth. network: the file of its network. way: how images
            are decoded and prepared. load: the encoder in int8. exact: in fp32. best: its rivals.
        drift: as in `Calibration`.
    """

    encoder: str
    key: str
    network: Path
    way: Way
    load: Load
    exact: Load
    best: Rivals
    drift: Callable[[EmbeddingSet, EmbeddingSet], dict[str, Any]]

    def file(self, cache: Path, data: str) -> Path:
        """Return where it is written down what was measured on a set."""
        return cache / data / FOLDER / f"{self.encoder}.{self.key}.json"

    def known(self, cache: Path, data: str) -> dict[str, Any] | None:
        """Return what was measured on a set; None where nothing was, or it can't be read or told."""
        try:
            measured: dict[str, Any] = json.loads(self.file(cache, data).read_text(encoding="utf-8"))
            told(self.encoder, measured)
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return measured

    def measure(self, dataset: ImageSet, cache: Path, workers: int | None, progress: Progress) -> None:
        """Measure on a set, unless that was done, and say what came of it."""
        file = self.file(cache, dataset.name)
        with writing_to(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(file.with_name(f".{file.name}.lock"))
        with lock:
            known = self.known(cache, dataset.name)
            if known is None:
                if file.exists():
                    progress.note(f"{file} is damaged: what it said is measured again")
                progress.note(
                    f"{self.encoder}: what int8 gains and costs is measured on images of {dataset.name}, once"
                )
                known = self._measured(dataset, workers, progress)
                with writing_to(file.parent), whole_file(file) as temporary:
                    temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
        for line in told(self.encoder, known):
            progress.note(line)

    def _measured(self, dataset: ImageSet, workers: int | None, progress: Progress) -> dict[str, Any]:
        made = encoders.network_facts(self.network)
        images, others = self._images(dataset, frozenset(made["images"]), workers)
        if not images.rows:
            raise EmbedkitError(f"none of the {len(dataset)} images of {dataset.name} can be read")
        occasion = encoders.Occasion(np.resize(images.pixels, (_BATCH, *self.way.shape)), len(dataset), progress.note)
        mine, rivals = self.load(occasion), self.best.load(occasion)
        rate, *rates = _interleaved([mine, *rivals], occasion.sample)
        best = int(np.argmax(rates))
        X, exact = _vectors(mine, images.pixels), _vectors(self.exact(occasion), images.pixels)
        cosine = _cosines(X, exact)
        return {
            "network": made["digest"],
            "calibrated_on": {"data": made["data"], "images": len(made["images"])},
            "made_with": made["made_with"],
            "images": len(images.rows),
            "held_out": others,
            "images_per_second": {"int8": rate, "best_other": rates[best]},
            "best_other": {"precision": self.best.precision, "engine": rivals[best].engine},
            "gain": rate / rates[best],
            "machine": cpu_name(),
            "cosine": {"mean": float(cosine.mean()), "least": float(cosine.min())},
            "auc": self._drift(dataset, images.rows, X, exact),
        }

    def _images(self, dataset: ImageSet, calibrating: frozenset[str], workers: int | None) -> tuple[Drawn, bool]:
        rows = in_drawn_order(dataset)
        images = draw(dataset, rows, IMAGES, self.way, workers, without=calibrating)
        if len(images.rows) >= _FEWEST:
            return images, True
        return draw(dataset, rows, IMAGES, self.way, workers), False

    def _drift(
        self, dataset: ImageSet, rows: Sequence[int], X: NDArray[np.float32], exact: NDArray[np.float32]
    ) -> dict[str, Any]:
        """Return what the AUC loses, or ``why`` it can't be said."""
        if not dataset.targets:
            return {"why": "the set has no labels"}
        table = canonical_table(dataset).loc[list(rows)].reset_index(drop=True)
        told = {"targets": {name: list(columns) for name, columns in dataset.targets.items()}, "facts": {}}
        whole = EmbeddingSet(exact, table, {"name": dataset.name, "encoder": self.encoder, "dataset": told})
        try:
            return self.drift(whole, replace(whole, X=X))
        except EmbedkitError as error:
            return {"why": str(error)}


def told(encoder: str, measured: dict[str, Any]) -> list[str]:
    """Return what was measured, in words."""
    made, cosine = measured["calibrated_on"], measured["cosine"]
    rates, best = measured["images_per_second"], measured["best_other"]
    which = "others" if measured["held_out"] else "images, the calibrating ones among them, for there are few others"
    lines = [
        f"{encoder} in int8, calibrated on {made['images']} images of {made['data']}; measured on {measured['images']} "
        f"{which}: {rates['int8']:.1f} images/s, {measured['gain']:.2f} times the {rates['best_other']:.1f} of "
        f"{best['precision']} ({best['engine']}); cosine to fp32 {cosine['mean']:.4f} in the mean, "
        f"{cosine['least']:.4f} at least; {_drift_told(measured['auc'])}"
    ]
    if measured["gain"] < WORTH_IT:
        lines.append(
            f"int8 does not pay on this machine: take --precision {best['precision']}. It is done all the same, for it "
            "was asked for"
        )
    return lines


def _drift_told(auc: dict[str, Any]) -> str:
    if "why" in auc:
        return f"no AUC drift: {auc['why']}"
    return (
        f"AUC of {auc['target']} {auc['other']:.3f} instead of {auc['exact']:.3f} (difference "
        f"{auc['difference']:+.3f}, {auc['low']:+.3f} to {auc['high']:+.3f}; {auc['probe']})"
    )


def _interleaved(rivals: Sequence[encoders.Encoder], sample: NDArray[np.uint8]) -> list[float]:
    """Return the median images/s of each, measured in turns: a machine that slows down slows all of them."""
    rounds = [
        [rate_of(one.encode, one.threads, one.streams, sample, _SECONDS) for one in rivals] for _ in range(_ROUNDS)
    ]
    return [float(rate) for rate in np.median(rounds, axis=0)]


def _vectors(encoder: encoders.Encoder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    def embedded(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        # A network of another size would be compiled for the last batch alone.
        return encoder.encode(np.resize(batch, (_BATCH, *batch.shape[1:])))[: len(batch)]

    with encoder.threads() as pool:
        return np.concatenate(list(pool.map(embedded, np.array_split(pixels, -(-len(pixels) // _BATCH)))))


def _cosines(X: NDArray[np.float32], Y: NDArray[np.float32]) -> NDArray[np.float64]:
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    cosines: NDArray[np.float64] = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    return cosines
