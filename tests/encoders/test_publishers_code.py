"""The renamings against the publishers' own packages, where one is installed; small models with random weights."""

import numpy as np
import open_clip
import pytest
import timm
import torch
from torch import nn

from embedkit.encoders.backends import timm as timms
from embedkit.encoders.keys import RENAMINGS
from tests.encoders import published
from tests.encoders.test_published import random, same

IMAGE = {"image_size": 64, "patch_size": 32, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 256}
VIT = {"img_size": 64, "patch_size": 32, "embed_dim": 64, "depth": 2, "num_heads": 4, "num_classes": 0}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))


@torch.inference_mode()
def numbers(output: object) -> np.ndarray:
    return getattr(output, "pooler_output", output).numpy()


def test_clip_of_transformers(images):
    library = pytest.importorskip("transformers")
    vision = {**IMAGE, "num_attention_heads": 1}
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = library.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)
    theirs = random(library.CLIPModel(config))
    settings = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32}
    ours = open_clip.model._build_vision_tower(16, settings, quick_gelu=True).eval()
    state = RENAMINGS["transformers-clip"](theirs.state_dict())
    ours.load_state_dict({name.removeprefix("visual."): value for name, value in state.items()})
    with torch.inference_mode():
        same(ours(images).numpy(), numbers(theirs.get_image_features(pixel_values=images)))


def test_siglip_of_transformers(images):
    library = pytest.importorskip("transformers")
    theirs = random(library.SiglipVisionModel(library.SiglipVisionConfig(**IMAGE, num_attention_heads=4)))
    state = {f"vision_model.{name.removeprefix('vision_model.')}": v for name, v in theirs.state_dict().items()}
    pool = {"class_token": False, "global_pool": "map", "act_layer": "gelu_tanh"}
    ours = timm.models.vision_transformer.VisionTransformer(**VIT, **pool).eval()
    ours.load_state_dict(RENAMINGS["transformers-siglip"](state))
    with torch.inference_mode():
        same(ours(images).numpy(), numbers(theirs(pixel_values=images)))


def test_dinov2_of_transformers(images):
    library = pytest.importorskip("transformers")
    config = {"image_size": 64, "patch_size": 32, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    theirs = random(library.Dinov2Model(library.Dinov2Config(**config)))
    ours = timm.models.vision_transformer.VisionTransformer(**VIT, init_values=1.0).eval()
    ours.load_state_dict(RENAMINGS["transformers-dinov2"](theirs.state_dict()))
    with torch.inference_mode():
        same(ours(images).numpy(), numbers(theirs(pixel_values=images)))


@pytest.mark.parametrize("size", [(64, 64), (190, 114)])
def test_efficientnet_of_its_own_package(size):
    library = pytest.importorskip("efficientnet_pytorch")
    torch.manual_seed(0)
    ours = timm.create_model("tf_efficientnet_b5", num_classes=0)
    random(nn.ModuleList(module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)))
    theirs = library.EfficientNet.from_name("efficientnet-b5", num_classes=1)
    # timm's first weights, because those of torch let nothing through to the end.
    state = {name.removeprefix("image_encoder."): v for name, v in published.mammo_clip(ours.state_dict()).items()}
    names = theirs.state_dict().keys()
    theirs.load_state_dict({**theirs.state_dict(), **{name: v for name, v in state.items() if name in names}})
    ours.load_state_dict(RENAMINGS["efficientnet-pytorch"](theirs.state_dict()))
    timms.PATCHES["pad-as-for-456"](ours)
    images = torch.zeros(2, 3, *size)
    images[1, :, 10:40, 20:50] = 2
    with torch.inference_mode():
        same(ours.eval()(images).numpy(), theirs.eval().extract_features(images).mean((2, 3)).numpy())


def test_densenet_of_torchxrayvision():
    library = pytest.importorskip("torchxrayvision")
    theirs = random(library.models.DenseNet())
    ours = timm.create_model("densenet121", num_classes=18).eval()
    ours.load_state_dict(RENAMINGS["one-channel"](theirs.state_dict()))
    ours.reset_classifier(0)
    images = torch.rand(2, 3, 96, 96) * 2048 - 1024
    images[0, :, 20:60] = -1024
    with torch.inference_mode():
        same(ours(images).numpy(), theirs.features2(images.mean(1, keepdim=True)).numpy())
