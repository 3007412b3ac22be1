"""DICOM: how pixels are coded, checked before a decoder is let at them."""

import struct
import zlib
from io import SEEK_CUR, BytesIO
from typing import Any, BinaryIO

from embedkit.images.errors import DamagedImage, TooManyPixels, TruncatedImage, UnsupportedImage
from embedkit.images.policy import MAX_PIXELS

INSTALL = 'pip install "embedkit[dicom]"'
DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The transfer syntax whose whole data set is compressed."""

_EXPLICIT = b"1.2.840.10008.1.2.1\0\0\0"
_ITEM = b"\xfe\xff\0\xe0"
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"


def inflated(data: bytes, name: str) -> bytes:
    """Return the same file with its data set inflated, which pydicom would do without a limit.

    Raises:
        TooManyPixels: it inflates to more than two bytes for each of `MAX_PIXELS`.
        TruncatedImage: it ends early.
    """
    from pydicom.filereader import read_dataset, read_preamble

    stream = BytesIO(data)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    start = stream.tell()
    if meta.get("TransferSyntaxUID") != DEFLATED.decode():
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(data[start:], 2 * MAX_PIXELS)
    if inflater.unconsumed_tail:
        raise TooManyPixels(f"{name}: deflated, it hides more than {2 * MAX_PIXELS:,} bytes. Export it uncompressed.")
    if not inflater.eof:
        raise TruncatedImage(f"{name}: the file ends before its deflated data do. Copy it again.")
    return data[:start].replace(DEFLATED, _EXPLICIT) + body


def check_length(dataset: Any, frames: int, held: int, name: str) -> None:
    """Refuse uncompressed pixels that are fewer than the header says.

    Args:
        dataset: the header. frames: how many it says. held: the bytes of pixels. name: what errors call the file.

    Raises:
        TruncatedImage: with how many bytes there should be.
    """
    # Uncompressed, two pixels of this kind share one colour: two samples each instead of three.
    samples = 2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else int(dataset.SamplesPerPixel)
    bits = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) * frames
    needed = -(-bits // 8)
    if held < needed:
        raise TruncatedImage(
            f"{name}: its header needs {needed:,} bytes of pixels and it has {held:,}. Copy or export it again."
        )


def check_fragments(stream: BinaryIO, frames: int, name: str) -> None:
    """Refuse compressed pixels of fewer items than frames, of which each needs one at least.

    Args:
        stream: at the first item, which is the table of offsets; the others are skipped and not read.
        frames: how many the header says. name: what errors call the file.

    Raises:
        TruncatedImage: with both numbers.
    """
    held = -1
    while held < frames and len(head := stream.read(8)) == 8 and head.startswith(_ITEM):
        stream.seek(struct.unpack("<I", head[4:])[0], SEEK_CUR)
        held += 1
    if held < frames:
        raise TruncatedImage(
            f"{name}: its header says {frames:,} frames and it has the pixels of no more than {max(held, 0):,}. "
            "Copy or export it again."
        )


def check_high_bit(dataset: Any, name: str) -> None:
    """Refuse values that are not at the low end of their bits, which old writers made and pydicom reads as others.

    Raises:
        UnsupportedImage: with both numbers.
    """
    # Pixels that are floats have neither.
    stored = int(dataset.get("BitsStored", 0))
    high = int(dataset.get("HighBit", stored - 1))
    if stored and high != stored - 1:
        raise UnsupportedImage(
            f"{name}: its {stored} bits end at bit {high} instead of {stored - 1}, which is not read. Export it again."
        )


def check_codec(dataset: Any, name: str) -> None:
    """Refuse compressed pixels that no installed package decodes.

    Raises:
        UnsupportedImage: with the package to install.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEG2000TransferSyntaxes, JPEGExtended12Bit, JPEGLSTransferSyntaxes

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    # What pydicom documents for a coding that it has no decoder of, such as video.
    except NotImplementedError as error:
        raise UnsupportedImage(
            f"{name}: its pixels are coded as {syntax.name}, which is not read. Export it uncompressed."
        ) from error
    # Pillow offers itself for this one and decodes its 8-bit form only.
    twelve_bits = syntax == JPEGExtended12Bit and int(dataset.BitsStored) > 8
    if not decoder.is_available or (twelve_bits and decoder.available_plugins == ("pillow",)):
        command = INSTALL if syntax in JPEG2000TransferSyntaxes else "pip install pylibjpeg pylibjpeg-libjpeg"
        command = "pip install pyjpegls" if syntax in JPEGLSTransferSyntaxes else command
        raise UnsupportedImage(
            f"{name}: no decoder of {syntax.name} is installed. Install one ({command}), or export the file as "
            "uncompressed DICOM."
        )


def check_codestream(dataset: Any, frame: int, frames: int, name: str) -> None:
    """Refuse a JPEG 2000 stream whose own header, which its decoder believes, gives another size.

    Raises:
        DamagedImage: with both sizes.
    """
    from pydicom.encaps import get_frame

    stream = get_frame(dataset.PixelData, frame, number_of_frames=frames)
    at = stream.find(_JPEG2000_SIZE)
    if at < 0:
        return
    right, bottom, left, top = struct.unpack_from(">4I", stream, at + 8)
    if (right - left, bottom - top) != (dataset.Columns, dataset.Rows):
        raise DamagedImage(
            f"{name}: its header says {dataset.Columns} x {dataset.Rows} pixels, its JPEG 2000 stream "
            f"{right - left} x {bottom - top}. Export it again."
        )
