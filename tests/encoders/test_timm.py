from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from embedkit import encoders
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine

RESNET, VIT = "timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"


def trained(spec: str, **how: object) -> torch.nn.Module:
    """Return the model with random weights, those of its normalisations too."""
    torch.manual_seed(0)
    model = timm.create_model(spec.removeprefix("timm:"), **how).eval()
    for value in model.state_dict().values():
        if value.ndim == 1 and value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    return model


def write(model: torch.nn.Module, path: Path) -> Path:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def directly(model: torch.nn.Module, spec: str, batch: np.ndarray) -> np.ndarray:
    known = timm.get_pretrained_cfg(spec.removeprefix("timm:"))
    images = torch.from_numpy(batch).permute(0, 3, 1, 2) / 255
    images = (images - torch.tensor(known.mean).view(3, 1, 1)) / torch.tensor(known.std).view(3, 1, 1)
    with torch.inference_mode():
        return model.forward_head(model.forward_features(images), pre_logits=True).numpy()


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch):
    import timm.models._builder as builder

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("timm wanted to download")

    for name in ("load_state_dict_from_hf", "load_state_dict_from_url", "download_cached_file", "load_custom_from_hf"):
        monkeypatch.setattr(builder, name, fail)


@pytest.mark.parametrize("spec", [RESNET, VIT])
def test_same_vectors_as_timm(tmp_path, load, noise, spec):
    model = trained(spec)
    encoder = load(spec, write(model, tmp_path / "w.safetensors"))
    batch = noise(3, encoder.shape[0])
    vectors = encoder.encode(batch)
    assert vectors.shape == (3, encoder.dim)
    assert cosine(vectors, directly(model, spec, batch)) > 0.999999


@pytest.mark.parametrize("classes", [0, 2, 1000])
def test_the_classifier_does_not_matter(tmp_path, load, noise, classes):
    model = trained(RESNET)
    encoder = load(RESNET, write(model, tmp_path / "w.safetensors"))
    body = {name: value for name, value in model.state_dict().items() if not name.startswith("fc.")}
    head = {"fc.weight": torch.ones(classes, encoder.dim), "fc.bias": torch.ones(classes)} if classes else {}
    save_file(body | head, tmp_path / "other.safetensors")
    other = load(RESNET, tmp_path / "other.safetensors")
    assert np.array_equal(encoder.encode(noise(2, 160)), other.encode(noise(2, 160)))


def test_positions_are_resampled_as_timm_does(tmp_path, noise):
    path = write(trained(VIT), tmp_path / "w.safetensors")
    card = encoders.resolve(VIT)
    card = replace(card, preprocessing=replace(card.preprocessing, size=96, resize=96))
    encoder = encoders.load_encoder(card, encoders.Weights(path, "given"), "fp32", "cpu")
    overlay = {"file": str(path)}
    model = timm.create_model(VIT[5:], pretrained=True, img_size=96, num_classes=0, pretrained_cfg_overlay=overlay)
    assert cosine(encoder.encode(noise(2, 96)), directly(model.eval(), VIT, noise(2, 96))) > 0.999999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer1.0.conv1.weight"), "1 tensors missing, e.g. layer1.0.conv1.weight"),
        (lambda state: state.update(extra=torch.ones(1)), "1 tensors not expected, e.g. extra"),
        (lambda state: state.update({"bn1.weight": torch.ones(5)}), "1 tensors of another shape, e.g. bn1.weight"),
    ],
)
def test_a_file_that_does_not_fit_exactly_is_refused(tmp_path, load, change, message):
    state = dict(trained(RESNET).state_dict())
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(EmbedkitError, match=message):
        load(RESNET, tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("spec", "other", "seems"),
    [
        (RESNET, VIT, "seems to be a vision transformer of timm"),
        (VIT, RESNET, "seems to be a ResNet"),
        (VIT, "timm:vit_tiny_patch16_224", "of another shape"),
        (RESNET, "timm:test_convnext", "seems to be a ConvNeXt"),
        ("timm:test_convnext", RESNET, "its tensors are those of another model"),
    ],
)
def test_the_weights_of_another_model_are_named(tmp_path, load, spec, other, seems):
    path = write(trained(other), tmp_path / "w.safetensors")
    with pytest.raises(EmbedkitError, match=f"w.safetensors does not fit {spec}.*{seems}"):
        load(spec, path)


def test_tensors_in_order_get_timms_names(tmp_path, noise):
    model = trained(RESNET)
    card = replace(encoders.resolve(RESNET), keys="by-order")
    renamed = {f"layer_{i}": value for i, value in enumerate(model.state_dict().values())}
    torch.save(renamed, tmp_path / "w.pt")
    encoder = encoders.load_encoder(card, encoders.Weights(tmp_path / "w.pt", "given"), "fp32", "cpu")
    assert cosine(encoder.encode(noise(2, 160)), directly(model, RESNET, noise(2, 160))) > 0.999999
    for wrong in (dict(list(renamed.items())[1:]), dict(sorted(renamed.items()))):
        torch.save(wrong, tmp_path / "w.pt")
        with pytest.raises(EmbedkitError, match="in the same order"):
            encoders.load_encoder(card, encoders.Weights(tmp_path / "w.pt", "given"), "fp32", "cpu")
