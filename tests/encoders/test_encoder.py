import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from embedkit import encoders
from embedkit.encoders.engines import Running
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import cosine

REAL = ["resnet50-v1", "vit-ti16", "efficientnet-lite0"]


@pytest.fixture(scope="session")
def real(weights_root):
    """Load an encoder of the catalog with its real weights, once."""
    loaded = {}

    def loader(name, precision="fp32"):
        if (name, precision) not in loaded:
            card = encoders.resolve(name)
            weights = encoders.find_weights(card, folder=weights_root, fetch=False)
            loaded[name, precision] = encoders.load_encoder(card, weights, precision, "cpu")
        return loaded[name, precision]

    return loader


def prepared(encoder, photos):
    return np.stack([encoder.card.preprocessing.apply(np.array(photo)) for photo in photos])


def timm_name_of_lite0(key):
    """Translate a name of efficientnet_pytorch into timm's by rule, unlike the package, which does it by order."""
    stem = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+?)\.(\w+)", key)
    if not found:
        part, _, leaf = key.partition(".")
        return f"{stem[part]}.{leaf}"
    flat, part, leaf = int(found[1]), found[2], found[3]
    starts = [0, 1, 3, 5, 8, 11, 15, 16]
    stage = max(index for index, start in enumerate(starts[:-1]) if start <= flat)
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    return f"blocks.{stage}.{flat - starts[stage]}.{(first if stage == 0 else later)[part]}.{leaf}"


