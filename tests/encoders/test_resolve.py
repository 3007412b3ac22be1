import pytest

from embedkit import encoders
from embedkit.errors import EmbedkitError


def test_a_catalog_name():
    assert encoders.resolve("vit-ti16").architecture == "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnet5O", r"unknown model 'resnet5O'. Did you mean .*resnet50"),
        ("clip-vitb16", "clip-vit-b16"),
        ("", "embedkit models"),
        ("keras:resnet50", "timm:NAME, open_clip:MODEL/PRETRAINED, onnx:PATH"),
        ("timm:resnet5o", "unknown timm model 'resnet5o'. Did you mean resnet50"),
        ("timm:resnet50.tv_in2k", "resnet50.tv_in1k"),
        ("timm:hf-hub:timm/resnet18", "unknown timm model"),
        ("open_clip:ViT-B-17/openai", "Did you mean ViT-B-1"),
        ("open_clip:ViT-B-32/laion9b", "laion2b_e16"),
        ("onnx:/no/such/file.onnx", "must name an existing file"),
        ("onnx:", "must name an existing file"),
    ],
)
def test_an_unknown_spec_names_what_is_near(spec, message):
    with pytest.raises(EmbedkitError, match=message):
        encoders.resolve(spec)


@pytest.mark.parametrize("spec", ["onnx:{}.onnx", "open_clip:/{}", "aligned:{}.safetensors"])
def test_a_name_that_is_too_long_is_a_sentence(spec):
    with pytest.raises(EmbedkitError, match="File name too long"):
        encoders.resolve(spec.format("x" * 256))


def test_timm_takes_preprocessing_and_licence_from_timm():
    card = encoders.resolve("timm:vit_small_patch14_dinov2.lvd142m")
    assert card.preprocessing.size == 518
    assert card.preprocessing.interpolation == "bicubic"
    assert (card.licence, card.hub) == ("apache-2.0", "timm/vit_small_patch14_dinov2.lvd142m")
    assert card.slug == "timm-vit_small_patch14_dinov2.lvd142m"


def test_timm_without_a_tag_is_its_default_tag():
    plain, tagged = encoders.resolve("timm:resnet18"), encoders.resolve("timm:resnet18.a1_in1k")
    assert plain.slug == "timm-resnet18"
    assert encoders.configuration(plain, "0", "fp32") == encoders.configuration(tagged, "0", "fp32")


def test_timm_models_that_cannot_be_prepared_are_refused():
    with pytest.raises(EmbedkitError, match="square RGB images"):
        encoders.resolve("timm:vit_base_patch16_sapiens2")


def test_open_clip_takes_the_activation_that_the_weights_were_trained_with():
    assert encoders.resolve("open_clip:ViT-B-16/openai").architecture == "ViT-B-16-quickgelu"
    assert encoders.resolve("open_clip:ViT-B-16/laion2b_s34b_b88k").architecture == "ViT-B-16"


def test_open_clip_tag_empty_or_file(tmp_path):
    tagged = encoders.resolve("open_clip:ViT-B-16-SigLIP/webli")
    assert (tagged.preprocessing.resize_mode, tagged.preprocessing.mean) == ("squash", (0.5, 0.5, 0.5))
    for spec in ("open_clip:ViT-B-16", "open_clip:ViT-B-16/"):
        card = encoders.resolve(spec)
        assert (card.hub, card.url, card.slug) == ("", "", "open_clip-ViT-B-16")
    file = tmp_path / "mine.pt"
    file.touch()
    card = encoders.resolve(f"open_clip:ViT-B-16/{file}")
    assert card.path == file
    assert str(tmp_path) not in str(encoders.configuration(card, "0", "fp32"))
    assert card.slug == "open_clip-ViT-B-16-mine"


def test_a_crop_mode_of_open_clip_that_is_not_ours_is_refused(monkeypatch):
    import open_clip

    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: {"resize_mode": "longest", "hf_hub": "a/b/"})
    with pytest.raises(EmbedkitError, match="resize_mode of open_clip:ViT-B-16/x"):
        encoders.resolve("open_clip:ViT-B-16/x")
