"""JPEG files to the pixels that an encoder sees, decoded and resized by torch on the device that computes it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedkit import images
from embedkit.encoders.device import kind_of
from embedkit.encoders.encoder import memory_told
from embedkit.encoders.preprocess import Preprocessing

if TYPE_CHECKING:
    import torch

Picture = images.Jpeg | NDArray[np.uint8]
"""A JPEG file, or what `Preprocessing.apply` has made of another image."""

# Decoded images of full size in memory at a time.
_AT_ONCE = 32


class OnDevice:
    """Decodes and prepares batches on a device; may be called from several threads.

    Args:
        preprocessing: what is done to the decoded images. device: in the words of torch.
    """

    def __init__(self, preprocessing: Preprocessing, device: str) -> None:
        import torch

        self._preprocessing, self._device = preprocessing, device
        on_gpu = kind_of(device) == "cuda"
        self._stream: Any = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._turn = Lock()

    def pixels(self, pictures: Sequence[Picture], n: int) -> "tuple[torch.Tensor, dict[int, images.ImageError]]":
        """Return what the encoder sees of each picture.

        A JPEG that the device's decoder refuses is decoded as all other images are.

        Args:
            pictures: at most ``n`` of them.

        Returns:
            (n, h, w, 3) uint8 on the device, 0 where there is no picture; and the errors of those that can't be read,
            by their place.

        Raises:
            OutOfMemory: they are too many for this machine.
        """
        import torch

        errors: dict[int, images.ImageError] = {}
        with memory_told("decoding on the device", n), torch.inference_mode():
            with self._queueing():
                seen = torch.zeros((n, *self._preprocessing.shape), dtype=torch.uint8, device=self._device)
            for start in range(0, len(pictures), _AT_ONCE):
                some = pictures[start : start + _AT_ONCE]
                files = {place: picture.data for place, picture in enumerate(some) if isinstance(picture, images.Jpeg)}
                with self._queueing():
                    decoded = dict(zip(files, self._decoded(list(files.values()), seen.device), strict=True))
                    for place, picture in enumerate(some):
                        try:
                            self._show(picture, decoded.get(place), seen[start + place])
                        except images.ImageError as error:
                            errors[start + place] = error
        return seen, errors

    @contextmanager
    def _queueing(self) -> Iterator[None]:
        """On a GPU, queue what is done inside on a stream that doesn't wait for the encoder, and see it through.

        torchvision decodes on a stream of its own, which waits for no other one. So memory that was freed here must not
        be given to it before what is queued has read it, and threads take turns.
        """
        import torch

        if self._stream is None:
            yield
            return
        with self._turn, torch.cuda.stream(self._stream):
            try:
                yield
            finally:
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                done.record(self._stream)
                done.synchronize()

    def _decoded(self, files: Sequence[bytes], device: "torch.device") -> "list[torch.Tensor | None]":
        """Return images (3, h, w) uint8, None for files that the decoder refuses; it refuses a list for one of them."""
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg

        if not files:
            return []
        given = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
        try:
            found: list[torch.Tensor | None] = decode_jpeg(given, ImageReadMode.RGB, device)
        except RuntimeError:
            return [None] if len(files) == 1 else [one for file in files for one in self._decoded([file], device)]
        return found

    def _show(self, picture: Picture, decoded: "torch.Tensor | None", place: "torch.Tensor") -> None:
        import torch

        if decoded is not None:
            resize_into(place, decoded, self._preprocessing)
            return
        if isinstance(picture, images.Jpeg):
            picture = self._preprocessing.apply(images.decode(picture.data, picture.name))
        place.copy_(torch.from_numpy(picture))


def resize_into(place: "torch.Tensor", image: "torch.Tensor", preprocessing: Preprocessing) -> None:
    """Do what `Preprocessing.apply` does, but for roundings.

    Args:
        place: (h, w, 3) uint8 of zeros, as the encoder sees it, which is written to. image: (3, H, W) uint8.
    """
    import torch

    width, height = preprocessing.resized(image.shape[2], image.shape[1])
    values = torch.nn.functional.interpolate(
        image[None].float(), (height, width), mode=preprocessing.interpolation, antialias=True
    )[0]
    left, top = preprocessing.corner(width, height)
    # Below zero the image begins within the cut.
    cut = values[:, max(top, 0) :, max(left, 0) :][:, : place.shape[0] - max(-top, 0), : place.shape[1] - max(-left, 0)]
    inside = place[max(-top, 0) :, max(-left, 0) :][: cut.shape[1], : cut.shape[2]]
    inside.copy_(cut.round_().clamp_(0, 255).permute(1, 2, 0))
