"""A command line run in this process, a tiny encoder in one file, and a tiny set of images."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedkit import words
from embedkit.cli import main
from embedkit.encoders import TextTower
from tests.text.fewshot.making import a_tower


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


def write_checkpoint(folder: Path, model: str) -> Path:
    """Write random weights of a small model of timm; return the file."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = folder / f"{model}.safetensors"
    save_file(timm.create_model(model).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of timm's test_vit, an encoder that every engine runs."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), "test_vit")


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


CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP of random weights in a folder that open_clip could have saved."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**CLIP)
    save_file(
        {name: value.clone() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP, "preprocess_cfg": {}}))
    return f"open_clip:{folder}"


WORDING = """
templates = ["a photo of {}."]
[classes]
red = "something red"
green = "something green"
"""


@pytest.fixture
def wording(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prompts for the images, and a text tower of the name ``words``."""

    def tower_for(model: str | None, text_encoder: str | None = None, **_: object) -> TextTower:
        return a_tower(name=str(text_encoder or model))

    monkeypatch.setattr(words, "tower_for", tower_for)
    path = place / "prompts.toml"
    path.write_text(WORDING)
    return path
