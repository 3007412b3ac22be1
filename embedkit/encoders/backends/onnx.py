"""Any image encoder exported to ONNX, run by onnxruntime."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.card import EncoderCard
from embedkit.encoders.onnx_file import external_files
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from embedkit.encoders.engines.running import Run

DYNAMIC_SIZE = 224


def input_size(path: Path) -> int | None:
    """Return the side in pixels of the images that a graph takes, None if it takes any.

    Raises:
        EmbedkitError: onnxruntime is absent, or the graph does not take one batch of RGB images.
    """
    return _input(_session(path, "cpu"), path)[2]


def runner(card: EncoderCard, path: Path, precision: str, device: str) -> "Run":
    """Return the function that embeds a batch, (n, size, size, 3) uint8 to (n, dim) float32."""
    if precision != "fp32":
        raise EmbedkitError(f"{path} is an ONNX graph, which runs as it was exported: use the precision fp32")
    session = _session(path, device)
    name, rows, fixed = _input(session, path)
    size = card.preprocessing.size
    if fixed not in (None, size):
        raise EmbedkitError(f"{path} takes images of {fixed} pixels, but {card.name} is preprocessed to {size}")
    mean = np.array(card.preprocessing.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.array(card.preprocessing.std, np.float32).reshape(1, 3, 1, 1)

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = batch.transpose(0, 3, 1, 2).astype(np.float32)
        if card.preprocessing.stretch:
            images -= images.min((1, 2, 3), keepdims=True)
            images *= 255 / images.max((1, 2, 3), keepdims=True).clip(min=1)
        images = ((images / 255 - mean) / std).astype(np.float32, copy=False)
        step = rows or len(images)
        # A graph exported for a fixed number of images gets that many; the surplus is cut off again.
        padded = np.pad(images, ((0, -len(images) % step), (0, 0), (0, 0), (0, 0)))
        with _explained(path):
            outputs = [session.run(None, {name: padded[at : at + step]})[0] for at in range(0, len(padded), step)]
        parts = [_pool(output, session, path) for output in outputs]
        return np.concatenate(parts)[: len(images)]

    return run


def _session(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EmbedkitError(
            f"{path} needs onnxruntime, which is not installed: pip install 'embedkit[onnx]'"
        ) from error
    external_files(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    cuda: list[Any] = [("CUDAExecutionProvider", {"use_tf32": 0})]
    usable = device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    providers = [*(cuda if usable else []), "CPUExecutionProvider"]
    with _explained(path):
        return onnxruntime.InferenceSession(str(path), options, providers=providers)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what onnxruntime raises, which has no common base, into an EmbedkitError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    try:
        yield
    except (
        failures.Fail,
        failures.InvalidArgument,
        failures.InvalidGraph,
        failures.InvalidProtobuf,
        failures.NoSuchFile,
        failures.NotImplemented,
        failures.RuntimeException,
    ) as error:
        raise EmbedkitError(f"onnxruntime cannot run {path}: {str(error).splitlines()[0]}") from error


def _input(session: Any, path: Path) -> tuple[str, int | None, int | None]:
    """Return name, fixed number of images and fixed side of the one input of a graph."""
    inputs = session.get_inputs()
    found = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
    shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
    if len(shape) != 4:
        raise EmbedkitError(f"{path} must take one float input of shape (images, 3, side, side); it takes {found}")
    rows, channels, height, width = (length if isinstance(length, int) else None for length in shape)
    if channels not in (None, 3) or height != width:
        raise EmbedkitError(f"{path} must take square RGB images, channels first; it takes {found}")
    return inputs[0].name, rows, height


def _pool(output: Any, session: Any, path: Path) -> NDArray[np.float32]:
    array = np.asarray(output)
    if array.ndim == 4:
        array = array.mean(axis=(2, 3))
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        outputs = ", ".join(f"{o.name}: {o.type} {o.shape}" for o in session.get_outputs())
        raise EmbedkitError(
            f"the first output of {path} must be (images, dim) or (images, dim, h, w), not {array.shape} "
            f"{array.dtype}. It has {outputs}: export the pooled features first"
        )
    return array.astype(np.float32, copy=False)


def default_table(size: int | None, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Preprocessing` for a graph: ImageNet's usual ones, replaced by those of its sidecar."""
    side = sidecar.get("size", size or DYNAMIC_SIZE)
    return {
        "size": side,
        "resize": round(side * 256 / 224) if isinstance(side, int) else side,
        "resize_mode": "shortest",
        "interpolation": "bilinear",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        **sidecar,
    }
