import math
import re
import subprocess
import sys
from functools import cache
from importlib import import_module

import pytest

from embedkit import encoders
from embedkit.encoders.keys import RENAMINGS

CARDS = encoders.catalog()
NAMES = [
    *("clip-vit-b16", "clip-vit-b32", "clip-vit-l14", "clip-rn50", "biomedclip", "siglip-b16", "mobileclip-s1"),
    *("resnet18", "resnet50", "resnet50-v1", "resnet101", "densenet121", "efficientnet-lite0"),
    *("vit-ti16", "vit-b16", "vit-l16", "dino-vits16", "dinov2-vits14", "dinov2-vitb14", "maxvit-t"),
    *("convnext-t", "convnext-s", "convnext-b", "convnext-l", "swin-t", "swin-s", "swin-b"),
    *("swinv2-t", "swinv2-s", "swinv2-b"),
]
MEDICAL = [
    *("biomedclip", "pubmedclip", "monet", "medsiglip", "medimageinsight"),
    *("rad-dino", "retfound-cfp", "retfound-oct", "panderm", "panderm-base"),
    *("radimagenet-resnet50", "radimagenet-densenet121", "xrv-densenet121", "mammo-clip"),
]
NAMES = [*dict.fromkeys([*NAMES, *MEDICAL]), "dinov3-vitb16"]


def by_source(library: str) -> list[str]:
    return [name for name, card in CARDS.items() if card.source.startswith(f"{library}:")]


@cache
def meta_model(name: str):
    """Build the architecture of a row without memory for its weights."""
    import torch

    card = CARDS[name]
    with torch.device("meta"):
        return import_module(f"embedkit.encoders.backends.{card.backend}").empty(card).eval()


def test_every_encoder_of_the_issue_is_there():
    assert sorted(CARDS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_dimension_and_parameters_are_those_of_the_model(name):
    import torch

    from embedkit.encoders.engines.prepared import _cast

    card, model = CARDS[name], meta_model(name)
    assert sum(p.numel() for p in model.parameters()) == card.parameters
    # In bf16, so that every layer is seen to take the types that it is given.
    _cast(model, torch.bfloat16)
    height, width, _ = card.preprocessing.shape
    output = model(torch.zeros(2, 3, height, width, device="meta", dtype=torch.bfloat16))
    assert (output.shape, output.dtype) == ((2, card.dim), torch.bfloat16)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_all_that_a_user_asks(name):
    card = CARDS[name]
    assert card.licence not in ("", "not stated")
    assert card.trained_on not in ("", "not stated")
    assert card.output == ("projected" if card.backend == "open_clip" else "pooled")
    assert bool(card.hub) == bool(card.files)
    # resnet50-v1 is published for Keras only, so it must be given.
    assert (card.hub or card.url or card.get) or name == "resnet50-v1"
    assert card.slug == card.name == name
    assert card.access.startswith(("open", "gated"))


@pytest.mark.parametrize("name", MEDICAL)
def test_a_medical_row_can_be_cited_and_looked_up(name):
    card = CARDS[name]
    assert card.homepage.startswith("https://")
    assert re.search(r"\b20\d\d\b", card.citation)
    assert re.search(r"arXiv:\d{4}\.\d{5}|doi:10\.\d{4,}|EACL", card.citation)


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.keys and card.keys != "by-order"])
def test_the_keys_of_a_row_are_a_renaming(name):
    assert CARDS[name].keys in RENAMINGS


@pytest.mark.parametrize("name", by_source("torchvision"))
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


@pytest.mark.parametrize("name", by_source("timm"))
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
    assert card.hub == known.hf_hub_id
    assert card.preprocessing.describe() == own


def test_version_1_of_resnet_sees_what_version_1_5_does():
    assert CARDS["resnet50-v1"].preprocessing == CARDS["resnet50"].preprocessing


@pytest.mark.parametrize("name", [name for name in by_source("open_clip") if name != "biomedclip"])
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