@cache
def timm_directly(name, weights_root, stride_patch=True):
    """Build the model with timm alone, from the same file, with its classifier."""
    if name == "efficientnet-lite0":
        path = encoders.find_weights(encoders.resolve(name), folder=weights_root, fetch=False).path
        state = {timm_name_of_lite0(key): value for key, value in torch.load(path, weights_only=True).items()}
    else:
        state = {key: value.float() for key, value in load_file(weights_root / f"{name}.safetensors").items()}
    names = {
        "resnet50-v1": "resnet50",
        "vit-ti16": "vit_tiny_patch16_224",
        "efficientnet-lite0": "tf_efficientnet_lite0",
    }
    model = timm.create_model(names[name]).eval()
    model.load_state_dict(state, strict=True)
    if name == "resnet50-v1" and stride_patch:
        for stage in (model.layer2, model.layer3, model.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return model


def timm_vectors(model, card, photos):
    from timm.data import create_transform

    p = card.preprocessing
    transform = create_transform(
        p.size, mean=p.mean, std=p.std, interpolation=p.interpolation, crop_pct=p.size / (p.resize + 0.5)
    )
    with torch.inference_mode():
        images = torch.stack([transform(photo) for photo in photos])
        return model.forward_head(model.forward_features(images), pre_logits=True).numpy()


@pytest.mark.parametrize("name", REAL)
def test_same_vectors_as_timm_on_real_images(real, photos, weights_root, name):
    encoder = real(name)
    vectors = encoder.encode(prepared(encoder, photos))
    assert vectors.shape == (4, encoder.card.dim)
    assert vectors.dtype == np.float32
    assert cosine(vectors, timm_vectors(timm_directly(name, weights_root), encoder.card, photos)) > 0.9999


def test_the_stride_of_version_1_matters(real, photos, weights_root):
    encoder = real("resnet50-v1")
    wrong = timm_vectors(timm_directly("resnet50-v1", weights_root, stride_patch=False), encoder.card, photos[:2])
    assert cosine(encoder.encode(prepared(encoder, photos[:2])), wrong) < 0.99


@pytest.mark.parametrize("name", REAL)
def test_a_photograph_is_recognised(real, weights_root, name):
    """The embedding under the classifier of the same file names what is to be seen: a palace, a flower."""
    from sklearn.datasets import load_sample_image

    encoder = real(name)
    model = timm_directly(name, weights_root)
    batch = np.stack([encoder.card.preprocessing.apply(load_sample_image(f)) for f in ("china.jpg", "flower.jpg")])
    with torch.inference_mode():
        logits = model.get_classifier()(torch.from_numpy(encoder.encode(batch)))
    palace_or_monastery, daisy = {698, 663, 668, 832}, {985, 723, 986, 308, 309}
    top = logits.topk(5).indices.tolist()
    assert palace_or_monastery & set(top[0])
    assert daisy & set(top[1])


@pytest.mark.parametrize("name", ["resnet50-v1", "vit-ti16"])
def test_bf16_keeps_the_vectors(real, photos, name):
    exact, half = real(name), real(name, "bf16")
    batch = prepared(exact, photos[1:3])
    vectors = half.encode(batch)
    assert vectors.dtype == np.float32
    assert cosine(vectors, exact.encode(batch)) > 0.999
    assert not np.array_equal(vectors, exact.encode(batch)), "it must really have been computed in bf16"


def test_a_vector_does_not_depend_on_the_rest_of_the_batch(real, photos):
    encoder = real("vit-ti16")
    a, b, c, _ = prepared(encoder, photos)
    with_b, with_c = encoder.encode(np.stack([a, b])), encoder.encode(np.stack([a, c]))
    assert np.array_equal(with_b[0], with_c[0])
    assert not np.array_equal(with_b[1], with_c[1])
    assert np.array_equal(encoder.encode(np.stack([b, a]))[1], with_b[0])


def test_any_layout_in_memory_will_do(real, photos):
    encoder = real("vit-ti16")
    batch = prepared(encoder, photos[:2])
    wanted = encoder.encode(batch)
    for other in (np.asfortranarray(batch), batch[::-1].copy()[::-1]):
        other.flags.writeable = False
        assert np.array_equal(encoder.encode(other), wanted)
    assert np.array_equal(batch, prepared(encoder, photos[:2])), "the images are left as they were"


def test_no_images_are_no_vectors(real):
    assert real("vit-ti16").encode(np.empty((0, 224, 224, 3), np.uint8)).shape == (0, 192)


@pytest.mark.parametrize(
    "batch",
    [np.zeros((1, 224, 224, 3), np.float32), np.zeros((224, 224, 3), np.uint8), np.zeros((1, 3, 224, 224), np.uint8)],
)
def test_another_batch_is_refused(real, batch):
    with pytest.raises(EmbedkitError, match=r"vit-ti16 takes a batch of uint8 images of shape \(224, 224, 3\)"):
        real("vit-ti16").encode(batch)


def test_a_card_that_lies_about_its_dimension_is_found_out(weights_root):
    card = replace(encoders.resolve("vit-ti16"), dim=100)
    encoder = encoders.load_encoder(card, encoders.find_weights(card, folder=weights_root), "fp32", "cpu")
    with pytest.raises(EmbedkitError, match=r"shape \(1, 192\).*100 numbers"):
        encoder.encode(np.zeros((1, 224, 224, 3), np.uint8))


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        ("fp16", "cpu", "unknown precision 'fp16': use fp32 or bf16"),
        ("fp32", "gpu", "cannot compute on the device 'gpu'"),
        ("fp32", "cuda:99", "cannot compute on the device 'cuda:99'"),
        # Names that torch knows: one without kernels here, one whose package is not installed.
        ("fp32", "vulkan", "cannot compute on the device 'vulkan'"),
        ("fp32", "hpu", "cannot compute on the device 'hpu'"),
    ],
)
def test_precisions_and_devices_that_are_not_there(weights_root, precision, device, message):
    card = encoders.resolve("vit-ti16")
    with pytest.raises(EmbedkitError, match=message):
        encoders.load_encoder(card, encoders.find_weights(card, folder=weights_root), precision, device)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        EmbedkitError("onnxruntime cannot run x.onnx: BFCArena Failed to allocate memory for requested buffer"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_too_large_a_batch_is_told_from_other_errors(error):
    def run(batch):
        raise error

    encoder = encoders.Encoder(encoders.resolve("resnet50-v1"), Running(run))
    with pytest.raises(type(error) if "shapes" in str(error) else encoders.OutOfMemory, match=r"shapes|batch of 2"):
        encoder.encode(np.zeros((2, *encoder.shape), np.uint8))


@pytest.mark.parametrize(
    ("engine", "kind"), [("torch", torch.Tensor), ("compile", torch.Tensor), ("openvino", np.ndarray)]
)
def test_pixels_on_the_device_stay_there_for_an_engine_of_torch(engine, kind):
    given = []

    def run(batch):
        given.append(batch)
        return np.zeros((len(batch), 2048), np.float32)

    encoder = encoders.Encoder(encoders.resolve("resnet50-v1"), Running(run), engine)
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    assert encoder.encode(pixels).shape == (2, 2048)
    assert isinstance(given[0], kind)
    assert np.array_equal(np.asarray(given[0]), pixels.numpy())
    with pytest.raises(EmbedkitError, match=r"not torch\.float32 of shape"):
        encoder.encode(pixels.float())


def test_an_output_is_measured_on_the_size_of_batch_that_is_to_come():
    sizes = []

    def run(batch):
        sizes.append(len(batch))
        return np.zeros((len(batch), 7), np.float32)

    card = replace(encoders.resolve("resnet50-v1"), dim=None)
    assert encoders.Encoder(card, Running(run), "compile", 12).dim == 7
    assert sizes == [12]
