"""Just enough of the ONNX file format to know which other files a graph reads its tensors from."""

from collections.abc import Iterator
from pathlib import Path

from embedkit.errors import EmbedkitError

# Where tensors can be in a model: message -> field number -> message (onnx.proto of the ONNX specification).
MESSAGES = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def external_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX graph that hold its tensors, sorted; most graphs have none.

    Raises:
        EmbedkitError: the file is not ONNX, or reads a file outside its own folder or one that is absent.
    """
    try:
        data = memoryview(path.read_bytes())
        locations = sorted(set(_locations(data, "model")))
    except OSError as error:
        raise EmbedkitError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (IndexError, ValueError, RecursionError) as error:
        raise EmbedkitError(f"{path} is not an ONNX file, or is cut short: export or fetch it again") from error
    return [_beside(path, location) for location in locations]


def _beside(path: Path, location: str) -> Path:
    parts = Path(location).parts
    if Path(location).is_absolute() or ".." in parts or "\\" in location or not parts:
        raise _outside(path, location)
    file = path.parent / location
    if not file.is_file():
        raise EmbedkitError(f"{path} keeps tensors in '{location}', which is not beside it: copy that file too")
    # A hub's cache links the graph and its tensors into one other folder; a link to anywhere else leads out.
    homes = (path.parent.resolve(), path.resolve().parent)
    if not any(file.resolve().is_relative_to(home) for home in homes):
        raise _outside(path, location)
    return file


def _outside(path: Path, location: str) -> EmbedkitError:
    return EmbedkitError(f"{path} reads '{location}', which is outside its own folder: it is refused")


def _locations(data: memoryview, message: str) -> Iterator[str]:
    if message == "external":
        entry = {number: bytes(value).decode() for number, value in _fields(data)}
        if entry.get(1) == "location":
            yield entry.get(2, "")
        return
    inner = MESSAGES[message]
    for number, value in _fields(data):
        if number in inner:
            yield from _locations(value, inner[number])


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each length-delimited field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            _, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            length, at = _varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data):
            raise ValueError("a field runs past the end")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
