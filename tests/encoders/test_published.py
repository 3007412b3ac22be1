"""Every medical row on a checkpoint of the published names and shapes, against the architecture called directly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from embedkit import encoders
from embedkit.encoders import matching
from embedkit.encoders.backends import open_clip as towers
from embedkit.encoders.backends import timm as timms
from tests.encoders import published
from tests.encoders.conftest import cosine

CARDS = encoders.catalog()
CLIPS = ("pubmedclip", "monet")
TWO = {"depth": 2}


def random(model: nn.Module) -> nn.Module:
    """Give every tensor its own numbers, the statistics of normalisations too."""
    torch.manual_seed(0)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.75 if value.ndim < 2 else torch.randn_like(value) * 0.05)
    return model.eval()


def whole(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.clone().contiguous() for name, value in state.items()}


def embed(card: encoders.EncoderCard, state: dict[str, torch.Tensor], folder: Path, batch: np.ndarray) -> np.ndarray:
    save_file(whole(state), folder / "w.safetensors")
    weights = encoders.find_weights(card, given=folder / "w.safetensors", fetch=False)
    return encoders.load_encoder(card, weights, "fp32", "cpu").encode(batch)


def pixels(card: encoders.EncoderCard, batch: np.ndarray) -> torch.Tensor:
    """Normalise by the card's mean and std."""
    images = torch.from_numpy(batch).permute(0, 3, 1, 2) / 255
    p = card.preprocessing
    return (images - torch.tensor(p.mean).view(3, 1, 1)) / torch.tensor(p.std).view(3, 1, 1)


@torch.inference_mode()
def called(model: Callable[[torch.Tensor], torch.Tensor], card: encoders.EncoderCard, batch: np.ndarray) -> np.ndarray:
    return model(pixels(card, batch)).numpy()


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    # The images must differ in it, or the test would see nothing.
    assert np.ptp(theirs, axis=0).max() > 1e-4 * np.abs(theirs).max()
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    assert cosine(ours, theirs) > 0.999999


