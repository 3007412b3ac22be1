"""Where an encoder runs by default, and in which precision."""

import ctypes
import platform
import re
from importlib.metadata import version
from pathlib import Path

from embedkit.encoders.card import EncoderCard
from embedkit.errors import EmbedkitError

CPUINFO = Path("/proc/cpuinfo")
# x86 names its bf16 instructions one by one, ARM has the one word.
BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
COMPUTE_CAPABILITY_MAJOR = 75
AMPERE = 8
ALL_GPUS = "cuda:all"


def default_device() -> str:
    """Return ``cuda`` if torch can use a GPU here, else ``cpu``; torch is imported only if there is a GPU."""
    if _gpu_capability() is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def default_precision(card: EncoderCard | None = None) -> str:
    """Return ``bf16`` if the device that would be used computes in it, else ``fp32``.

    Emulated bf16 is several times slower than fp32, so it is chosen only where the hardware has it.
    torch is not imported: this is asked before a cache is opened, and that must be quick.

    Args:
        card: some encoders lose too much in bf16, and an ONNX graph runs as it was exported; theirs is ``fp32``.
    """
    if card is not None and card.precision == "fp32":
        return "fp32"
    capability = _gpu_capability()
    if capability is None:
        return "bf16" if BF16_FLAGS & _cpu_flags() else "fp32"
    return "bf16" if capability >= AMPERE else "fp32"


def kind_of(device: str) -> str:
    """Return ``cuda`` of ``cuda:1``: what a device is, without its number."""
    return device.partition(":")[0]


def check_device(device: str) -> None:
    """Refuse a device that torch has no name for, or cannot compute on here; of ``cpu`` it isn't asked.

    Raises:
        EmbedkitError: with what to choose.
    """
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise EmbedkitError(
            f"unknown device '{device}': choose cpu or cuda, cuda:1 for the second GPU, cuda:0,cuda:1 for two of them, "
            "or cuda:all"
        )
    if device != "cpu":
        from embedkit.encoders.engines import eager

        eager.check_device(device)


def devices_of(given: str | None) -> tuple[str, ...]:
    """Return the devices that a text names: one, several as in ``cuda:0,cuda:1``, or with ``cuda:all`` every GPU here.

    Raises:
        EmbedkitError: an unknown device, one that is not here, one that is named twice, or a processor among several.
    """
    names = tuple(given.split(",")) if given else ()
    if len(names) < 2 and given != ALL_GPUS:
        for name in names:
            check_device(name)
        return names
    here = _gpus()
    if given == ALL_GPUS:
        return here
    for name in names:
        if not re.fullmatch(r"cuda:\d+", name):
            raise EmbedkitError(
                f"'{name}' can't be one of several devices ({given}): name GPUs by their numbers, as in cuda:0,cuda:1"
            )
        if name not in here:
            raise EmbedkitError(f"there is no device '{name}': the GPUs of this machine are {', '.join(here)}")
    if len(set(names)) < len(names):
        raise EmbedkitError(f"a GPU is named twice in {given}: each takes one process, so name it once")
    return names


def _gpus() -> tuple[str, ...]:
    """Return the names of all GPUs that torch can use; they are counted, and none is begun to be used.

    Raises:
        EmbedkitError: there is none.
    """
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found:
        from embedkit.encoders.engines import eager

        eager.check_device("cuda")
    return tuple(f"cuda:{number}" for number in range(found))


def cpu_name() -> str:
    """Return what the processor calls itself and the matrix instructions that it has, which decide its speed."""
    found = re.search(r"^(?:model name|CPU part)\s*:(.*)$", _cpu_info(), re.MULTILINE)
    name = found.group(1).strip() if found else platform.machine()
    return " ".join([name, *sorted(flag for flag in _cpu_flags() if re.match("amx|avx512|bf16|i8mm", flag))])


def has_matrix_units() -> bool:
    """Say whether the processor multiplies matrices of bfloat16 in units made for it, several times faster."""
    return "amx_bf16" in _cpu_flags()


def _cpu_flags() -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpu_info(), re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def _cpu_info() -> str:
    try:
        return CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _gpu_capability() -> int | None:
    """Return the major compute capability of the first NVIDIA GPU that torch would use, or None."""
    if "+cpu" in version("torch"):
        return None
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, device, major = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    # The driver's functions return 0 on success; each is called only if the one before it succeeded.
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGetCount(ctypes.byref(count))
        or not count.value
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), COMPUTE_CAPABILITY_MAJOR, device)
    )
    return None if failed else major.value
