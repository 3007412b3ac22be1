import math
import subprocess
import sys
from functools import cache

import pytest

from embedkit import encoders

CARDS = encoders.catalog()
NAMES = [
    *("clip-vit-b16", "clip-vit-b32", "clip-vit-l14", "clip-rn50", "biomedclip", "siglip-b16", "mobileclip-s1"),
    *("resnet18", "resnet50", "resnet50-v1", "resnet101", "densenet121", "efficientnet-lite0"),
    *("vit-ti16", "vit-b16", "vit-l16", "dino-vits16", "dinov2-vits14", "dinov2-vitb14", "maxvit-t"),
    *("convnext-t", "convnext-s", "convnext-b", "convnext-l", "swin-t", "swin-s", "swin-b"),
    *("swinv2-t", "swinv2-s", "swinv2-b"),
]


def by_backend(backend: str) -> list[str]:
    return [name for name, card in CARDS.items() if card.backend == backend]


@cache
def meta_model(name: str):
    """Build the architecture of a row without memory for its weights."""
    import timm
    import torch

    from embedkit.encoders.backends import open_clip, torchvision

    card = CARDS[name]
    with torch.device("meta"):
        if card.backend == "torchvision":
            return torchvision.headless(card.architecture)[0].eval()
        if card.backend == "open_clip":
            return open_clip.image_tower(card.architecture, card.vision).eval()
        size = card.preprocessing.size
        fixed = {"img_size": size} if timm.get_pretrained_cfg(card.architecture).fixed_input_size else {}
        return timm.create_model(card.architecture, num_classes=0, **fixed).eval()


def test_every_encoder_of_the_issue_is_there():
    assert sorted(CARDS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_dimension_and_parameters_are_those_of_the_model(name):
    import torch

    from embedkit.encoders.backends.torch_runner import _cast

    card, model = CARDS[name], meta_model(name)
    assert sum(p.numel() for p in model.parameters()) == card.parameters
    # In bf16, so that every layer is seen to take the types that it is given.
    _cast(model, torch.bfloat16)
    size = card.preprocessing.size
    output = model(torch.zeros(2, 3, size, size, device="meta", dtype=torch.bfloat16))
    assert (output.shape, output.dtype) == ((2, card.dim), torch.bfloat16)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_all_that_a_user_asks(name):
    card = CARDS[name]
    assert card.licence not in ("", "not stated")
    assert card.trained_on not in ("", "not stated")
    assert card.output == ("projected" if card.backend == "open_clip" else "pooled")
    assert bool(card.hub) == bool(card.files)
    # resnet50-v1 is published for Keras only, so it must be given.
    assert (card.hub or card.url) or name == "resnet50-v1"
    assert card.slug == card.name == name


@pytest.mark.parametrize("name", by_backend("torchvision"))
def test_torchvision_rows_are_torchvisions_own(name):
    from torchvision.models import get_model_weights

    card = CARDS[name]
    weights = get_model_weights(card.architecture).IMAGENET1K_V1
    transform = weights.transforms()
    assert card.url == weights.url
    assert card.preprocessing.describe() == {
        "size": transform.crop_size[0],
        "resize": transform.resize_size[0],
        "resize_mode": "shortest",
        "interpolation": transform.interpolation.value,
        "mean": transform.mean,
        "std": transform.std,
    }


@pytest.mark.parametrize("name", by_backend("timm"))
def test_timm_rows_are_timms_own(name):
    import timm

    card = CARDS[name]
    known = timm.get_pretrained_cfg(card.architecture)
    own = {
        "size": known.input_size[-1],
        "resize": math.floor(known.input_size[-1] / known.crop_pct),
        "resize_mode": "shortest",
        "interpolation": known.interpolation,
        "mean": list(known.mean),
        "std": list(known.std),
    }
    if name.startswith("dinov2"):
        # At 224 as in DINOv2's own evaluation; timm's default is 518.
        own |= {"size": 224, "resize": 256}
    if name == "resnet50-v1":
        own |= {"resize": 256, "interpolation": "bilinear"}
    else:
        assert card.hub == known.hf_hub_id
    assert card.preprocessing.describe() == own


@pytest.mark.parametrize("name", [name for name in by_backend("open_clip") if name != "biomedclip"])
def test_open_clip_rows_are_open_clips_own(name):
    import open_clip

    card = CARDS[name]
    model, tag = card.source.removeprefix("open_clip:").split("/")
    own = open_clip.get_pretrained_cfg(model, tag)
    size = open_clip.get_model_config(model)["vision_cfg"]["image_size"]
    assert card.hub == own["hf_hub"].rstrip("/")
    assert card.preprocessing.describe() == {
        "size": size,
        "resize": size,
        "resize_mode": own["resize_mode"],
        "interpolation": own["interpolation"],
        "mean": list(own["mean"]),
        "std": list(own["std"]),
    }
    if own.get("quick_gelu"):
        assert open_clip.get_model_config(card.architecture)["quick_gelu"] is True


def test_a_catalog_name_resolves_without_torch():
    code = (
        "import sys; from embedkit import encoders as e; e.resolve('clip-vit-b16'); e.default_precision(); "
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules or 'huggingface_hub' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