def small_clip(name: str, folder: Path) -> encoders.EncoderCard:
    """The card on an architecture of two layers that is otherwise the published one."""
    import json

    config = open_clip.get_model_config(CARDS[name].architecture)
    config["vision_cfg"] |= {"layers": 2}
    (folder / f"embedkit-published-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"embedkit-published-{name}.json")
    return replace(CARDS[name], architecture=f"embedkit-published-{name}")


@pytest.mark.parametrize("name", CLIPS)
def test_clip_as_transformers_saves_it(name, tmp_path, noise):
    card = small_clip(name, tmp_path)
    visual = random(open_clip.create_model(card.architecture, pretrained_text=False).visual)
    state = published.transformers_clip(visual.state_dict())
    same(embed(card, state, tmp_path, noise(2, 224)), called(visual, card, noise(2, 224)))
    # PubMedCLIP's own release and MONET's have OpenAI's names, which are open_clip's.
    own = {f"visual.{key}": value for key, value in visual.state_dict().items()}
    same(embed(card, own, tmp_path, noise(2, 224)), called(visual, card, noise(2, 224)))


def test_siglip_as_transformers_saves_it(tmp_path, noise):
    card = CARDS["medsiglip"]
    card = replace(card, vision={**card.vision, **TWO})
    size = {"img_size": 448, "act_layer": "gelu_tanh", "num_classes": 0, **TWO}
    vit = random(timm.create_model("vit_so400m_patch14_siglip_378", **size))
    state = published.transformers_siglip(vit.state_dict())
    same(embed(card, state, tmp_path, noise(2, 448)), called(vit, card, noise(2, 448)))


@pytest.mark.parametrize("newer", [False, True])
def test_dinov2_as_transformers_saves_it(newer, tmp_path, noise):
    card = replace(CARDS["rad-dino"], vision=TWO)
    vit = random(timm.create_model("vit_base_patch14_dinov2", num_classes=0, **TWO))
    state = published.transformers_dinov2(vit.state_dict(), newer)
    vectors = embed(card, state, tmp_path, noise(2, 518))
    # The embedding is the class token after the last norm.
    same(vectors, called(lambda x: vit.forward_features(x)[:, 0], card, noise(2, 518)))


def retfound(vit: nn.Module, x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    """What the published model does: the mean of the patches, then a norm that is new in it."""
    x = vit.patch_embed(x)
    x = torch.cat([vit.cls_token.expand(len(x), -1, -1), x], 1) + vit.pos_embed
    for block in vit.blocks:
        x = block(x)
    return norm(x[:, 1:].mean(1))


@pytest.mark.parametrize("name", ["retfound-cfp", "retfound-oct"])
def test_retfound_averages_the_patches_and_normalises_without_scale(name, tmp_path, noise):
    card = replace(CARDS[name], vision={**CARDS[name].vision, **TWO})
    vit = random(timm.create_model("vit_large_patch16_224", global_pool="avg", num_classes=0, **TWO))
    state = published.masked_autoencoder(vit.state_dict())
    new = nn.LayerNorm(1024, eps=1e-6)
    same(embed(card, state, tmp_path, noise(2, 224)), called(lambda x: retfound(vit, x, new), card, noise(2, 224)))


def test_a_fine_tuned_retfound_keeps_its_own_norm(tmp_path, noise):
    card = replace(CARDS["retfound-cfp"], vision={"global_pool": "avg", **TWO})
    vit = random(timm.create_model("vit_large_patch16_224", global_pool="avg", num_classes=5, **TWO))
    vectors = embed(card, vit.state_dict(), tmp_path, noise(2, 224))
    same(vectors, called(lambda x: retfound(vit, x, vit.fc_norm), card, noise(2, 224)))


def panderm(state: dict[str, torch.Tensor], heads: int, x: torch.Tensor) -> torch.Tensor:
    """The published forward pass of two layers, from its own tensors."""
    width = state["cls_token"].shape[-1]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return nn.functional.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return nn.functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = nn.functional.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + state["pos_embed"]
    for i in range(2):
        at = f"blocks.{i}"
        biases = (state[f"{at}.attn.q_bias"], torch.zeros(width), state[f"{at}.attn.v_bias"])
        y = nn.functional.linear(norm(x, f"{at}.norm1"), state[f"{at}.attn.qkv.weight"], torch.cat(biases))
        q, k, v = y.reshape(*y.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        attention = (q * (width // heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        y = (attention @ v).transpose(1, 2).reshape(x.shape)
        x = x + state[f"{at}.gamma_1"] * linear(y, f"{at}.attn.proj")
        y = nn.functional.gelu(linear(norm(x, f"{at}.norm2"), f"{at}.mlp.fc1"))
        x = x + state[f"{at}.gamma_2"] * linear(y, f"{at}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def sine_positions(width: int) -> torch.Tensor:
    """The published fixed positions, number by number."""
    rows = [[0.0] * width]
    for i in range(196):
        waves = [1 / 10000 ** (j / (width // 4)) for j in range(width // 4)]
        rows.append([wave(place * w) for place in divmod(i, 14) for wave in (np.sin, np.cos) for w in waves])
    return torch.tensor(rows, dtype=torch.float32)[None]


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize(("name", "heads"), [("panderm", 16), ("panderm-base", 12)])
def test_panderm(name, heads, positions, tmp_path, noise):
    card = replace(CARDS[name], vision={**CARDS[name].vision, **TWO})
    vit = random(timm.create_model(card.architecture, init_values=0.1, num_classes=0, **TWO))
    state = published.context_autoencoder(vit.state_dict(), positions)
    own = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
    own.setdefault("pos_embed", sine_positions(vit.embed_dim))
    vectors = embed(card, state, tmp_path, noise(2, 224))
    same(vectors, called(lambda x: panderm(own, heads, x), card, noise(2, 224)))


@pytest.mark.parametrize("old", [True, False])
def test_medimageinsight(old, tmp_path, noise):
    from timm.models import davit, register_model

    def davit_embedkit_test(**_: object) -> nn.Module:
        size = {"depths": (1, 1, 2, 1), "embed_dims": (32, 64, 96, 128), "num_heads": (2, 4, 6, 8)}
        kind = {"window_size": 12, "down_kernel_size": 3, "channel_attn_v2": True, "named_blocks": True}
        model = davit.DaVit(**size, **kind)
        model.default_cfg = {"pool_size": (7, 7)}
        return model

    if not timm.is_model("davit_embedkit_test"):
        register_model(davit_embedkit_test)
    card = CARDS["medimageinsight"]
    card = replace(card, dim=48, vision={**card.vision, "embed_dim": 48, "timm_model_name": "davit_embedkit_test"})
    tower = random(towers.empty(card))
    state = published.unicl(tower.state_dict(), old)
    projection = state["vision_projection" if old else "image_projection"]
    vectors = embed(card, state, tmp_path, noise(2, 480))
    same(vectors, called(lambda x: tower.trunk(x) @ projection, card, noise(2, 480)))


def test_radimagenet_resnet50(tmp_path, noise):
    network = random(torchvision.models.resnet50())
    state = published.children(network.state_dict(), published.RESNET, "fc")
    network.fc = nn.Identity()
    card = CARDS["radimagenet-resnet50"]
    same(embed(card, state, tmp_path, noise(2, 224)), called(network, card, noise(2, 224)))


def test_radimagenet_densenet121(tmp_path, noise):
    network = random(torchvision.models.densenet121())
    state = published.children(network.state_dict(), published.DENSENET, "classifier")
    network.classifier = nn.Identity()
    card = CARDS["radimagenet-densenet121"]
    same(embed(card, state, tmp_path, noise(2, 224)), called(network, card, noise(2, 224)))


def test_torchxrayvision_sees_one_channel_from_minus_1024_to_1024(tmp_path, noise):
    network = torchvision.models.densenet121(num_classes=18)
    network.features.conv0 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    random(network)
    state = {**network.state_dict(), "op_threshs": torch.ones(18)}
    network.classifier = nn.Identity()
    grey = np.repeat(noise(2, 224)[..., :1], 3, axis=3)
    with torch.inference_mode():
        image = torch.from_numpy(grey[..., 0]).float()[:, None]
        wanted = network((2 * image / 255 - 1) * 1024).numpy()
    same(embed(CARDS["xrv-densenet121"], state, tmp_path, grey), wanted)


def test_mammo_clip_stretches_each_image_and_pads_as_for_456(tmp_path):
    # The published proportions, a quarter of the published size.
    card = CARDS["mammo-clip"]
    card = replace(card, preprocessing=replace(card.preprocessing, size=380, resize=380, width=228))
    ramp = np.linspace([[40]], [[200]], 380) + np.linspace([[0]], [[50]], 228, axis=1)
    batch = np.stack([np.repeat(ramp, 3, axis=-1), np.full((380, 228, 3), 60.0)]).astype(np.uint8)
    batch[1, 100:200, 50:100] = 180
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_b5", num_classes=0)
    random(nn.ModuleList(m for m in network.modules() if isinstance(m, nn.BatchNorm2d)))
    network.eval()
    state = published.mammo_clip(network.state_dict())
    vectors = embed(card, state, tmp_path, batch)
    timms.PATCHES[card.patch](network)
    with torch.inference_mode():
        images = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
        images = torch.stack([(image - image.min()) / (image.max() - image.min()) for image in images])
        wanted = network((images - 0.3089279) / 0.25053555408335154).numpy()
    same(vectors, wanted)


def test_the_padding_for_456_pixels_by_hand():
    network = timm.create_model("tf_efficientnet_b5", num_classes=0)
    timms.PATCHES["pad-as-for-456"](network)
    pads = {name.removesuffix(".0"): m.padding for name, m in network.named_modules() if isinstance(m, nn.ZeroPad2d)}
    # A side of 456 becomes 228, 114, 57, 29 (57 is odd: one before, one after) and 15.
    assert pads == {
        "conv_stem": (0, 1, 0, 1),
        "blocks.1.0.conv_dw": (0, 1, 0, 1),
        "blocks.2.0.conv_dw": (1, 2, 1, 2),
        "blocks.3.0.conv_dw": (1, 1, 1, 1),
        "blocks.5.0.conv_dw": (2, 2, 2, 2),
    }


def test_dinov3_is_the_class_token(tmp_path, noise):
    card = replace(CARDS["dinov3-vitb16"], vision={"global_pool": "token", **TWO})
    vit = random(timm.create_model("vit_base_patch16_dinov3", num_classes=0, **TWO))
    vectors = embed(card, vit.state_dict(), tmp_path, noise(2, 256))
    same(vectors, called(lambda x: vit.forward_features(x)[:, 0], card, noise(2, 256)))


WHOLE = {
    "pubmedclip": published.transformers_clip,
    "monet": published.transformers_clip,
    "medsiglip": published.transformers_siglip,
    "medimageinsight": published.unicl,
    "rad-dino": published.transformers_dinov2,
    "retfound-cfp": published.masked_autoencoder,
    "retfound-oct": published.masked_autoencoder,
    "radimagenet-resnet50": lambda state: published.children(state, published.RESNET, "fc"),
    "radimagenet-densenet121": lambda state: published.children(state, published.DENSENET, "classifier"),
    "panderm": lambda state: published.context_autoencoder(state, True),
    "panderm-base": lambda state: published.context_autoencoder(state, True),
    "mammo-clip": published.mammo_clip,
    "dinov3-vitb16": dict,
}


# A tensor whose name is renamed, one that is joined with others, and one that only some models have.
INNER = ("norm1", "layer_norm1", "bn1", "q_proj", "attention.query", "q_bias", "_expand_conv")


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_checkpoint_fits_by_names_and_shapes(name):
    """At the published depth and width, without numbers."""
    card = CARDS[name]
    backend = towers if card.backend == "open_clip" else timms
    with torch.device("meta"):
        state = WHOLE[name](backend.empty(card).state_dict())
    found = matching.compare(card, state, Path("w.pt"))
    assert (found.fits, found.reason) == (True, "")
    for missing in [next(n for n in state if part in n) for part in INNER if any(part in n for n in state)]:
        rest = {key: value for key, value in state.items() if key != missing}
        found = matching.compare(card, rest, Path("w.pt"))
        assert not found.fits
        assert found.differences.missing
