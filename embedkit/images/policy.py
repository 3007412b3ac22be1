"""The choices that change pixels, named and versioned for the cache key, and the size above which none are decoded."""

from embedkit.images.errors import DamagedImage, NoSuchPart, SeveralFrames, TooManyPixels

POLICY: dict[str, str | int] = {
    "version": 1,
    "jpeg": "pillow, full size",
    "orientation": "exif rotation applied",
    "alpha": "over black",
    "colour profile": "not applied",
    "wide": "min-max",
    "wide colour": "high byte",
    "dicom": (
        "rescale, then the first VOI LUT or window of the header, else min-max of what is not padding "
        "(8-bit without a rescale: as it is); MONOCHROME1 inverted; padding black"
    ),
}
"""Everything of decoding that changes pixels. A change of any choice is a change of the cache key."""

DECODERS = {
    "full": POLICY,
    "scaled": POLICY | {"jpeg": "pillow, by 1/2, 1/4 or 1/8 to no less than twice the resize"},
    "device": POLICY | {"jpeg": "torchvision, full size, and resized by torch, where the encoder is computed"},
}
"""The policies that a user can choose between. ``scaled`` lets libjpeg leave out frequencies that resizing would;
``device`` leaves plain JPEGs to the device that computes the encoder."""

OVERSAMPLING = 2
"""How many times larger than the resized image a JPEG is at least, where it is decoded scaled."""

MAX_PIXELS = 178_956_970
"""Width x height above which an image is refused before it is decoded (Pillow's own limit for a warning)."""

MAX_BYTES = MAX_PIXELS * 12
"""The largest file read into memory, 2 GiB: `MAX_PIXELS` pixels of three float32."""


def check_size(width: int, height: int, name: str) -> None:
    """Refuse an image by the size in its header.

    Raises:
        DamagedImage: one side is not positive.
        TooManyPixels: more than `MAX_PIXELS`.
    """
    if width <= 0 or height <= 0:
        raise DamagedImage(f"{name}: its header says {width} x {height} pixels. Export the image again.")
    if width * height > MAX_PIXELS:
        raise TooManyPixels(
            f"{name}: its header says {width} x {height} pixels, more than the {MAX_PIXELS:,} that are decoded. "
            "Scale it down or cut it into tiles first."
        )


def check_bytes(size: int, name: str) -> None:
    """Refuse an image by the size of its file.

    Raises:
        TooManyPixels: more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise TooManyPixels(
            f"{name}: it has {size:,} bytes, more than the {MAX_BYTES:,} that are read. "
            "Scale it down, cut it into tiles or store its frames one by one first."
        )


def choose_frame(frame: int | None, frames: int, name: str) -> int:
    """Return the 0-based frame to decode of a file that holds `frames` of them.

    Raises:
        SeveralFrames: there are several and none is named.
        NoSuchPart: the one named does not exist.
    """
    if frame is None and frames > 1:
        raise SeveralFrames(
            f"{name}: it holds {frames} frames. Name one: {name}#frame=0 is the first, "
            f"{name}#frame={frames - 1} the last."
        )
    if frame is not None and not 0 <= frame < frames:
        held = "one frame, #frame=0" if frames == 1 else f"{frames} frames, #frame=0 to #frame={frames - 1}"
        raise NoSuchPart(f"{name}: there is no frame {frame}. The file holds {held}.")
    return frame or 0
