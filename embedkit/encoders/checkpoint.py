"""Read a weights file safely: what it is is decided by its content, and no pickle is ever executed."""

import argparse
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import Tensor

# torch.save wrote this number first, as a pickle of protocol 2, before its files became zip archives (1.6).
LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
PICKLE_PROTOCOLS = {bytes([0x80, protocol]) for protocol in range(2, 6)}
# What a damaged file makes torch and zipfile raise, found by cutting and changing files in the tests.
CORRUPT = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError, TypeError),
    *(AssertionError, ArithmeticError, MemoryError, struct.error, zipfile.BadZipFile),
)
CONVERT = (
    'convert it where you trust it: python -c "import torch, safetensors.torch as s; '
    "c = torch.load('IN', weights_only=False); "
    "c = c.state_dict() if hasattr(c, 'state_dict') else c.get('state_dict', c.get('model', c)); "
    "s.save_file({k: v.clone().contiguous() for k, v in c.items()}, 'OUT.safetensors')\""
)
# What training loops put around a model: under these keys of a dict, and before the names of all its tensors.
WRAPPERS = ("state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "model.")
# And before the names of those that embed, where a head of the user's own stands beside them.
BACKBONE = "backbone."


def load(path: Path) -> "dict[str, Tensor]":
    """Return the tensors of a safetensors or torch file, on the CPU, floating ones as float32.

    A dict under ``state_dict`` or ``model`` is unwrapped and the prefixes ``module.`` (of a parallel model),
    ``_orig_mod.`` (of a compiled one) and ``model.`` are taken off if all names have them. If some names start with
    ``backbone.``, the rest is a head, which does not embed: it is left out. torch files go through
    ``torch.load(weights_only=True)``, which builds tensors and nothing else.

    Raises:
        EmbedkitError: the file is absent, damaged, another kind of file, or holds more than tensors.
    """
    return _read(path, "cpu")


def outline(path: Path) -> "dict[str, Tensor]":
    """Return what `load` would, as tensors of torch's device ``meta``: names, shapes and types without numbers.

    Raises:
        EmbedkitError: as `load`; a change of the numbers alone is not seen.
    """
    return _read(path, "meta")


def _read(path: Path, device: str) -> "dict[str, Tensor]":
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise EmbedkitError(f"cannot read the weights {path}: {error.strerror or error}") from error
    content = _safetensors(path, device) if start[8:9] == b"{" else _torch(path, start, device)
    return _tensors(content, path)


def _safetensors(path: Path, device: str) -> Any:
    import safetensors
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu") if device == "cpu" else _shapes(path)
    except (safetensors.SafetensorError, *CORRUPT) as error:
        raise EmbedkitError(
            f"{path} is a damaged safetensors file ({error}): it is cut short or changed, so get it again"
        ) from error


def _shapes(path: Path) -> Any:
    """Return tensors without data from the header of a safetensors file, whose length must be what it says."""
    import torch
    from safetensors import safe_open

    floating = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
    with safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return {
            name: torch.empty(
                piece.get_shape(), dtype=torch.float32 if piece.get_dtype() in floating else torch.int64, device="meta"
            )
            for name, piece in slices.items()
        }


def _torch(path: Path, start: bytes, device: str) -> Any:
    if refusal := _refusal(path, start):
        raise EmbedkitError(f"{path} {refusal}")
    import torch

    try:
        # Handed over open, because recent versions of torch choose the reader by the name of a path.
        # A Namespace of settings stands beside many published weights; it is attributes and no code.
        with path.open("rb") as file, torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location=device, weights_only=True)
    except UnpicklingError as error:
        raise EmbedkitError(
            f"{path} holds Python objects besides tensors, and embedkit never executes a pickle: {CONVERT}"
        ) from error
    except CORRUPT as error:
        raise EmbedkitError(f"{path} is a damaged torch file: it is cut short or changed, so get it again") from error


def _refusal(path: Path, start: bytes) -> str:
    """Return why a file that is not safetensors cannot be read, or nothing if torch may read it."""
    if start.startswith(LEGACY_TORCH):
        return ""
    if start.startswith(b"PK\x03\x04"):
        return _zip_refusal(path)
    if not start:
        return "is empty: get it again"
    if start.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the weights themselves: run `git lfs pull` beside it"
    if start.lstrip()[:1] == b"<":
        return "is a web page, not weights: the download was answered with an error or a login page"
    if start[:2] in PICKLE_PROTOCOLS:
        return f"is a plain pickle, whatever its name, and embedkit never executes one: {CONVERT}"
    if start.startswith(b"\x89HDF"):
        return "is an HDF5 file (Keras?): embedkit reads safetensors, torch and ONNX weights"
    if start[257:262] == b"ustar":
        return f"is a tar archive, perhaps of a torch older than 0.1.10: {CONVERT}"
    return "is neither a safetensors nor a torch file: embedkit reads those two, and ONNX through onnx:PATH"


def _zip_refusal(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {name.rpartition("/")[2] for name in archive.namelist()}
    except CORRUPT:
        return "is a damaged torch file: it is cut short or changed, so get it again"
    if "constants.pkl" in inside:
        return (
            "is a TorchScript archive, which is a program: save its tensors instead, with "
            "safetensors.torch.save_file(torch.jit.load('IN').state_dict(), 'OUT.safetensors')"
        )
    return "" if "data.pkl" in inside else "is a zip archive, but not one that torch.save wrote"


def _tensors(content: Any, path: Path) -> "dict[str, Tensor]":
    import torch

    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        what = "no tensors" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise EmbedkitError(f"{path} holds {what}, not the weights of a model by name (a state dict)")
    odd = [f"{key!r} is a {type(v).__name__}" for key, v in content.items() if not isinstance(v, torch.Tensor)]
    if odd:
        raise EmbedkitError(f"{path} is not a plain state dict: {', '.join(odd[:3])}. Save only model.state_dict()")
    return {name: value.float() if value.is_floating_point() else value for name, value in _unprefixed(content).items()}


def _unprefixed(content: "Mapping[Any, Tensor]") -> "dict[str, Tensor]":
    state = {str(key): value for key, value in content.items()}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in state)), ""):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    backbone = {name.removeprefix(BACKBONE): v for name, v in state.items() if name.startswith(BACKBONE)}
    return backbone or state
