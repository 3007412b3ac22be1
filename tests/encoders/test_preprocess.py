import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from embedkit import encoders
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError

SHAPES = [(333, 200), (199, 401), (224, 224), (7, 5), (64, 1), (225, 224), (256, 300), (900, 31)]
PLAIN = {
    "size": 224,
    "resize": 256,
    "resize_mode": "shortest",
    "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def pixels_of(tensor, mean, std) -> np.ndarray:
    """Undo ToTensor and Normalize of a reference transform: exact, because uint8 survives the division."""
    values = tensor.permute(1, 2, 0).double().numpy() * np.array(std) + np.array(mean)
    return np.rint(values * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name",
    [
        "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        "timm:resnet50.tv_in1k",
        "timm:vit_base_patch16_siglip_224.webli",  # squash, crop 0.9
        "timm:volo_d4_448",  # crop 1.15: the image is smaller than the cut and padded
    ],
)
def test_same_pixels_as_timm(name, shape):
    import timm
    from timm.data import create_transform, resolve_data_config

    known = timm.get_pretrained_cfg(name.removeprefix("timm:"))
    transform = create_transform(**resolve_data_config(pretrained_cfg=known.to_dict()))
    preprocessing = encoders.resolve(name).preprocessing
    wanted = pixels_of(transform(Image.fromarray(picture(*shape))), known.mean, known.std)
    assert np.array_equal(preprocessing.apply(picture(*shape)), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "builder"), [("swin-t", "swin_t"), ("vit-l16", "vit_l_16"), ("maxvit-t", "maxvit_t")])
def test_same_pixels_as_torchvision(name, builder, shape):
    from torchvision.models import get_model_weights

    transform = get_model_weights(builder).IMAGENET1K_V1.transforms()
    wanted = pixels_of(transform(Image.fromarray(picture(*shape))), transform.mean, transform.std)
    assert np.array_equal(encoders.resolve(name).preprocessing.apply(picture(*shape)), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "model", "tag"),
    [
        ("clip-vit-b16", "ViT-B-16-quickgelu", "openai"),
        ("siglip-b16", "ViT-B-16-SigLIP", "webli"),
        ("mobileclip-s1", "MobileCLIP-S1", "datacompdr"),
    ],
)
def test_same_pixels_as_open_clip(name, model, tag, shape):
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    size = open_clip.get_model_config(model)["vision_cfg"]["image_size"]
    settings_ = merge_preprocess_dict(PreprocessCfg(), {**open_clip.get_pretrained_cfg(model, tag), "size": size})
    transform = image_transform_v2(PreprocessCfg(**settings_), is_train=False)
    wanted = pixels_of(transform(Image.fromarray(picture(*shape))), settings_["mean"], settings_["std"])
    assert np.array_equal(encoders.resolve(name).preprocessing.apply(picture(*shape)), wanted)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.integers(1, 60),
    resize=st.integers(1, 60),
    mode=st.sampled_from(["shortest", "squash"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_any_shape_is_what_torchvision_gives(shape, size, resize, mode, interpolation):
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    preprocessing = Preprocessing(size, resize, mode, interpolation, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    target = (resize, resize) if mode == "squash" else resize
    reference = Compose([Resize(target, InterpolationMode(interpolation)), CenterCrop(size)])
    ours = preprocessing.apply(picture(*shape))
    assert ours.shape == (size, size, 3)
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, np.asarray(reference(Image.fromarray(picture(*shape)))))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_oblong_is_what_torchvision_squashes(shape):
    from torchvision.transforms import InterpolationMode, Resize

    card = encoders.resolve("mammo-clip").preprocessing
    ours = card.apply(picture(*shape))
    assert ours.shape == card.shape == (1520, 912, 3)
    wanted = Resize((1520, 912), InterpolationMode.BILINEAR)(Image.fromarray(picture(*shape)))
    assert np.array_equal(ours, np.asarray(wanted))


def test_an_oblong_is_read_and_described_without_loss():
    table = {**PLAIN, "resize": 224, "resize_mode": "squash", "width": 100, "stretch": True}
    assert Preprocessing.from_table(table, "here").describe() == table
    plain = Preprocessing.from_table({**PLAIN, "stretch": False}, "here")
    assert plain.describe() == PLAIN


def test_the_table_is_read_and_described_without_loss():
    preprocessing = Preprocessing.from_table(PLAIN, "here")
    assert preprocessing.describe() == PLAIN
    assert hash(preprocessing) == hash(Preprocessing.from_table(preprocessing.describe(), "there"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 0}, "size"),
        ({"size": True}, "size"),
        ({"resize": 224.5}, "resize"),
        ({"resize_mode": "longest"}, "shortest or squash"),
        ({"interpolation": "lanczos"}, "bicubic or bilinear"),
        ({"mean": [0.5, 0.5]}, "three numbers"),
        ({"mean": "0.5"}, "three numbers"),
        ({"std": [0.5, 0.0, 0.5]}, "above 0"),
        ({"crop": 1}, "look at crop"),
        ({"width": 0}, "width"),
        ({"width": 100}, "resize_mode must be squash"),
        ({"width": 100, "resize_mode": "squash"}, "resize its size"),
        ({"stretch": 1}, "true or false"),
    ],
)
def test_an_impossible_table_is_refused(change, named):
    with pytest.raises(EmbedkitError, match=named):
        Preprocessing.from_table({**PLAIN, **change}, "x.onnx.json")


def test_a_missing_field_is_named():
    with pytest.raises(EmbedkitError, match="look at std"):
        Preprocessing.from_table({name: value for name, value in PLAIN.items() if name != "std"}, "x.onnx.json")
