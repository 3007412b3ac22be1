"""Energy from the counters of the machine: RAPL of the processor packages, NVML of NVIDIA GPUs.

A tool that multiplies a processor's rated power with the time gives a figure on every machine, but no measurement.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Linux shows the RAPL counters of Intel and AMD here, mostly to root alone.
RAPL = Path("/sys/class/powercap")
GPU = Path("/dev/nvidiactl")
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Counter:
    """An energy counter: ``joules`` now, and ``full``, where it starts again at 0."""

    joules: float
    full: float


Reading = Mapping[str, Counter]


def read_counters(rapl: Path = RAPL, gpu: Path = GPU) -> Reading | None:
    """Return the counters of this machine by name, or None where one of its parts has none that can be read."""
    try:
        packages = {str(zone): _package(zone) for zone in rapl.glob("intel-rapl:*") if _is_package(zone)}
    except (OSError, ValueError):
        return None
    gpus = _gpus() if gpu.exists() else {}
    return packages | gpus if packages and gpus is not None else None


def spent_kwh(before: Reading | None, after: Reading | None) -> float | None:
    """Return the energy between two readings in kWh; None where either is unknown."""
    if before is None or after is None or before.keys() != after.keys():
        return None
    return sum(_spent(before[name], counter) for name, counter in after.items()) / _JOULES_PER_KWH


def _is_package(zone: Path) -> bool:
    # The zones of cores and memory lie within a package, and the zone of the platform holds the packages.
    return (zone / "name").read_text(encoding="ascii").startswith("package")


def _package(zone: Path) -> Counter:
    microjoules = [int((zone / name).read_text(encoding="ascii")) for name in ("energy_uj", "max_energy_range_uj")]
    return Counter(microjoules[0] / 1e6, microjoules[1] / 1e6)


def _gpus() -> dict[str, Counter] | None:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        devices = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        joules = [nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1e3 for device in devices]
    except nvml.NVMLError:
        return None
    return {f"gpu {number}": Counter(value, float("inf")) for number, value in enumerate(joules)}


def _spent(before: Counter, after: Counter) -> float:
    difference = after.joules - before.joules
    return difference if difference >= 0 else difference + after.full
