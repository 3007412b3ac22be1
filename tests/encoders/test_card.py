import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from embedkit import encoders
from embedkit.encoders import EncoderCard, Preprocessing, configuration

CARD = EncoderCard(
    name="one",
    source="timm:resnet18.tv_in1k",
    backend="timm",
    architecture="resnet18.tv_in1k",
    output="pooled",
    preprocessing=Preprocessing(224, 256, "shortest", "bilinear", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
    vision={"embed_dim": 512, "image_size": 224},
)
CHANGES_A_VECTOR = {
    "source": "timm:other",
    "backend": "torchvision",
    "architecture": "resnet34",
    "output": "projected",
    "patch": "stride-in-first-conv",
    "vision": {"embed_dim": 256, "image_size": 224},
    "preprocessing": Preprocessing(224, 256, "shortest", "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
}
CHANGES_NONE = {
    "name": "another name",
    "licence": "MIT",
    "trained_on": "photographs",
    "precision": "fp32",
    "dim": 7,
    "parameters": 8,
    "hub": "a/b",
    "files": ("c",),
    "url": "https://example.org/a.pth",
    "package": "p",
    "package_file": "f",
    "keys": "by-order",
    # Of no image; the key of embedded texts has it.
    "text": {"width": 64},
    "access": "gated",
    "get": "ask",
    "homepage": "https://example.org",
    "citation": "A 2020",
    "path": Path("/somewhere/else.pt"),
}


def canonical(card: EncoderCard, digest: str = "0" * 32, precision: str = "fp32") -> str:
    return json.dumps(configuration(card, digest, precision), sort_keys=True)


def test_every_field_is_on_one_side_or_the_other():
    assert {field.name for field in fields(EncoderCard)} == set(CHANGES_A_VECTOR) | set(CHANGES_NONE)


@pytest.mark.parametrize("field", CHANGES_A_VECTOR)
def test_what_changes_a_vector_changes_the_configuration(field):
    assert canonical(replace(CARD, **{field: CHANGES_A_VECTOR[field]})) != canonical(CARD)


@pytest.mark.parametrize("field", CHANGES_NONE)
def test_what_changes_no_vector_does_not(field):
    assert canonical(replace(CARD, **{field: CHANGES_NONE[field]})) == canonical(CARD)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 192},
        {"resize": 224},
        {"resize_mode": "squash"},
        {"interpolation": "bicubic"},
        {"mean": (0.1, 0.2, 0.30001)},
        {"width": 112},
        {"stretch": True},
        {"std": (0.4, 0.5, 0.60001)},
    ],
)
def test_every_part_of_the_preprocessing_counts(change):
    assert canonical(replace(CARD, preprocessing=replace(CARD.preprocessing, **change))) != canonical(CARD)


def test_an_encoder_without_the_later_fields_keeps_its_key():
    assert set(CARD.preprocessing.describe()) == {"size", "resize", "resize_mode", "interpolation", "mean", "std"}


def test_weights_and_precision_count():
    assert len({canonical(CARD, d, p) for d in ("0" * 32, "1" * 32) for p in ("fp32", "bf16")}) == 4


def test_one_encoder_under_two_names_has_one_configuration():
    assert canonical(encoders.resolve("resnet50")) == canonical(encoders.resolve("timm:resnet50.tv_in1k"))
    assert canonical(encoders.resolve("clip-vit-b32")) == canonical(
        encoders.resolve("open_clip:ViT-B-32-quickgelu/openai")
    )


def test_all_cards_of_the_catalog_differ():
    cards = encoders.catalog().values()
    assert len({canonical(card) for card in cards}) == len(cards)


@pytest.mark.parametrize(
    ("card", "slug"),
    [
        (CARD, "one"),
        (replace(CARD, name="timm:resnet18.a1_in1k"), "timm-resnet18.a1_in1k"),
        (replace(CARD, name="open_clip:ViT-B-32/laion2b_s34b_b79k"), "open_clip-ViT-B-32-laion2b_s34b_b79k"),
        (replace(CARD, name="open_clip:ViT-B-32/", architecture="ViT-B-32"), "open_clip-ViT-B-32"),
        (
            replace(CARD, name="x", backend="open_clip", architecture="RN50", path=Path("/a b/my model.pt")),
            "open_clip-RN50-my-model",
        ),
        (replace(CARD, name="x", backend="onnx", architecture="", path=Path("../up/net.v2.onnx")), "onnx-net.v2"),
    ],
)
def test_the_slug_is_a_file_name(card, slug):
    assert card.slug == slug
