"""Small images of every format, as bytes."""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

RAMP = np.add.outer(np.arange(24), np.arange(31)).astype(np.uint8) * np.uint8(4)
COLOUR = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
WIDE = (np.add.outer(np.arange(24), np.arange(31)) * 700).astype(np.uint16)


def encode(pixels: Array | Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image file by Pillow."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def min_max(values: Array) -> Array:
    """Return the documented window, written out once more: floor(255 (v - low) / (high - low) + 1/2), gray as RGB."""
    low, high = int(values.min()), int(values.max())
    shown = (2 * 255 * (values.astype(np.int64) - low) + (high - low)) // (2 * (high - low))
    return np.stack([shown] * 3, axis=2).astype(np.uint8)


def gray_rgb(values: Array) -> Array:
    return np.stack([values] * 3, axis=2).astype(np.uint8)


def dicom(values: Array, kind: str = "MONOCHROME2", *, frames: int | None = None, **elements: Any) -> bytes:
    """Return an uncompressed DICOM file of stored values, with further elements by keyword.

    Args:
        values: (rows, columns), (rows, columns, 3) for colour, with the frames before them where there are any.
        kind: the photometric interpretation.
        frames: NumberOfFrames.
        elements: keyword=value, or keyword=(vr, value).
    """
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    shape = values.shape if frames is None else values.shape[1:]
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if len(shape) == 3:
        dataset.PlanarConfiguration = 0
    if frames is not None:
        dataset.NumberOfFrames = frames
    dataset.PhotometricInterpretation = kind
    bits = 8 * values.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    if values.dtype.kind == "f":
        del dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
        dataset.add_new("FloatPixelData", "OF", values.tobytes())
    else:
        dataset.add_new("PixelData", "OB" if bits == 8 else "OW", values.tobytes() + b"\0" * (values.nbytes % 2))
    for keyword, value in elements.items():
        if isinstance(value, tuple):
            dataset.add_new(tag_for_keyword(keyword), *value)
        else:
            setattr(dataset, keyword, value)
    return saved(dataset)


def saved(dataset: Any) -> bytes:
    """Return the file of a pydicom data set."""
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def lut(first: int, bits: int, entries: list[int]) -> Any:
    """Return an item of a modality or VOI LUT sequence."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item
