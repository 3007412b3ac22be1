from dataclasses import replace

import pytest
import torch
from torchvision.models import get_model

from embedkit import encoders
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine

# A small model stands in for the large ones of the catalog, whose shapes test_catalog.py checks.
CARD = replace(encoders.resolve("swin-t"), name="small", architecture="mobilenet_v3_small", dim=1024, url="")


@pytest.fixture
def small(tmp_path):
    torch.manual_seed(0)
    model = get_model("mobilenet_v3_small", weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    return model, encoders.Weights(tmp_path / "w.pth", "given")


def test_the_vector_is_what_the_last_layer_sees(small, noise):
    model, weights = small
    seen = []
    model.classifier[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.from_numpy(noise(2, 224)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CARD.preprocessing.mean, CARD.preprocessing.std))
    with torch.inference_mode():
        model((images - mean) / std)
    encoder = encoders.load_encoder(CARD, weights, "fp32", "cpu")
    assert cosine(encoder.encode(noise(2, 224)), seen[0].numpy()) > 0.999999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.0.0.weight"), "1 tensors missing, e.g. features.0.0.weight"),
        (lambda state: state.update(more=torch.ones(1)), "1 tensors not expected, e.g. more"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(small, change, message):
    _, weights = small
    state = torch.load(weights.path)
    change(state)
    torch.save(state, weights.path)
    with pytest.raises(EmbedkitError, match=f"{message}.*seems to be a model of torchvision"):
        encoders.load_encoder(CARD, weights, "fp32", "cpu")


def test_a_classifier_of_other_classes_is_cut_off_all_the_same(small, noise):
    _, weights = small
    before = encoders.load_encoder(CARD, weights, "fp32", "cpu").encode(noise(1, 224))
    state = torch.load(weights.path)
    state |= {"classifier.3.weight": torch.ones(2, 1024), "classifier.3.bias": torch.ones(2)}
    torch.save(state, weights.path)
    assert (encoders.load_encoder(CARD, weights, "fp32", "cpu").encode(noise(1, 224)) == before).all()
