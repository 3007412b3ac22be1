"""The network: its start depends on the seed alone, and weights come in whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from embedkit.baselines import network
from embedkit.encoders import load_encoder
from embedkit.encoders.weights import Weights
from embedkit.errors import EmbedkitError

ARCH = "test_resnet"


def _same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    others = two.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in one.state_dict().items())


def test_random_weights_depend_on_the_seed_and_leave_the_generator_alone() -> None:
    card = network.card_of(ARCH)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    built = [network.build(card, 3, None, 32, seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    assert _same(built[0], built[1])
    assert not _same(built[0], built[2])
    assert built[0](torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_a_name_with_and_without_prefix_and_a_catalog_name_are_accepted() -> None:
    assert network.card_of(ARCH).architecture == network.card_of(f"timm:{ARCH}").architecture
    assert network.card_of("resnet50-v1").patch == "stride-in-first-conv"


@pytest.mark.parametrize(
    ("arch", "said"),
    [("resnet81", "Did you mean .*resnet"), ("clip-vit-b16", "only networks of timm are trained")],
)
def test_what_cannot_be_trained_is_refused(arch: str, said: str) -> None:
    with pytest.raises(EmbedkitError, match=said):
        network.card_of(arch)


def test_the_stride_of_version_1_is_kept_from_scratch() -> None:
    built = network.build(network.card_of("resnet50-v1"), 2, None, 32, 0)
    assert built.get_submodule("layer2.0.conv1").stride == (2, 2)


def test_the_whole_image_is_squashed_into_the_square() -> None:
    preprocessing = network.whole_image(network.card_of(ARCH), 16)
    image = np.zeros((30, 60, 3), np.uint8)
    image[:, :4] = image[:, -4:] = 255
    seen = preprocessing.apply(image)
    assert seen.shape == (16, 16, 3)
    assert seen[:, 0].min() > 100
    assert seen[:, -1].min() > 100


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    save_file(timm.create_model(ARCH, num_classes=10).state_dict(), path)
    return path


def test_weights_give_the_features_of_the_frozen_encoder_and_a_new_classifier(checkpoint: Path) -> None:
    card = network.card_of(ARCH)
    built = network.build(card, 4, checkpoint, card.preprocessing.size, 0).eval()
    encoder = load_encoder(card, Weights(checkpoint, "given"), "fp32", "cpu")
    batch = np.random.default_rng(0).integers(0, 256, (2, *encoder.shape), dtype=np.uint8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.preprocessing.mean, card.preprocessing.std))
    images = (torch.from_numpy(batch).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        features = built.forward_head(built.forward_features(images), pre_logits=True)  # type: ignore[operator]
        assert built(images).shape == (2, 4)
    np.testing.assert_allclose(features.numpy(), encoder.encode(batch), rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused(checkpoint: Path) -> None:
    with pytest.raises(EmbedkitError, match="does not fit"):
        network.build(network.card_of("resnet10t"), 2, checkpoint, 32, 0)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"state": Path("/")}, path)
    with pytest.raises(EmbedkitError, match="never executes a pickle"):
        network.build(network.card_of(ARCH), 2, path, 32, 0)
