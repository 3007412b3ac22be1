import argparse
import io
import pickle
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from embedkit.encoders import checkpoint
from embedkit.errors import EmbedkitError

STATE = {"b.weight": torch.arange(6.0).reshape(2, 3), "a.steps": torch.tensor(7)}


def saved(path: Path, content: object, **how: object) -> Path:
    torch.save(content, path, **how)
    return path


class Payload:
    """Creates a file when it is unpickled, as an attack would run a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.target)!r}, 'w').write('executed')",)


def test_safetensors_and_both_torch_formats_under_any_name(tmp_path):
    save_file(STATE, tmp_path / "one.bin")
    saved(tmp_path / "two.safetensors", STATE)
    saved(tmp_path / "three.onnx", STATE, _use_new_zipfile_serialization=False)
    for name in ("one.bin", "two.safetensors", "three.onnx"):
        state = checkpoint.load(tmp_path / name)
        assert set(state) == set(STATE)
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_come_back_as_float32_and_whole_numbers_as_they_are(tmp_path, dtype):
    save_file({"w": STATE["b.weight"].to(dtype), "n": STATE["a.steps"]}, tmp_path / "w.safetensors")
    state = checkpoint.load(tmp_path / "w.safetensors")
    assert torch.equal(state["w"], STATE["b.weight"])
    assert state["n"].dtype == torch.int64


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"lr": 0.1}},
        {f"module.{key}": value for key, value in STATE.items()},
        {"state_dict": {f"module.{key}": value for key, value in STATE.items()}},
        {"state_dict": {"model": STATE}},
        {f"_orig_mod.{key}": value for key, value in STATE.items()},
        {f"model.module.{key}": value for key, value in STATE.items()},
        {"model": STATE, "args": argparse.Namespace(lr=0.1, output="runs")},
        {"state_dict": {f"module.backbone.{key}": value for key, value in STATE.items()}},
        {"head.weight": torch.zeros(1)} | {f"backbone.{key}": value for key, value in STATE.items()},
    ],
)
def test_wrappings_are_taken_off(tmp_path, content):
    assert set(checkpoint.load(saved(tmp_path / "w.pt", content))) == set(STATE)


def test_a_prefix_that_only_some_keys_have_stays(tmp_path):
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert set(checkpoint.load(saved(tmp_path / "w.pt", mixed))) == set(mixed)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.bin", "w"])
def test_a_plain_pickle_is_refused_whatever_its_name_and_not_executed(tmp_path, name):
    target = tmp_path / "executed"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / name).write_bytes(pickle.dumps(Payload(target), protocol))
        with pytest.raises(EmbedkitError, match=r"plain pickle|neither a safetensors nor a torch"):
            checkpoint.load(tmp_path / name)
    assert not target.exists()


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_inside_a_torch_file_is_not_executed(tmp_path, new_format):
    target = tmp_path / "executed"
    content = {"w": torch.zeros(1), "x": Payload(target)}
    path = saved(tmp_path / "w.pt", content, _use_new_zipfile_serialization=new_format)
    with pytest.raises(EmbedkitError, match="never executes a pickle"):
        checkpoint.load(path)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.read_text() == "executed", "the payload must be one that works"


def test_a_pickle_inside_the_settings_is_not_executed(tmp_path):
    target = tmp_path / "executed"
    path = saved(tmp_path / "w.pt", {"model": STATE, "args": argparse.Namespace(x=Payload(target))})
    with pytest.raises(EmbedkitError, match="never executes a pickle"):
        checkpoint.load(path)
    assert not target.exists()


@pytest.mark.parametrize("whole", [True, False])
def test_the_conversion_that_is_suggested_works(tmp_path, whole):
    model = torch.nn.Linear(2, 2)
    path = saved(tmp_path / "w.pt", model if whole else {"model": model.state_dict(), "best": np.float64(1)})
    with pytest.raises(EmbedkitError) as refused:
        checkpoint.load(path)
    command = str(refused.value).split("trust it: python ")[1]
    command = command.replace("'IN'", repr(str(path))).replace("'OUT.", f"'{tmp_path}/OUT.")
    subprocess.run([sys.executable, *shlex.split(command)], check=True)
    state = checkpoint.load(tmp_path / "OUT.safetensors")
    assert torch.equal(state["weight"], model.weight)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_an_outline_is_the_file_without_its_numbers(tmp_path, name):
    state = {"a": torch.ones(2, 3).half(), "b": torch.ones(4).bfloat16(), "n": torch.tensor(7), "e": torch.ones(0, 5)}
    if name == "w.pt":
        saved(tmp_path / name, {"model": state})
    else:
        save_file(state, tmp_path / name)
    outline, whole = checkpoint.outline(tmp_path / name), checkpoint.load(tmp_path / name)
    assert {key: (value.shape, value.dtype) for key, value in outline.items()} == {
        key: (value.shape, value.dtype) for key, value in whole.items()
    }
    assert {value.device.type for value in outline.values()} == {"meta"}


def test_a_torchscript_archive_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "w.pt")
    with pytest.raises(EmbedkitError, match="TorchScript archive, which is a program"):
        checkpoint.load(tmp_path / "w.pt")


def tar_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def zip_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (tar_of("storages"), "tar archive"),
        (zip_of("arr_0.npy"), "zip archive, but not one that torch.save wrote"),
        (b"PK\x03\x04 cut short", "damaged torch file"),
        (b"\x08\x07\x12\x07pytorch", "neither a safetensors nor a torch file"),
        (b"abc", "neither"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "damaged safetensors"),
        (b"\xff" * 8 + b"{", "damaged safetensors"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(EmbedkitError, match=message):
        checkpoint.load(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        ({}, "holds no tensors"),
        ({"state_dict": {}}, "holds no tensors"),
        ({"w": torch.zeros(1), "epoch": 3}, "'epoch' is a int"),
    ],
)
def test_content_that_is_not_a_state_dict_is_refused(tmp_path, content, message):
    with pytest.raises(EmbedkitError, match=message):
        checkpoint.load(saved(tmp_path / "w.pt", content))


def test_an_absent_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(EmbedkitError, match="No such file"):
        checkpoint.load(tmp_path / "none.pt")
    with pytest.raises(EmbedkitError, match="Is a directory"):
        checkpoint.load(tmp_path)


FORMATS = ("safetensors", "zip", "legacy")


def bytes_of(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "safetensors":
        from safetensors.torch import save

        return save(STATE)
    torch.save(STATE, buffer, _use_new_zipfile_serialization=kind == "zip")
    return buffer.getvalue()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_a_cut_file_is_never_read(tmp_path_factory, data, kind):
    whole = bytes_of(kind)
    cut = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("cut") / "w.pt"
    path.write_bytes(whole[:cut])
    for read in (checkpoint.load, checkpoint.outline):
        with pytest.raises(EmbedkitError):
            read(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_a_changed_byte_gives_tensors_or_an_error_with_a_sentence(tmp_path_factory, data, kind):
    whole = bytearray(bytes_of(kind))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("bit") / "w.pt"
    path.write_bytes(whole)
    try:
        state = checkpoint.load(path)
    except EmbedkitError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_numpy_archives_are_not_torch_files(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(2))
    with pytest.raises(EmbedkitError, match="zip archive"):
        checkpoint.load(tmp_path / "w.npz")
