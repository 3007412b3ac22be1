"""int8 keeps about the vectors of torch, is the same network each time, and tells nobody."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
from torch import nn

from embedkit.encoders.engines import int8
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine
from tests.encoders.engines.test_engines import _Odd, plain, small

PREPROCESSING = Preprocessing(160, 160, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
Noise = Callable[[int, int], np.ndarray]

nncf_here = pytest.mark.skipif(bool(int8.lacks_to_quantise()), reason="nncf is not installed")


@nncf_here
@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_a_network_keeps_about_the_vectors(
    architecture: str, noise: Noise, one_thread: None, capfd: pytest.CaptureFixture[str]
) -> None:
    batch = noise(12, 160) // 2 + 20
    graph, numbers = int8.quantise(small(architecture), PREPROCESSING, batch[:8])
    assert capfd.readouterr().out == ""
    assert len(numbers) < 0.5 * sum(4 * tensor.numel() for tensor in small(architecture).parameters())
    vectors = int8.start(graph, numbers, PREPROCESSING, "fp32").run(batch)
    wanted = plain(small(architecture), PREPROCESSING, batch)
    assert 0.99 < cosine(vectors, wanted) < 1 - 1e-6


@nncf_here
def test_a_network_is_made_alike_each_time_of_the_same_images_alone(noise: Noise, one_thread: None) -> None:
    preprocessing = replace(PREPROCESSING, size=64, resize=64)
    network = int8.quantise(small(), preprocessing, noise(2, 64))
    assert int8.quantise(small(), preprocessing, noise(2, 64)) == network
    assert int8.quantise(small(), preprocessing, noise(2, 64) // 4)[1] != network[1]


@nncf_here
def test_it_opens_no_connection_and_leaves_no_file(tmp_path: Path) -> None:
    # Without pytest, beside which NNCF reports nothing anyway.
    code = """
import socket, sys, timm, numpy as np
def refuse(*_): raise SystemExit("it opens a connection")
socket.socket.connect = refuse
socket.create_connection = refuse
import openvino_telemetry
openvino_telemetry.Telemetry.__init__ = lambda *a, **k: refuse()
from embedkit.encoders.engines import int8
from embedkit.encoders.preprocess import Preprocessing
small, preprocessing = timm.create_model("test_resnet", num_classes=0), Preprocessing(
    64, 64, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3
)
int8.quantise(small, preprocessing, np.zeros((2, 64, 64, 3), np.uint8))
from nncf.telemetry.wrapper import telemetry
print("pytest" in sys.modules, type(telemetry).__name__ == "NNCFTelemetry")
"""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    top = str(Path(__file__).resolve().parents[3])
    paths = os.pathsep.join([top, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here, check=False)
    assert done.stdout.strip() == "False False", done.stderr
    assert list(here.iterdir()) == []
    assert not [path for path in home.rglob("*") if path.is_file()]


@nncf_here
def test_a_model_that_cannot_be_converted_is_told(noise: Noise) -> None:
    with pytest.raises(EmbedkitError, match="OpenVINO cannot convert it"):
        int8.quantise(_Odd(), PREPROCESSING, noise(1, 160))


@nncf_here
def test_a_model_that_cannot_be_quantised_is_told(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    nncf = int8._imported("nncf")

    def refuse(*_: object, **__: object) -> None:
        raise nncf.ValidationError("no such operation")

    monkeypatch.setattr(nncf, "quantize", refuse)
    with pytest.raises(EmbedkitError, match=r"NNCF cannot quantise it: no such operation\. Use --precision fp32"):
        int8.quantise(small(), PREPROCESSING, noise(1, 160))


@pytest.mark.parametrize(
    ("architecture", "transformer"),
    [("test_vit", True), ("test_resnet", False), ("test_convnext", False)],
)
def test_a_transformer_is_told_from_a_convolutional_network(architecture: str, transformer: bool) -> None:
    assert int8._attends(timm.create_model(architecture)) == transformer


def test_one_layer_of_attention_makes_no_transformer() -> None:
    assert not int8._attends(nn.Sequential(nn.Conv2d(3, 8, 3), nn.MultiheadAttention(8, 2)))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "find_spec", lambda name: None if name == "nncf" else SimpleNamespace())
    assert int8.lacks_to_quantise() == "the package nncf: pip install 'embedkit[int8]'"
    assert "--device cpu" in int8.lacks("cuda")
