"""Every engine gives the vectors of plain torch, whatever the model; and says what it lacks."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from embedkit import encoders
from embedkit.encoders import engines
from embedkit.encoders.engines import compiled, eager, onnx, openvino
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine

PREPROCESSING = Preprocessing(64, 64, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
Noise = Callable[[int, int], np.ndarray]

openvino_here = pytest.mark.skipif(bool(openvino.lacks("fp32", "cpu")), reason="openvino is not installed")
compiler_here = pytest.mark.skipif(bool(compiled.lacks("fp32", "cpu")), reason="there is no C++ compiler")


def small(name: str = "test_resnet") -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0)


def plain(model: nn.Module, preprocessing: Preprocessing, batch: np.ndarray) -> np.ndarray:
    """Normalise as the formula says, one image after another, and run the model as it is."""
    vectors = []
    for image in batch.astype(np.float64):
        values = image / 255
        if preprocessing.stretch:
            values = (image - image.min()) / (image.max() - image.min())
        values = (values - preprocessing.mean) / preprocessing.std
        pixels = torch.from_numpy(values.transpose(2, 0, 1)[None].astype(np.float32))
        with torch.no_grad():
            vectors.append(model.eval()(pixels)[0].numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("name", ["torch", pytest.param("openvino", marks=openvino_here), "onnx"])
@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_an_engine_gives_the_vectors_of_the_formula(
    name: str, architecture: str, stretch: bool, noise: Noise, one_thread: None
) -> None:
    side = timm.get_pretrained_cfg(architecture).input_size[-1]
    preprocessing = replace(PREPROCESSING, size=side, resize=side, stretch=stretch)
    batch = noise(3, side) // 2 + 20
    wanted = plain(small(architecture), preprocessing, batch)
    running = engines.start(name, lambda: small(architecture), preprocessing, "fp32", "cpu")
    np.testing.assert_allclose(running.run(batch), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@compiler_here
def test_a_compiled_model_gives_the_vectors_of_the_formula(noise: Noise, one_thread: None) -> None:
    def few() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.GELU(), nn.Flatten(), nn.Linear(256, 8))

    running = engines.start("compile", few, PREPROCESSING, "fp32", "cpu")
    wanted = plain(few(), PREPROCESSING, noise(2, 64))
    np.testing.assert_allclose(running.run(noise(2, 64)), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@compiler_here
def test_a_model_is_compiled_once_for_all_threads(noise: Noise) -> None:
    def few() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(256, 8))

    torch._dynamo.reset()
    counted = torch._dynamo.utils.counters
    before = counted["frames"]["ok"]
    running = engines.start("compile", few, PREPROCESSING, "fp32", "cpu")
    first = running.run_in_thread(noise(2, 64))
    with running.threads() as pool:
        for vectors in pool.map(running.run, [noise(2, 64)] * 4):
            np.testing.assert_array_equal(vectors, first)
    assert counted["frames"]["ok"] == before + 1


@openvino_here
@pytest.mark.parametrize("name", ["resnet50-v1", "vit-ti16"])
@pytest.mark.parametrize(("precision", "least"), [("fp32", 1 - 1e-5), ("bf16", 0.999)])
def test_openvino_keeps_the_vectors_of_real_encoders(
    name: str, precision: str, least: float, weights_root: Path, photos: list[Image.Image]
) -> None:
    card = encoders.resolve(name)
    weights = encoders.find_weights(card, folder=weights_root, fetch=False)
    batch = np.stack([card.preprocessing.apply(np.array(photo)) for photo in photos])
    plainly = encoders.load_encoder(card, weights, "fp32", "cpu").encode(batch)
    encoder = encoders.load_encoder(card, weights, precision, "cpu", "openvino")
    assert encoder.engine == "openvino"
    assert cosine(encoder.encode(batch), plainly) > least


@openvino_here
def test_threads_do_not_disturb_each_other(noise: Noise) -> None:
    running = engines.start("openvino", small, PREPROCESSING, "fp32", "cpu")
    batches = [noise(4, 64) // divisor for divisor in range(1, 13)]
    one_by_one = [running.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(running.run, batches))
    assert all((a == b).all() for a, b in zip(one_by_one, beside, strict=True))
    assert not np.allclose(beside[0], beside[1])


@openvino_here
def test_a_batch_of_another_size_is_run_too(noise: Noise) -> None:
    running = engines.start("openvino", small, PREPROCESSING, "fp32", "cpu")
    np.testing.assert_allclose(running.run(noise(5, 64))[:2], running.run(noise(5, 64)[:2]), rtol=1e-4, atol=1e-5)


@openvino_here
def test_openvino_does_not_report_to_its_makers(tmp_path: Path) -> None:
    code = """
import socket, numpy as np
def refuse(*_): raise SystemExit("it opens a connection")
socket.socket.connect = refuse
import openvino_telemetry
openvino_telemetry.Telemetry.__init__ = lambda *a, **k: refuse()
from embedkit.encoders import engines
from tests.encoders.engines.test_engines import PREPROCESSING, small
print(engines.start("openvino", small, PREPROCESSING, "fp32", "cpu").run(np.zeros((1, 64, 64, 3), np.uint8)).shape)
"""
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=home, check=False)
    assert done.stdout.startswith("(1, "), done.stderr
    assert not [path for path in tmp_path.rglob("*") if "intel" in str(path).lower()]


class _Odd(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such thing\nand more")


@openvino_here
@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_a_model_that_an_engine_cannot_convert_is_told(engine: str) -> None:
    with pytest.raises(EmbedkitError, match=r"cannot .*convert|export it.*\. Use --engine torch"):
        engines.start(engine, _Odd, PREPROCESSING, "fp32", "cpu")


def test_what_an_engine_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    for module in (onnx, openvino, compiled):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert eager.lacks("bf16", "cuda") == ""
    assert "compiler" in compiled.lacks("bf16", "cpu")
    assert compiled.lacks("bf16", "cuda:1") == "the package triton"
    assert "embedkit[openvino]" in openvino.lacks("bf16", "cpu")
    assert "--device cpu" in openvino.lacks("bf16", "cuda")
    assert "--precision fp32" in onnx.lacks("bf16", "cpu")
    assert "--device cpu" in onnx.lacks("fp32", "cuda")
    assert "embedkit[onnx]" in onnx.lacks("fp32", "cpu")
    with pytest.raises(EmbedkitError, match="the engine openvino lacks the package"):
        engines.start("openvino", small, PREPROCESSING, "fp32", "cpu")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(EmbedkitError, match="unknown engine 'tensorrt': choose auto, torch, compile, openvino, onnx"):
        engines.check_engine("tensorrt")
