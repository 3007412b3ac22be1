"""int8: NNCF turns the weights and activations of a model into whole numbers of eight bits, and OpenVINO computes them.

The scale of an activation is taken from what some images make of it: the network is calibrated. So it is made once and
kept (`QuantisedNetwork`), for vectors of two calibrations are not comparable.
"""

import logging
import re
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.engines import openvino
from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.images.errors import reason_of

if TYPE_CHECKING:
    from torch import nn

INT8 = "int8"
ENGINE = "openvino"

_FORMER_NAMES = re.compile(rb'\s*<attribute name="fused_names"[^>]*/>')


def lacks(device: str) -> str:
    """Return what is missing here to run a network in int8, empty if nothing is."""
    return openvino.lacks(INT8, device)


def lacks_to_quantise() -> str:
    """Return what is missing here to make one, empty if nothing is."""
    absent = [name for name in ("openvino", "nncf") if not find_spec(name)]
    return f"the package {absent[0]}: pip install 'embedkit[int8]'" if absent else ""


def quantise(model: "nn.Module", preprocessing: Preprocessing, images: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return a model in int8, calibrated on images (n, h, w, 3), as the graph and the numbers of OpenVINO.

    The same model, images, packages and processor give the same network.

    Raises:
        EmbedkitError: OpenVINO can't convert the model, or NNCF can't quantise it.
    """
    transformer = _attends(model)
    graph = openvino.converted(model, preprocessing)
    # One image at a time: the scales of an activation must not depend on how images were put together.
    graph.reshape([1, *preprocessing.shape])
    # It draws bars and logs on standard output, from its import on.
    with redirect_stdout(StringIO()):
        nncf, estimators = _imported("nncf"), _imported("nncf.quantization.range_estimator")
        # The least and the most that any image makes of an activation. By the means of both, NNCF's default, a
        # ResNet-50 lost twice as much of its worst image.
        ranges = estimators.RangeEstimatorParametersSet.MINMAX
        try:
            network = nncf.quantize(
                graph,
                nncf.Dataset([image[None] for image in images]),
                subset_size=len(images),
                advanced_parameters=nncf.AdvancedQuantizationParameters(activations_range_estimator_params=ranges),
                model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            )
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, nncf.ValidationError) as error:
            raise EmbedkitError(f"NNCF cannot quantise it: {reason_of(error)}. Use --precision fp32 or bf16") from error
    # Its own names have numbers that differ from one run to the next.
    network.set_friendly_name("int8")
    for number, operation in enumerate(network.get_ordered_ops()):
        operation.set_friendly_name(str(number))
    with TemporaryDirectory() as folder:
        xml, numbers = Path(folder) / "network.xml", Path(folder) / "network.bin"
        openvino.imported().serialize(network, xml, numbers)
        return _FORMER_NAMES.sub(b"", xml.read_bytes()), numbers.read_bytes()


def start(graph: bytes, numbers: bytes, preprocessing: Preprocessing, rest: str) -> Running:
    """Return a network that `quantise` made, ready to run batches; ``rest`` is the precision of what is not in int8."""
    network = openvino.imported().Core().read_model(graph, numbers)
    return openvino.running(network, preprocessing, rest)


def _attends(model: "nn.Module") -> bool:
    """Say whether a model is a transformer, whose matrices of attention NNCF leaves as they are where it is told.

    One layer of attention is what a ResNet of CLIP pools by.
    """
    return sum(type(module).__name__.endswith("Attention") for module in model.modules()) > 1


def _imported(name: str) -> Any:
    """Return a module of NNCF, without the telemetry that it shares with OpenVINO."""
    # torch warns of a CUDA toolkit without a GPU where NNCF looks for it, which is no matter here.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with openvino.unreported():
        return import_module(name)
