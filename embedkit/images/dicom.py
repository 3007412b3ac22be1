"""DICOM: from the bytes of a file to the stored values of one frame.

How those values are shown is `embedkit.images.display`. pydicom decodes: it is the extra ``embedkit[dicom]``,
imported only when a file needs it.
"""

import struct
import zlib
from io import SEEK_END, BytesIO
from typing import Any, BinaryIO

from embedkit.images import coding, display
from embedkit.images.errors import (
    DamagedImage,
    NotAnImage,
    TruncatedImage,
    UnsupportedImage,
    not_an_image,
    reason_of,
)
from embedkit.images.policy import check_size, choose_frame
from embedkit.images.quiet import quiet
from embedkit.images.window import Pixels, Values

# The group of the first element, in either byte order: every data set begins with one of these.
_FIRST_GROUPS = (b"\x02\0", b"\x08\0", b"\0\x08")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SIZES = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation")


def has_prefix(data: bytes) -> bool:
    """Whether the bytes are of a DICOM file with its preamble."""
    return data[128:132] == b"DICM"


def may_lack_prefix(data: bytes) -> bool:
    """Whether the bytes could be of a DICOM file stored without its preamble."""
    return data[:2] in _FIRST_GROUPS


def decode(data: bytes, name: str, frame: int | None = None) -> Pixels:
    """Return the pixels of one frame as a viewer first shows them, (H, W, 3) RGB.

    Args:
        data: the bytes of a DICOM file, with or without its preamble.
        name: what errors call it.
        frame: which of several frames, 0-based.

    Raises:
        NotAnImage: not DICOM, or DICOM without pixels.
        UnsupportedImage: pydicom or a codec is missing.
        ImageError: the subclass for what else is wrong.
    """
    with quiet():
        dataset, _ = _read(BytesIO(data), name)
        try:
            _check_pixels_exist(dataset, name)
            check_size(int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0), name)
            frames = _frames(dataset, len(data), name)
            if _is_encapsulated(dataset):
                coding.check_codec(dataset, name)
            if frame is None and frames > 1:
                # Which frame is wanted is asked of a file that has them.
                pixels = next(dataset[keyword].value for keyword in _PIXELS if keyword in dataset)
                _check_frames(dataset, frames, BytesIO(pixels), name)
            chosen = choose_frame(frame, frames, name)
            values = _stored_values(dataset, chosen, frames, name)
            return display.to_rgb(values, dataset, chosen, name)
        except _damage() as error:
            raise DamagedImage(
                f"{name}: the DICOM file cannot be decoded ({reason_of(error)}). Export it again."
            ) from error


def frame_count(stream: BinaryIO, name: str) -> int:
    """Return how many frames a DICOM file holds, from its header.

    Raises:
        ImageError: it cannot be read, or it is too small for them. A row is made for each, so a lie would fill the
            memory.
    """
    with quiet():
        try:
            dataset, stream = _read(stream, name, stop_before_pixels=True, specific_tags=list(_SIZES))
            at = stream.tell()
            frames = _frames(dataset, stream.seek(0, SEEK_END), name)
            if frames > 1:
                implicit, _ = dataset.original_encoding
                # The pixels come after their tag, its kind, and their length.
                stream.seek(at + (8 if implicit else 12))
                _check_frames(dataset, frames, stream, name)
        except _damage() as error:
            raise DamagedImage(f"{name}: its number of frames cannot be read ({reason_of(error)}).") from error
    return frames


def _damage() -> tuple[type[Exception], ...]:
    """Return what pydicom raises on damaged files, collected by fuzzing."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    own = (BytesLengthException, InvalidDicomError)
    read = (EOFError, OSError, struct.error, zlib.error)
    return (*own, *read, ValueError, TypeError, LookupError, AttributeError, NameError, RuntimeError, OverflowError)


def _frames(dataset: Any, size: int, name: str) -> int:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if not 0 < frames <= size:
        raise DamagedImage(f"{name}: its header says {frames:,} frames, in {size:,} bytes. Export it again.")
    return frames


def _check_frames(dataset: Any, frames: int, stream: BinaryIO, name: str) -> None:
    """Refuse a file that is too small for its frames; the stream is at the first byte of its pixels."""
    if _is_encapsulated(dataset):
        coding.check_fragments(stream, frames, name)
    else:
        at = stream.tell()
        coding.check_length(dataset, frames, stream.seek(0, SEEK_END) - at, name)


def _is_encapsulated(dataset: Any) -> bool:
    return "TransferSyntaxUID" in dataset.file_meta and bool(dataset.file_meta.TransferSyntaxUID.is_encapsulated)


def _read(stream: BinaryIO, name: str, **options: Any) -> tuple[Any, BinaryIO]:
    """Return the data set, and the stream that it was read from, inflated where it has to be."""
    head = stream.read(4096)
    stream.seek(0)
    try:
        import pydicom
    except ImportError as error:
        raise UnsupportedImage(f"{name}: reading DICOM needs pydicom. Install it: {coding.INSTALL}") from error
    try:
        if coding.DEFLATED in head:
            stream = BytesIO(coding.inflated(stream.read(), name))
        return pydicom.dcmread(stream, force=True, **options), stream
    except _damage() as error:
        if has_prefix(head):
            raise DamagedImage(
                f"{name}: the DICOM header cannot be read ({reason_of(error)}). Export it again."
            ) from error
        raise not_an_image(name) from error


def _check_pixels_exist(dataset: Any, name: str) -> None:
    if any(keyword in dataset for keyword in _PIXELS):
        return
    # pydicom keeps nothing of a data set in which the file ends.
    if "Rows" in dataset or (dataset.file_meta and not len(dataset)):
        raise TruncatedImage(f"{name}: the DICOM file ends before its pixels. Copy it again.")
    if "SOPClassUID" in dataset or dataset.file_meta:
        raise NotAnImage(
            f"{name}: a DICOM file without pixels (a report, a plan, an index), or cut short in its header. "
            "Remove it from the list, or copy it again."
        )
    raise not_an_image(name)


def _stored_values(dataset: Any, frame: int, frames: int, name: str) -> Values:
    """Return the stored values of a frame, (rows, columns) or (rows, columns, 3), YBR turned to RGB."""
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import (
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        JPEG2000TransferSyntaxes,
    )

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    if _is_encapsulated(dataset):
        if dataset.file_meta.TransferSyntaxUID in JPEG2000TransferSyntaxes:
            coding.check_codestream(dataset, frame, frames, name)
    else:
        coding.check_high_bit(dataset, name)
        if "PixelData" in dataset:
            coding.check_length(dataset, frames, len(dataset.PixelData or b""), name)
    values: Values = pixel_array(dataset, index=frame)
    return values
