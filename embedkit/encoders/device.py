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


def check_device(device: str) -> None:
    """Refuse a device that torch has no name for, or cannot compute on here; of ``cpu`` it isn't asked.

    Raises:
        EmbedkitError: with what to choose.
    """
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise EmbedkitError(f"unknown device '{device}': choose cpu or cuda, or cuda:1 for the second GPU")
    if device != "cpu":
        from embedkit.encoders.engines import eager

        eager.check_device(device)


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
