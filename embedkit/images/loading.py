"""An address to pixels and identity, whatever the format."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from embedkit.images import channels, columns, dicom, npz, raster
from embedkit.images.address import Address, split_address, split_channels
from embedkit.images.errors import EmptyFile, ImageError, MissingFile, NotAnImage, UnsupportedImage
from embedkit.images.files import Stamp, hash_bytes, look, read_bytes, read_stretch, reading
from embedkit.images.jpeg import Jpeg, is_plain
from embedkit.images.policy import check_bytes
from embedkit.images.remote import is_remote
from embedkit.images.window import Pixels

_ONE_FRAME = {".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm", ".webp"}


@dataclass(frozen=True)
class Read:
    """An image that was read once, to be decoded in one way or in several.

    Attributes:
        name: what errors call it. digest: as `embedkit.images.digest` gives it, of what was read.
        source: the bytes of its file, or its pixels where they are stored as such. frame: which of several frames.
    """

    name: str
    digest: str
    source: bytes | Pixels
    frame: int | None = None

    def pixels(self, least: int | None = None) -> Pixels:
        """Return it decoded, (H, W, 3) uint8 RGB.

        Args:
            least: as in `decode`; channels are read at their full size, so that they go on lying over each other.

        Raises:
            ImageError: a subclass for each way an image can be bad; no other error escapes.
        """
        return decode(self.source, self.name, self.frame, least) if isinstance(self.source, bytes) else self.source

    def undecoded(self) -> Pixels | Jpeg:
        """Return it as it is if it is a JPEG that every decoder reads alike, else its pixels; raises as `pixels`."""
        if isinstance(self.source, bytes) and self.frame is None and is_plain(self.source, self.name):
            return Jpeg(self.source, self.name)
        return self.pixels()

    def size(self, least: int | None) -> tuple[int, int] | None:
        """Return to what width and height it would be decoded: where it is the same, so are the pixels.

        None where it has one size, or where that can't be told without decoding it.
        """
        return raster.drafted(self.source, least) if isinstance(self.source, bytes) else None


def read(address: str) -> Read:
    """Read and identify one image.

    Args:
        address: a file, a part of one as `split_address` reads it, or several files as `split_channels` reads them.

    Raises:
        ImageError: it can't be read. Whether it decodes is not asked, but of channels.
    """
    if several := split_channels(address):
        parts = {name: read(part) for name, part in _given(several, address).items()}
        pixels = channels.stack({name: part.pixels() for name, part in parts.items()}, address)
        return Read(address, channels.identity(part.digest for part in parts.values()), pixels)
    where = _split(address)
    if where.array is not None and not columns.is_columnar(where.path):
        row = npz.read_row(where.path, where.array, where.row, address)
        return Read(address, npz.row_digest(row), npz.to_rgb(row, address))
    data, identity = _read(where, address)
    return Read(where.path if where.frame is not None else address, identity, data, where.frame)


def load(address: str, least: int | None = None) -> tuple[Pixels, str]:
    """Read, identify and decode one image: `read` and `Read.pixels` at once, and its digest."""
    found = read(address)
    return found.pixels(least), found.digest


def digest(address: str) -> str:
    """Return the identity of an image: 32 hex digits of a sha256.

    Of a file's bytes, also where the file lies in an archive or in a column; of its bytes and the fragment for a
    frame; of dtype, shape and bytes for a row of an npz; of the digests of its channels for several files.

    Raises:
        ImageError: the file or the row cannot be read. Whether it decodes is not asked.
    """
    if several := split_channels(address):
        return channels.identity([digest(part) for part in _given(several, address).values()])
    where = _split(address)
    if where.array is not None and not columns.is_columnar(where.path):
        return npz.row_digest(npz.read_row(where.path, where.array, where.row, address))
    if where.stretch is None and where.array is None and not is_remote(where.path):
        # Many are hashed beside each other, and each may be large.
        whole = hash_bytes(where.path) if where.frame is None else _hash_once(where.path, look(where.path))
        return _identity(whole, where.frame)
    return _read(where, address)[1]


def decode(data: bytes, name: str, frame: int | None = None, least: int | None = None) -> Pixels:
    """Return the pixels of an image file, (H, W, 3) uint8 RGB, by its content and never by its name.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        frame: which of several frames, 0-based.
        least: pixels that the shorter side must keep where a JPEG is decoded scaled; None for its full size.

    Raises:
        ImageError: a subclass for each way an image can be bad.
    """
    if not data:
        raise EmptyFile(f"{name}: the file has no bytes. Copy it again.")
    if data.startswith(b"PK\3\4"):
        raise UnsupportedImage(
            f"{name}: it is a zip or npz archive. Unpack a zip; name a row of an npz, such as {name}#images[0]."
        )
    if dicom.has_prefix(data):
        return dicom.decode(data, name, frame)
    try:
        return raster.decode(data, name, frame, least)
    except NotAnImage:
        if not dicom.may_lack_prefix(data):
            raise
    return dicom.decode(data, name, frame)


def frame_count(path: str) -> int:
    """Return how many frames a file holds, from its header; 1 where it cannot be read, which loading it will say.

    Files of formats that hold one frame are not opened, nor remote ones.
    """
    if is_remote(path) or not split_address(path).whole or Path(path).suffix.lower() in _ONE_FRAME:
        return 1
    try:
        look(path)
        with reading(path), Path(path).open("rb") as stream:
            head = stream.read(132)
            stream.seek(0)
            if not dicom.has_prefix(head):
                frames = raster.frame_count(stream)
                if frames is not None or not dicom.may_lack_prefix(head):
                    return frames or 1
                stream.seek(0)
            return dicom.frame_count(stream, path)
    except ImageError:
        return 1


def _split(address: str) -> Address:
    where = split_address(address)
    if where.array is not None and is_remote(where.path):
        raise UnsupportedImage(
            f"{address}: a row of a remote array or table can't be read. Copy {where.path} here first."
        )
    return where


def _given(several: dict[str, str], address: str) -> dict[str, str]:
    for name, part in several.items():
        if not part:
            raise MissingFile(f"{address}: there is no file for its channel '{name}'. Add one, or leave the image out.")
    return several


def _read(where: Address, name: str) -> tuple[bytes, str]:
    if where.frame is None:
        data = _bytes(where, name)
        return data, _identity(hashlib.sha256(data))
    data, hashed = _read_once(where.path, look(where.path))
    return data, _identity(hashed, where.frame)


def _identity(whole: "hashlib._Hash", frame: int | None = None) -> str:
    if frame is not None:
        whole = whole.copy()
        whole.update(f"#frame={frame}".encode())
    return whole.hexdigest()[:32]


def _bytes(where: Address, name: str) -> bytes:
    if where.stretch is not None:
        return read_stretch(where.path, *where.stretch, name)
    if where.array is None:
        return read_bytes(where.path)
    data = columns.read_cell(where.path, where.array, where.row, name)
    check_bytes(len(data), name)
    return data


@lru_cache(maxsize=1)
def _read_once(path: str, stamp: Stamp) -> "tuple[bytes, hashlib._Hash]":
    """Return a file's bytes and their hash, kept for the next frame of the same file."""
    data = read_bytes(path)
    return data, hashlib.sha256(data)


@lru_cache(maxsize=1)
def _hash_once(path: str, stamp: Stamp) -> "hashlib._Hash":
    """Return a file's hash, kept for the next frame of the same file."""
    return hash_bytes(path)
