"""The engine that is fastest for an encoder on this machine: tried once, on images of the set, and remembered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders import engines
from embedkit.encoders.engines.memory import Trial, circumstances, memory_file, one_at_a_time, recall, remember
from embedkit.encoders.engines.running import Running, rate_of
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.images.errors import reason_of

# Seconds that it takes to start an engine and to see how fast it is. A run that would not last twice as long is left
# to what is known.
_TAKES = {"openvino": 6.0, "onnx": 6.0, "compile": 60.0}
_LONG = 30.0
_FEW = 256
_SECONDS = 1.5
_WORTH_LEAVING_TORCH = 1.05

_LARGEST_DIFFERENCE = {"bf16": 1e-3, "fp32": 1e-5}
"""Of 1 - cosine to torch in the same precision: no more than what bf16 itself is allowed."""


@dataclass(frozen=True)
class Occasion:
    """What an encoder is built for.

    Attributes:
        sample: the first batch, (n, h, w, 3) uint8.
        images: how many are to be embedded in all.
        note: told of what was measured.
        before: the engine of the vectors that a killed run has left, empty if there are none.
    """

    sample: NDArray[np.uint8]
    images: int
    note: Callable[[str], None]
    before: str = ""


@dataclass
class Contest:
    """The engines of one encoder on one machine.

    Attributes:
        name: of the encoder. configuration: of the encoder, from `configuration`.
        build: builds its model anew.
        running: engines that are ready. wanted: the vectors of torch for the sample.
    """

    name: str
    configuration: Mapping[str, Any]
    build: engines.Build
    preprocessing: Preprocessing
    precision: str
    device: str
    running: dict[str, Running] = field(default_factory=dict)
    wanted: NDArray[np.float32] | None = None

    def fastest(self, occasion: Occasion) -> tuple[str, Running]:
        """Return the name of the fastest engine that gives the vectors of torch, and the model running in it.

        An engine is tried where nothing is remembered of it and the run is long enough to earn its start back. A run
        that goes on keeps its engine, so that it ends with the same bits.
        """
        if occasion.before in engines.MODULES and not self._lacks(occasion.before):
            return occasion.before, self._start(occasion.before)
        where = circumstances(self.configuration, self.device, len(occasion.sample))
        trials = recall(where)
        if not trials and occasion.images < _FEW:
            return engines.DEFAULT, self._start(engines.DEFAULT)
        if self._next(trials, occasion.images):
            # Processes for several GPUs would disturb each other's measurements, and could come to different choices.
            with one_at_a_time():
                trials = self._tried(where, occasion)
        best = self._best(trials)
        return best, self._start(best)

    def _tried(self, where: Mapping[str, Any], occasion: Occasion) -> dict[str, Trial]:
        """Try what is worth it, and remember and tell what came of it."""
        trials = recall(where)
        known = len(trials)
        while name := self._next(trials, occasion.images):
            if _TAKES.get(name, 0) > _LONG:
                occasion.note(f"{self.name}: trying the engine {name} once, for a minute or longer")
            trials[name] = self._try(name, occasion.sample)
            best = self._best(trials)
            self.running = {name: self.running[name] for name in (best,) if name in self.running}
        if len(trials) > known:
            kept = remember(where, trials)
            occasion.note(self._account(self._best(trials), trials, kept))
        return trials

    def _next(self, trials: Mapping[str, Trial], images: int) -> str:
        """Return the engine that is to be tried next, empty if none is worth it."""
        # What is quickest to try comes first: what it shows may spare the rest.
        order = (engines.DEFAULT, *sorted(_TAKES, key=lambda name: _TAKES[name]))
        return next((name for name in order if name not in trials and self._worth_it(name, trials, images)), "")

    def _start(self, name: str) -> Running:
        if name not in self.running:
            self.running[name] = engines.start(name, self.build, self.preprocessing, self.precision, self.device)
        return self.running[name]

    def _worth_it(self, name: str, trials: Mapping[str, Trial], images: int) -> bool:
        if name == engines.DEFAULT:
            return True
        seconds = images / trials[self._best(trials)].images_per_second
        return seconds > 2 * _TAKES[name] and not self._lacks(name)

    def _lacks(self, name: str) -> str:
        return engines.lacks(name, self.precision, self.device)

    def _best(self, trials: Mapping[str, Trial]) -> str:
        limit = _LARGEST_DIFFERENCE[self.precision]
        rates = {name: t.images_per_second for name, t in trials.items() if not t.failed and t.difference <= limit}
        best = max(rates, key=lambda name: rates[name])
        return best if rates[best] > _WORTH_LEAVING_TORCH * rates[engines.DEFAULT] else engines.DEFAULT

    def _try(self, name: str, sample: NDArray[np.uint8]) -> Trial:
        if name == engines.DEFAULT:
            return Trial(_rate(self._start(name), sample), 0.0)
        if self.wanted is None:
            self.wanted = self._start(engines.DEFAULT).run_in_thread(sample)
        try:
            running = self._start(name)
            difference = _difference(running.run_in_thread(sample), self.wanted)
            return Trial(_rate(running, sample), difference)
        except (EmbedkitError, RuntimeError) as error:
            return Trial(0.0, 0.0, reason_of(error))

    def _account(self, best: str, trials: Mapping[str, Trial], kept: bool) -> str:
        def told(name: str) -> str:
            trial = trials[name]
            if trial.failed:
                return f"{name} can't run it"
            far = trial.difference > _LARGEST_DIFFERENCE[self.precision]
            return f"{name} {trial.images_per_second:.1f}" + (" but other vectors" if far else "")

        rates = ", ".join(told(name) for name in trials)
        where = f"remembered in {memory_file()}" if kept else f"not remembered: {memory_file()} can't be written"
        return f"{self.name}: engine {best}; images/s measured now: {rates} ({where})"


def _rate(running: Running, sample: NDArray[np.uint8]) -> float:
    return rate_of(running.run, running.threads, running.streams, sample, _SECONDS)


def _difference(X: NDArray[np.float32], Y: NDArray[np.float32]) -> float:
    """Return the largest 1 - cosine between rows; of a row of zeros with itself it is 0."""
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(Y, axis=1)
    dots = (X * Y).sum(1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        differences = np.where((X == Y).all(1), 0.0, 1 - dots / lengths)
    # NaN is as different as can be.
    return float(np.nan_to_num(differences, nan=np.inf).max())
