"""ONNX Runtime: a torch model exported to ONNX in memory, and run from there in fp32."""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.images.errors import reason_of

if TYPE_CHECKING:
    from torch import nn

_OPSET = 17


def lacks(precision: str, device: str) -> str:
    """Return what is missing here, empty if nothing is."""
    if device != "cpu":
        return "a processor to run on: this engine does not use the GPU (--device cpu)"
    if precision != "fp32":
        return "bf16: ONNX Runtime computes in fp32 on a processor (--precision fp32)"
    absent = [name for name in ("onnx", "onnxruntime") if not find_spec(name)]
    return f"the package {absent[0]}: pip install 'embedkit[onnx]' onnx" if absent else ""


def start(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Return the model, exported to ONNX.

    Raises:
        EmbedkitError: torch can't export the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        _export(model, preprocessing, file)
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = session.run(None, {"pixels": batch})[0]
        return vectors

    return Running(run)


def _export(model: "nn.Module", preprocessing: Preprocessing, file: Path) -> None:
    import torch

    from embedkit.encoders.engines.prepared import Prepared

    example = torch.zeros(2, *preprocessing.shape, dtype=torch.uint8)
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quiet.setLevel(logging.ERROR)
            # The other exporter needs a further package, onnxscript.
            torch.onnx.export(
                Prepared(model, preprocessing),
                (example,),
                str(file),
                dynamo=False,
                input_names=["pixels"],
                output_names=["vectors"],
                dynamic_axes={"pixels": {0: "images"}, "vectors": {0: "images"}},
                opset_version=_OPSET,
            )
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise EmbedkitError(f"torch cannot export it to ONNX: {reason_of(error)}. Use --engine torch") from error
    finally:
        quiet.setLevel(before)
