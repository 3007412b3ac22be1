"""The images room: from the address of one image to its pixels and its identity.

It decodes JPEG, PNG, PGM, PPM, TIFF, BMP, GIF, WebP, DICOM and the rows of an npz to 8-bit RGB, by content and by the
choices written in `POLICY`, puts several files together as the channels of one image, and has a named `ImageError`
for each way an image can be bad. It knows nothing of data sets and models.
"""

from embedkit.images.address import Address, files_of, join_channels, split_address, split_channels
from embedkit.images.errors import (
    DamagedImage,
    EmptyFile,
    ImageError,
    MissingFile,
    NoSuchPart,
    NotAnImage,
    NotFinite,
    SeveralFrames,
    SizesDiffer,
    TooManyPixels,
    TruncatedImage,
    UnreadableFile,
    UnsupportedImage,
)
from embedkit.images.jpeg import Jpeg
from embedkit.images.loading import Read, decode, digest, frame_count, load, read
from embedkit.images.policy import DECODERS, MAX_PIXELS, OVERSAMPLING, POLICY
from embedkit.images.remote import is_known, is_remote
from embedkit.images.remote import stamps as remote_stamps

__all__ = [
    "DECODERS",
    "MAX_PIXELS",
    "OVERSAMPLING",
    "POLICY",
    "Address",
    "DamagedImage",
    "EmptyFile",
    "ImageError",
    "Jpeg",
    "MissingFile",
    "NoSuchPart",
    "NotAnImage",
    "NotFinite",
    "Read",
    "SeveralFrames",
    "SizesDiffer",
    "TooManyPixels",
    "TruncatedImage",
    "UnreadableFile",
    "UnsupportedImage",
    "decode",
    "digest",
    "files_of",
    "frame_count",
    "is_known",
    "is_remote",
    "join_channels",
    "load",
    "read",
    "remote_stamps",
    "split_address",
    "split_channels",
]
