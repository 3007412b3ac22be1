import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from embedkit import encoders
from embedkit.encoders.onnx_file import external_files
from embedkit.errors import EmbedkitError

MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
KERNEL = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)


def graph(path, shape=("n", 3, "h", "w"), pool=True, inputs=1, kind=TensorProto.FLOAT, tail=(), constant=False):
    """Write a graph: one convolution, then the mean over space unless ``pool`` is off, then other nodes."""
    names = ["image", *(f"more{i}" for i in range(inputs - 1))]
    nodes = [helper.make_node("Conv", [names[0], "kernel"], ["maps"], strides=[8, 8])]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["kernel"], value=numpy_helper.from_array(KERNEL, "k")))
    if pool:
        nodes += [helper.make_node("GlobalAveragePool", ["maps"], ["m"]), helper.make_node("Flatten", ["m"], ["out"])]
    nodes += tail
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(name, kind, shape) for name in names],
            [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
            [] if constant else [numpy_helper.from_array(KERNEL, "kernel")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, path)
    return path


def open_it(path, **changed):
    card = encoders.resolve(f"onnx:{path}")
    return encoders.load_encoder(card, encoders.find_weights(card), changed.pop("precision", "fp32"), "cpu")


def directly(path, batch):
    images = ((batch / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    return onnxruntime.InferenceSession(str(path)).run(None, {"image": images})[0]


def test_same_vectors_as_onnxruntime(tmp_path, noise):
    path = graph(tmp_path / "net.onnx")
    encoder = open_it(path)
    assert (encoder.shape, encoder.dim) == ((224, 224, 3), 5)
    vectors = encoder.encode(noise(3, 224))
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, directly(path, noise(3, 224)), atol=1e-5)


def test_maps_are_averaged_over_space(tmp_path, noise):
    pooled, maps = graph(tmp_path / "p.onnx"), graph(tmp_path / "m.onnx", pool=False)
    assert np.allclose(open_it(maps).encode(noise(2, 224)), directly(pooled, noise(2, 224)), atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_fixed_number_of_images_is_filled_up(tmp_path, noise, rows):
    path, fixed = graph(tmp_path / "net.onnx"), graph(tmp_path / "fixed.onnx", shape=(rows, 3, 96, 96))
    encoder = open_it(fixed)
    assert encoder.shape == (96, 96, 3)
    assert np.allclose(encoder.encode(noise(5, 96)), directly(path, noise(5, 96)), atol=1e-5)


def test_the_sidecar_sets_the_preprocessing(tmp_path):
    path = graph(tmp_path / "net.onnx")
    plain = encoders.resolve(f"onnx:{path}").preprocessing
    assert plain.describe() == {
        "size": 224,
        "resize": 256,
        "resize_mode": "shortest",
        "interpolation": "bilinear",
        "mean": MEAN.tolist(),
        "std": STD.tolist(),
    }
    sidecar = tmp_path / "net.onnx.json"
    sidecar.write_text(json.dumps({"size": 112, "mean": [0, 0, 0], "interpolation": "bicubic"}))
    changed = encoders.resolve(f"onnx:{path}").preprocessing
    assert (changed.size, changed.resize, changed.mean, changed.std) == (112, 128, (0, 0, 0), plain.std)
    for text, message in (
        ("{", "cannot read"),
        ("[1]", "one JSON object"),
        ('{"mode": 1}', "look at mode"),
        ('{"size": "big"}', "size of .*net.onnx.json"),
    ):
        sidecar.write_text(text)
        with pytest.raises(EmbedkitError, match=message):
            encoders.resolve(f"onnx:{path}")


def test_a_name_that_leaves_no_room_for_the_sidecar_is_a_sentence(tmp_path):
    path = graph(tmp_path / f"{'x' * 250}.onnx")
    with pytest.raises(EmbedkitError, match="File name too long"):
        encoders.resolve(f"onnx:{path}")


def test_each_image_is_stretched_if_the_sidecar_says_so(tmp_path, noise):
    path = graph(tmp_path / "net.onnx")
    (tmp_path / "net.onnx.json").write_text('{"stretch": true}')
    dark = np.concatenate([noise(2, 224) // 4 + 20, np.full((1, 224, 224, 3), 7, np.uint8)])
    wanted = np.stack([(image - image.min()) / max(float(np.ptp(image)), 1) * 255 for image in dark.astype(float)])
    assert np.allclose(open_it(path).encode(dark), directly(path, wanted), atol=1e-4)


def test_a_sidecar_that_contradicts_the_graph_is_refused(tmp_path):
    path = graph(tmp_path / "net.onnx", shape=("n", 3, 96, 96))
    (tmp_path / "net.onnx.json").write_text('{"size": 112}')
    with pytest.raises(EmbedkitError, match="takes images of 96 pixels"):
        open_it(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"inputs": 2}, "must take one float input"),
        ({"shape": ("n", 3, "l")}, "must take one float input"),
        ({"shape": ("n", 1, "h", "w")}, "square RGB images"),
        ({"shape": ("n", 224, 224, 3)}, "square RGB images"),
        ({"shape": ("n", 3, 96, 112)}, "square RGB images"),
    ],
)
def test_other_inputs_are_refused(tmp_path, how, message):
    # The graph computes nothing of the input, so that it is valid whatever its shape.
    inputs = [
        helper.make_tensor_value_info(f"image{i}", TensorProto.FLOAT, how.get("shape", ("n", 3, "h", "w")))
        for i in range(how.get("inputs", 1))
    ]
    output = [helper.make_tensor_value_info("out", TensorProto.INT64, None)]
    body = helper.make_graph([helper.make_node("Shape", ["image0"], ["out"])], "g", inputs, output)
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "net.onnx")
    with pytest.raises(EmbedkitError, match=message):
        encoders.resolve(f"onnx:{tmp_path / 'net.onnx'}")


@pytest.mark.parametrize(
    "tail",
    [
        [helper.make_node("Unsqueeze", ["out", "axis"], ["tokens"])],
        [helper.make_node("Cast", ["out"], ["whole"], to=TensorProto.INT64)],
    ],
)
def test_other_outputs_are_listed(tmp_path, tail):
    axis = helper.make_node("Constant", [], ["axis"], value=numpy_helper.from_array(np.array([1])))
    path = graph(tmp_path / "net.onnx", tail=[axis, *tail])
    model = onnx.load(path)
    kind = TensorProto.INT64 if tail[0].op_type == "Cast" else TensorProto.FLOAT
    model.graph.output[0].type.tensor_type.elem_type = kind
    onnx.save(model, path)
    with pytest.raises(EmbedkitError, match=f"It has {tail[0].output[0]}: tensor"):
        open_it(path)


def test_a_graph_that_fails_when_it_runs_is_explained(tmp_path):
    shape = helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([1, 720])))
    path = graph(tmp_path / "net.onnx", pool=False, tail=[shape, helper.make_node("Reshape", ["maps", "s"], ["out"])])
    with pytest.raises(EmbedkitError, match=r"onnxruntime cannot run .*net\.onnx: .*Reshape"):
        open_it(path)


