import json
import re
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from embedkit import encoders
from embedkit.encoders.backends.open_clip import build, image_tower
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine

TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
TOWERS = {
    "plain": {"vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16}},
    "quick": {
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    },
    "resnet": {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}},
    "trunk": {
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
        },
    },
    "coca": {
        "vision_cfg": {
            "image_size": 64,
            "layers": 2,
            "width": 64,
            "patch_size": 16,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "multimodal_cfg": {**TEXT, "mlp_ratio": 2, "dim_head": 16, "n_queries": 4},
        "custom_text": True,
    },
}


@pytest.fixture(params=list(TOWERS))
def clip(request, tmp_path):
    """A small CLIP with random weights: its name in open_clip, the model, and its checkpoint."""
    return small_clip(request.param, tmp_path)


def small_clip(kind, folder):
    name = f"embedkit-test-{kind}"
    text = {**TEXT, "embed_cls": True} if kind == "coca" else TEXT
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"embed_dim": 32, "text_cfg": text, **TOWERS[kind]}))
    open_clip.add_model_config(file)
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained_text=False).eval()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.2 + 0.01)
    torch.save({"state_dict": model.state_dict()}, folder / "clip.pt")
    return name, model, folder / "clip.pt"


def test_same_vectors_as_open_clip(clip, noise):
    name, _, path = clip
    card = encoders.resolve(f"open_clip:{name}/{path}")
    encoder = encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu")
    reference, _, transform = open_clip.create_model_and_transforms(name, pretrained=str(path))
    photos = [Image.fromarray(image) for image in noise(3, 300)]
    with torch.inference_mode():
        images = torch.stack([transform(photo) for photo in photos])
        wanted = reference.eval().encode_image(images, normalize=False).numpy()
    batch = np.stack([card.preprocessing.apply(np.array(photo)) for photo in photos])
    vectors = encoder.encode(batch)
    assert vectors.shape == (3, 32)
    assert cosine(vectors, wanted) > 0.9999
    assert np.allclose(vectors, wanted, rtol=1e-3, atol=1e-5), "projected and not normalised"


def test_quick_gelu_is_on_and_matters(tmp_path, noise):
    _, _, path = small_clip("quick", tmp_path)
    small_clip("plain", tmp_path)
    # Tensors of both are alike, so the one file fits both models: only the activation differs.
    quick, plain = (encoders.resolve(f"open_clip:embedkit-test-{kind}/{path}") for kind in ("quick", "plain"))
    vectors = [
        encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu").encode(noise(2, 64))
        for card in (quick, plain)
    ]
    assert not np.allclose(vectors[0], vectors[1], rtol=1e-4)
    assert encoders.configuration(quick, "0", "fp32") != encoders.configuration(plain, "0", "fp32")


@pytest.mark.parametrize(("name", "layers"), [("clip-vit-b16", 12), ("clip-vit-b32", 12), ("clip-vit-l14", 24)])
def test_the_openai_rows_have_quick_gelu_in_every_layer(name, layers):
    with torch.device("meta"):
        tower = image_tower(encoders.resolve(name).architecture, None)
    kinds = [type(module).__name__ for module in tower.modules()]
    assert kinds.count("QuickGELU") == layers
    assert "GELU" not in kinds


def test_biomedclip_needs_no_text_tower(tmp_path, noise):
    name, model, path = small_clip("trunk", tmp_path)
    card = encoders.resolve("biomedclip")
    small = replace(
        card,
        dim=32,
        vision={**card.vision, "embed_dim": 32, "timm_model_name": "test_vit", "image_size": 160},
        preprocessing=replace(card.preprocessing, size=160, resize=160),
    )
    state = {key: value for key, value in model.state_dict().items() if key.startswith("visual.")}
    # The text tower of the published checkpoint is one of transformers, of which nothing here knows.
    save_file(state | {"text.transformer.embeddings.position_ids": torch.arange(3)}, tmp_path / "b.safetensors")
    encoder = encoders.load_encoder(small, encoders.Weights(tmp_path / "b.safetensors", "given"), "fp32", "cpu")
    other = encoders.resolve(f"open_clip:{name}/{path}")
    wanted = encoders.load_encoder(other, encoders.find_weights(other), "fp32", "cpu").encode(noise(2, 160))
    assert cosine(encoder.encode(noise(2, 160)), wanted) > 0.999999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("visual.conv1.weight"), "1 tensors missing, e.g. conv1.weight"),
        (lambda state: state.update({"visual.more": torch.ones(1)}), "1 tensors not expected, e.g. more"),
        (lambda state: state.update({"visual.proj": torch.ones(64, 33)}), "1 tensors of another shape, e.g. proj"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, change, message):
    name, model, path = small_clip("plain", tmp_path)
    state = model.state_dict()
    change(state)
    torch.save(state, path)
    card = encoders.resolve(f"open_clip:{name}/{path}")
    with pytest.raises(EmbedkitError, match=message):
        encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu")


def test_weights_without_an_image_tower_are_named(tmp_path):
    save_file({"layer1.0.conv1.weight": torch.ones(2)}, tmp_path / "w.safetensors")
    card = encoders.resolve("clip-rn50")
    with pytest.raises(EmbedkitError, match=r"no image tower of open_clip.*seems to be a ResNet"):
        encoders.load_encoder(card, encoders.Weights(tmp_path / "w.safetensors", "given"), "fp32", "cpu")


APPLE = {
    "stem.": "patch_embed.",
    "conv_kxk": "rbr_conv",
    "conv_scale": "rbr_scale",
    "identity": "rbr_skip",
    "final_conv": "conv_exp",
    "large_conv": "lkb_origin",
    "mlp": "convffn",
    "se.fc1": "se.reduce",
    "se.fc2": "se.expand",
    "head.fc.weight": "head.proj",
}


def apples_name(key):
    """Translate a name of timm's FastViT back into the one in Apple's own files."""
    key = re.sub(r"stages\.(\d)\.downsample", lambda m: f"network.{2 * int(m[1]) - 1}", key)
    key = re.sub(r"stages\.(\d)\.blocks", lambda m: f"network.{2 * int(m[1])}", key)
    key = re.sub(r"(layer_scale\w*)\.gamma", r"\1", key)
    for ours, theirs in APPLE.items():
        key = key.replace(ours, theirs)
    return f"image_encoder.model.{key}"


def test_mobileclip_as_apple_publishes_it(tmp_path):
    vision = {"embed_dim": 512, **open_clip.get_model_config("MobileCLIP-S1")["vision_cfg"]}
    card = replace(encoders.resolve("mobileclip-s1"), vision=vision | {"timm_model_name": "fastvit_mci0"})
    tower = image_tower(card.architecture, card.vision)
    wanted = tower.trunk.state_dict()
    wanted["head.fc.bias"].zero_()
    state = {apples_name(key): value.T if key == "head.fc.weight" else value for key, value in wanted.items()}
    del state["image_encoder.model.head.fc.bias"]
    torch.save(state | {"logit_scale": torch.ones(())}, tmp_path / "mobileclip_s0.pt")
    loaded = build(card, tmp_path / "mobileclip_s0.pt").trunk.state_dict()
    assert loaded.keys() == wanted.keys()
    assert all(torch.equal(loaded[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("name", ["mobileclip-s1", "clip-rn50"])
def test_a_piece_of_such_a_file_is_named(tmp_path, name):
    key = "image_encoder.model.patch_embed.0.rbr_conv.0.conv.weight"
    save_file({key: torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(EmbedkitError, match="seems to be a MobileCLIP as Apple publishes it"):
        build(encoders.resolve(name), tmp_path / "w.safetensors")
