"""Energy is read from counters, through their overflow, or not at all."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from embedkit.cost.energy import read_counters, spent_kwh


def _zone(rapl: Path, name: str, kind: str, microjoules: int) -> Path:
    zone = rapl / name
    zone.mkdir(parents=True, exist_ok=True)
    for file, value in (("name", kind), ("energy_uj", microjoules), ("max_energy_range_uj", 10_000_000)):
        (zone / file).write_text(f"{value}\n")
    return zone


@pytest.fixture
def rapl(tmp_path: Path) -> Path:
    _zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    _zone(tmp_path, "intel-rapl:0:0", "core", 1)
    _zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000)
    _zone(tmp_path, "intel-rapl:2", "psys", 0)
    return tmp_path


def test_packages_are_summed_through_an_overflow_and_nothing_is_counted_twice(rapl: Path, tmp_path: Path) -> None:
    no_gpu = tmp_path / "no gpu"
    before = read_counters(rapl, no_gpu)
    _zone(rapl, "intel-rapl:0", "package-0", 1_500_000)
    _zone(rapl, "intel-rapl:0:0", "core", 9_999_999)
    _zone(rapl, "intel-rapl:1", "package-1", 3_100_000)
    _zone(rapl, "intel-rapl:2", "psys", 9_999_999)
    joules = (10 - 9 + 1.5) + 1.1
    assert spent_kwh(before, read_counters(rapl, no_gpu)) == pytest.approx(joules / 3_600_000)


def test_a_machine_without_counters_says_nothing(tmp_path: Path) -> None:
    assert read_counters(tmp_path / "absent", tmp_path / "no gpu") is None
    assert spent_kwh(None, None) is None


def test_a_counter_that_cannot_be_read_says_nothing(rapl: Path, tmp_path: Path) -> None:
    (rapl / "intel-rapl:1" / "energy_uj").write_text("")
    assert read_counters(rapl, tmp_path / "no gpu") is None


def _nvml(millijoules: list[int], fails: bool) -> ModuleType:
    class NVMLError(Exception):
        pass

    def total(device: int) -> int:
        if fails:
            raise NVMLError("not supported")
        return millijoules[device]

    functions = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: len(millijoules),
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetTotalEnergyConsumption": total,
    }
    return SimpleNamespace(**functions)  # type: ignore[return-value]


def test_gpus_are_added(rapl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = rapl / "nvidiactl"
    gpu.touch()
    monkeypatch.setitem(sys.modules, "pynvml", _nvml([1000, 5000], fails=False))
    before = read_counters(rapl, gpu)
    monkeypatch.setitem(sys.modules, "pynvml", _nvml([4000, 5500], fails=False))
    assert spent_kwh(before, read_counters(rapl, gpu)) == pytest.approx(3.5 / 3_600_000)


@pytest.mark.parametrize("module", [None, _nvml([1], fails=True)], ids=["no pynvml", "an old GPU"])
def test_with_a_gpu_that_does_not_tell_the_processor_alone_is_no_answer(
    rapl: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
) -> None:
    gpu = rapl / "nvidiactl"
    gpu.touch()
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert read_counters(rapl, gpu) is None
