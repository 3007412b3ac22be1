"""One named error for each way an image can be bad, so that a ledger can count them by reason."""

from embedkit.errors import EmbedkitError


class ImageError(EmbedkitError):
    """An image that cannot be used; `reason` is the short word by which a ledger groups such images."""

    reason: str = "bad image"


class MissingFile(ImageError):
    """There is no file at the address."""

    reason = "missing"


class UnreadableFile(ImageError):
    """The file exists and cannot be read: a folder, no permission, a failing disk."""

    reason = "unreadable"


class EmptyFile(ImageError):
    """The file has zero bytes."""

    reason = "empty"


class NotAnImage(ImageError):
    """The bytes are of no image format that embedkit reads, or of a DICOM object without pixels."""

    reason = "not an image"


class TruncatedImage(ImageError):
    """The file ends before its pixels do."""

    reason = "truncated"


class DamagedImage(ImageError):
    """The format is known and the bytes contradict it."""

    reason = "damaged"


class UnsupportedImage(ImageError):
    """A kind of image that needs another package or another format."""

    reason = "unsupported"


class TooManyPixels(ImageError):
    """The header announces more pixels than embedkit decodes."""

    reason = "too many pixels"


class SeveralFrames(ImageError):
    """The file holds several images and the address names none of them."""

    reason = "several frames"


class NoSuchPart(ImageError):
    """The address names a frame, an array or a row that the file does not have."""

    reason = "no such part"


class SizesDiffer(ImageError):
    """The files that are the channels of one image have different sizes."""

    reason = "sizes differ"


class NotFinite(ImageError):
    """Pixels are NaN or infinite."""

    reason = "not finite"


def not_an_image(name: str) -> NotAnImage:
    """Return the error for bytes that begin no format that embedkit reads."""
    return NotAnImage(
        f"{name}: it is not an image (JPEG, PNG, PGM, PPM, TIFF, BMP, GIF, WebP or DICOM), whatever its name. "
        "Remove it from the list, or export it again."
    )


def reason_of(error: Exception) -> str:
    """Return what a library said, on one line of bearable length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]}…"
