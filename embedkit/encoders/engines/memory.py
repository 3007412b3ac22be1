"""What was measured of engines and sizes of batch on this machine, remembered in one small file of the user's."""

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from embedkit.cache.whole import whole_file
from embedkit.encoders.device import cpu_name, kind_of
from embedkit.encoders.engines import DEFAULT
from embedkit.machine import cores, version_of

_PACKAGES = ("torch", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Trial:
    """One engine that was tried.

    Attributes:
        images_per_second: of forward passes alone.
        difference: the largest 1 - cosine of its vectors to those of torch.
        failed: why it can't run this model, empty if it can.
    """

    images_per_second: float
    difference: float
    failed: str = ""


def memory_file() -> Path:
    """Return where it is: ``engines.json`` in ``EMBEDKIT_HOME``, by default ``~/.cache/embedkit``."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EMBEDKIT_HOME") or caches / "embedkit") / "engines.json"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait while another process of this user measures; where no lock can be had, nobody waits."""
    file = memory_file().with_name(f".{memory_file().name}.lock")
    with ExitStack() as held:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(file))
        yield


def circumstances(encoder: Mapping[str, Any], device: str, batch: int) -> dict[str, Any]:
    """Return everything that decides how fast an encoder is: itself, the machine, the libraries, the batch."""
    return {
        "encoder": {name: value for name, value in encoder.items() if name != "weights"},
        "machine": {"processor": cpu_name(), "cores": cores(), "device": _name_of(device)},
        "system": platform.platform(),
        "packages": {name: version_of(name) for name in _PACKAGES},
        "batch": batch,
    }


def recall(where: Mapping[str, Any]) -> dict[str, Trial]:
    """Return the trials of each engine in these circumstances; none where the file is absent or says what can't be."""
    try:
        trials = {name: Trial(**trial) for name, trial in _read()[_digest(where)]["trials"].items()}
        sound = trials[DEFAULT].images_per_second > 0 and all(
            math.isfinite(trial.images_per_second + trial.difference) for trial in trials.values()
        )
    except (KeyError, TypeError, AttributeError):
        return {}
    return trials if sound else {}


def remember(where: Mapping[str, Any], trials: Mapping[str, Trial]) -> bool:
    """Write the trials down, and say whether they are: a home that can't be written to forgets, to measure again."""
    return _write(where, "trials", {name: asdict(trial) for name, trial in trials.items()})


def recall_batches(where: Mapping[str, Any]) -> dict[int, float]:
    """Return images/s of each size of batch that was tried in these circumstances; none as `recall`."""
    try:
        rates = {int(size): float(rate) for size, rate in _read()[_digest(where)]["batches"].items()}
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
    return rates if all(size > 0 and 0 < rate < math.inf for size, rate in rates.items()) else {}


def remember_batches(where: Mapping[str, Any], rates: Mapping[int, float]) -> None:
    """Write images/s of each size of batch down, as `remember` does."""
    _write(where, "batches", {str(size): rate for size, rate in rates.items()})


def _write(where: Mapping[str, Any], name: str, found: Mapping[str, Any]) -> bool:
    file, known = memory_file(), _read()
    known[_digest(where)] = {**where, name: found}
    try:
        with whole_file(file) as temporary:
            temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
    except OSError:
        return False
    return True


def _read() -> dict[str, Any]:
    try:
        known = json.loads(memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(where: Mapping[str, Any]) -> str:
    return sha256(json.dumps(where, sort_keys=True).encode()).hexdigest()[:16]


def _name_of(device: str) -> str:
    if kind_of(device) != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name(device)