def test_bf16_is_refused_and_not_the_default(tmp_path):
    path = graph(tmp_path / "net.onnx")
    with pytest.raises(EmbedkitError, match="use the precision fp32"):
        open_it(path, precision="bf16")
    assert encoders.default_precision(encoders.resolve(f"onnx:{path}")) == "fp32"


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    path = graph(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EmbedkitError, match=r"pip install 'embedkit\[onnx\]'"):
        encoders.resolve(f"onnx:{path}")


@pytest.mark.parametrize("content", [b"", b"not onnx", b"<html>", b"\x80\x04\x95", bytes(64), b"\xff" * 64])
def test_a_file_that_is_not_onnx_is_refused(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(EmbedkitError, match=r"net\.onnx"):
        encoders.resolve(f"onnx:{tmp_path / 'net.onnx'}")


def test_a_cut_graph_is_refused(tmp_path):
    whole = graph(tmp_path / "net.onnx").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "net.onnx").write_bytes(whole[:cut])
        with pytest.raises(EmbedkitError, match=r"net\.onnx"):
            encoders.resolve(f"onnx:{tmp_path / 'net.onnx'}")


def with_external(folder, location="net.data", constant=False):
    """Write a graph whose kernel is kept in another file, and return both."""
    path = graph(folder / "net.onnx", constant=constant)
    model = onnx.load(path)
    tensor = model.graph.node[0].attribute[0].t if constant else model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(KERNEL.nbytes))):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_tensors_beside_the_graph_are_read_and_are_part_of_the_digest(tmp_path, noise):
    plain = graph(tmp_path / "plain.onnx")
    path = with_external(tmp_path)
    (tmp_path / "net.data").write_bytes(KERNEL.tobytes())
    assert external_files(path) == [tmp_path / "net.data"]
    assert external_files(plain) == []
    assert np.allclose(open_it(path).encode(noise(1, 224)), directly(plain, noise(1, 224)), atol=1e-5)
    before = encoders.weights_digest(path)
    (tmp_path / "net.data").write_bytes((KERNEL + 1).tobytes())
    assert encoders.weights_digest(path) != before


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", ""])
def test_tensors_outside_the_folder_are_refused(tmp_path, location, constant):
    (tmp_path / "secret").write_bytes(KERNEL.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external(folder, location, constant)
    for act in (encoders.weights_digest, lambda path: encoders.resolve(f"onnx:{path}")):
        with pytest.raises(EmbedkitError, match="outside its own folder"):
            act(path)


def test_a_link_that_leads_outside_is_refused_and_a_hubs_cache_is_not(tmp_path):
    for name in ("model", "blobs", "snapshot"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret").write_bytes(KERNEL.tobytes())
    path = with_external(tmp_path / "model")
    (tmp_path / "model" / "net.data").symlink_to(tmp_path / "secret")
    with pytest.raises(EmbedkitError, match="outside its own folder"):
        encoders.weights_digest(path)
    with_external(tmp_path / "blobs").rename(tmp_path / "blobs" / "a1")
    (tmp_path / "blobs" / "b2").write_bytes(KERNEL.tobytes())
    for name, blob in (("net.onnx", "a1"), ("net.data", "b2")):
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/{blob}")
    assert external_files(tmp_path / "snapshot" / "net.onnx") == [tmp_path / "snapshot" / "net.data"]


def test_an_absent_file_of_tensors_is_named(tmp_path):
    with pytest.raises(EmbedkitError, match=r"net\.data.*copy that file too"):
        encoders.resolve(f"onnx:{with_external(tmp_path)}")


def test_a_graph_named_like_a_model_of_the_catalog_stands_in_for_it(tmp_path, noise):
    card = encoders.resolve("resnet18")
    graph(tmp_path / "resnet18.onnx")
    found = encoders.find_weights(card, folder=tmp_path)
    encoder = encoders.load_encoder(card, found, "fp32", "cpu")
    with pytest.raises(EmbedkitError, match=r"output of shape \(2, 5\)"):
        encoder.encode(noise(2, 224))
