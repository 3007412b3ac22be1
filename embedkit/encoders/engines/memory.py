"""What was measured of engines on this machine, remembered in one small file of the user's."""

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from embedkit.encoders.device import cpu_name

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


def circumstances(encoder: Mapping[str, Any], device: str, batch: int) -> dict[str, Any]:
    """Return everything that decides how fast an encoder is: itself, the machine, the libraries, the batch."""
    return {
        "encoder": {name: value for name, value in encoder.items() if name != "weights"},
        "machine": {"processor": cpu_name(), "cores": len(os.sched_getaffinity(0)), "device": _name_of(device)},
        "system": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "batch": batch,
    }


def recall(where: Mapping[str, Any]) -> dict[str, Trial]:
    """Return the trials of each engine in these circumstances; none where the file is absent or damaged."""
    try:
        return {name: Trial(**trial) for name, trial in _read()[_digest(where)]["trials"].items()}
    except (KeyError, TypeError, AttributeError):
        return {}


def remember(where: Mapping[str, Any], trials: Mapping[str, Trial]) -> None:
    """Write the trials down. A home that can't be written to forgets, which costs the time to measure again."""
    file = memory_file()
    known = _read()
    known[_digest(where)] = {**where, "trials": {name: asdict(trial) for name, trial in trials.items()}}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent, prefix=".engines-", delete=False, encoding="utf-8") as new:
            json.dump(known, new, indent=1)
        Path(new.name).replace(file)


def _read() -> dict[str, Any]:
    try:
        known = json.loads(memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(where: Mapping[str, Any]) -> str:
    return sha256(json.dumps(where, sort_keys=True).encode()).hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _name_of(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)
