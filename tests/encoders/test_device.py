import ctypes
from types import SimpleNamespace

import pytest

from embedkit import encoders
from embedkit.encoders import check_device, device, devices_of, kind_of
from embedkit.errors import EmbedkitError

X86 = "processor\t: 0\nflags\t\t: fpu vme {}\nbugs\t\t:\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU part\t: 0xd40\n"


class Driver:
    """A stand-in for libcuda: one GPU of a compute capability, or a call that fails."""

    def __init__(self, major: int, count: int = 1, failing: str = "") -> None:
        self.major, self.count, self.failing = major, count, failing

    def __getattr__(self, name: str):
        def call(*arguments: object) -> int:
            target = getattr(arguments[0], "_obj", None)
            if name == "cuDeviceGetCount":
                target.value = self.count
            if name == "cuDeviceGetAttribute":
                target.value = self.major
            return 100 if name == self.failing else 0

        return call


@pytest.fixture
def hardware(tmp_path, monkeypatch):
    """Set what the machine seems to have."""

    def choose(cpuinfo: str | None = None, driver: Driver | None = None, torch: str = "2.15.0") -> None:
        file = tmp_path / "cpuinfo"
        if cpuinfo is not None:
            file.write_text(cpuinfo)
        monkeypatch.setattr(device, "CPUINFO", file)
        monkeypatch.setattr(device, "version", lambda _: torch)

        def library(_: str) -> Driver:
            if driver is None:
                raise OSError("libcuda.so.1: cannot open shared object file")
            return driver

        monkeypatch.setattr(device, "ctypes", SimpleNamespace(**vars(ctypes) | {"CDLL": library}))

    return choose


@pytest.mark.parametrize(
    ("cpuinfo", "precision"),
    [
        (X86.format("avx512_bf16"), "bf16"),
        (X86.format("amx_bf16 amx_tile"), "bf16"),
        (X86.format("avx512f avx512_fp16"), "fp32"),
        (ARM.format("bf16 i8mm"), "bf16"),
        (ARM.format("sve"), "fp32"),
        ("", "fp32"),
        (None, "fp32"),
    ],
)
def test_the_processor_decides_without_a_gpu(hardware, cpuinfo, precision):
    hardware(cpuinfo)
    assert encoders.default_precision() == precision
    assert encoders.default_device() == "cpu"


@pytest.mark.parametrize(
    ("driver", "torch", "precision"),
    [
        (Driver(9), "2.15.0", "bf16"),
        (Driver(8), "2.15.0", "bf16"),
        (Driver(7), "2.15.0", "fp32"),
        (Driver(9), "2.15.0+cpu", "fp32"),
        (Driver(9, count=0), "2.15.0", "fp32"),
        (Driver(9, failing="cuInit"), "2.15.0", "fp32"),
        (Driver(9, failing="cuDeviceGetAttribute"), "2.15.0", "fp32"),
    ],
)
def test_the_gpu_decides_where_there_is_one(hardware, driver, torch, precision):
    hardware(X86.format("sse2"), driver, torch)
    assert encoders.default_precision() == precision


def test_an_old_gpu_is_not_overruled_by_a_new_processor(hardware):
    hardware(X86.format("amx_bf16"), Driver(7))
    assert encoders.default_precision() == "fp32"


def test_an_encoder_that_loses_too_much_keeps_float32(hardware):
    hardware(X86.format("amx_bf16"))
    assert encoders.default_precision(encoders.resolve("resnet50")) == "bf16"
    assert encoders.default_precision(encoders.resolve("efficientnet-lite0")) == "fp32"


def test_torch_has_the_last_word_on_the_device(hardware, monkeypatch):
    import torch

    hardware(None, Driver(9))
    for available, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=available: answer)
        assert encoders.default_device() == name


@pytest.mark.parametrize(("flags", "units"), [("amx_bf16 avx512_bf16", True), ("avx512_bf16", False)])
def test_only_units_for_matrices_count_as_such(hardware, flags, units):
    hardware(X86.format(flags))
    assert device.has_matrix_units() is units


def test_a_gpu_that_is_not_there_is_refused() -> None:
    check_device("cpu")
    with pytest.raises(EmbedkitError, match="cannot compute on the device 'cuda:99'"):
        check_device("cuda:99")
    with pytest.raises(EmbedkitError, match="unknown device 'gpu'"):
        check_device("gpu")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_one_device_is_itself_and_of_none_there_is_none() -> None:
    assert devices_of(None) == ()
    assert devices_of("cpu") == ("cpu",)
    assert [kind_of(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda"]


def test_several_gpus_are_named_one_by_one_or_all_together(two_gpus: None) -> None:
    assert devices_of("cuda:1,cuda:0") == ("cuda:1", "cuda:0")
    assert devices_of("cuda:all") == ("cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cuda:0,cuda:2", "there is no device 'cuda:2': the GPUs of this machine are cuda:0, cuda:1"),
        ("cuda:0,cuda:0", "a GPU is named twice in cuda:0,cuda:0"),
        ("cuda:0,cpu", "'cpu' can't be one of several devices .cuda:0,cpu.: name GPUs by their numbers"),
        ("cuda,cuda:1", "'cuda' can't be one of several"),
        ("cuda:0,", "'' can't be one of several"),
        ("cuda:all,cuda:0", "'cuda:all' can't be one of several"),
    ],
)
def test_several_devices_that_mean_nothing_are_refused(two_gpus: None, given: str, said: str) -> None:
    with pytest.raises(EmbedkitError, match=said):
        devices_of(given)
