"""A command line run in this process, a tiny encoder in one file, and a tiny set of images."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedkit.cli import main


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def results(self) -> list[dict[str, Any]]:
        value = json.loads(self.out)
        assert list(value) == ["results"]
        return value["results"]


Run = Callable[..., Done]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("EMBEDKIT_DATA", "EMBEDKIT_WEIGHTS", "EMBEDKIT_CACHE", "EMBEDKIT_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def embedkit(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> Done:
        monkeypatch.setattr("sys.argv", ["embedkit", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        status = stopped.value.code
        assert "Traceback" not in err
        return Done(status if isinstance(status, int) else 0, out, err)

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An encoder that maps an image to eight mixtures of the means of its colours."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    mixture = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "mixture"], ["embedding"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", kind, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("embedding", kind, ["n", 8])],
        [onnx.numpy_helper.from_array(mixture, "mixture")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(model, path)
    return f"onnx:{path}"


def write_images(folder: Path, classes: dict[str, tuple[int, int, int]], patients: int = 8, each: int = 2) -> list[str]:
    """Write noisy images of a colour per class in ``class/patient/`` folders; return their paths."""
    rng = np.random.default_rng(0)
    paths = []
    for label, colour in classes.items():
        for patient in range(patients):
            tint = rng.normal(scale=25, size=3)
            for number in range(each):
                path = folder / label / f"{label}-p{patient}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.normal(np.array(colour) + tint, 20, (40, 36, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(path)
                paths.append(path.relative_to(folder).as_posix())
    return paths


RED_AND_GREEN = {"red": (150, 100, 100), "green": (100, 150, 100)}


@pytest.fixture
def images(place: Path) -> Path:
    write_images(place / "images", RED_AND_GREEN)
    return place / "images"
