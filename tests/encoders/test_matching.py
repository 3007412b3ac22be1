from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from embedkit import encoders
from embedkit.encoders import checkpoint, matching
from embedkit.errors import EmbedkitError

WRAPS = ("state_dict", "model", "module.", "_orig_mod.module.", "backbone.", "model.backbone.")


def resnet18(**how: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(timm.create_model("resnet18", **how).state_dict())


def check(spec: str, state: dict[str, torch.Tensor], folder: Path) -> encoders.Fit:
    save_file(state, folder / "w.safetensors")
    return encoders.check(encoders.resolve(spec), folder / "w.safetensors")


def test_a_file_that_fits(tmp_path):
    fit = check("resnet18", resnet18(), tmp_path)
    assert fit.fits
    assert not fit.comparison.differences
    assert (fit.tensors, fit.others, fit.nearest) == (122, (), None)
    assert "a ResNet" in fit.seems


def test_rows_of_one_architecture_cannot_be_told_apart(weights_root):
    fit = encoders.check(encoders.resolve("resnet50-v1"), weights_root / "resnet50-v1.safetensors")
    assert fit.fits
    assert set(fit.others) == {"resnet50", "radimagenet-resnet50"}


def test_what_is_missing_surplus_and_misshapen_is_listed_whole(tmp_path):
    state = resnet18()
    gone = [name for name in state if name.startswith("layer3.1.")]
    for name in gone:
        del state[name]
    state |= {"neck.weight": torch.ones(2), "neck.bias": torch.ones(2)}
    state["conv1.weight"] = torch.ones(64, 1, 7, 7)
    fit = check("resnet18", state, tmp_path)
    assert not fit.fits
    found = fit.comparison.differences
    assert set(found.missing) == set(gone)
    assert set(found.surplus) == {"neck.weight", "neck.bias"}
    assert found.misshapen == (("conv1.weight", (64, 1, 7, 7), (64, 3, 7, 7)),)
    assert fit.others == ()


def test_shapes_are_those_in_the_file_and_not_what_timm_resampled(weights_root):
    path = weights_root / "vit-ti16.safetensors"
    shapes = {name: tuple(value.shape) for name, value in load_file(path).items()}
    misshapen = encoders.check(encoders.resolve("rad-dino"), path).comparison.differences.misshapen
    assert {"pos_embed", "patch_embed.proj.weight"} <= {name for name, *_ in misshapen}
    for name, found, wanted in misshapen:
        assert found == shapes[name] != wanted


def test_the_model_that_the_file_belongs_to_is_found(tmp_path, weights_root):
    path = weights_root / "vit-ti16.safetensors"
    for spec in ("vit-b16", "rad-dino", "clip-vit-b16", "swin-t", "efficientnet-lite0", "mammo-clip"):
        fit = encoders.check(encoders.resolve(spec), path)
        assert not fit.fits
        assert fit.others == ("vit-ti16",)
        assert fit.comparison.differences


def test_the_nearest_is_named_where_none_fits(tmp_path):
    state = resnet18() | {"neck.weight": torch.ones(2)}
    assert check("vit-ti16", state, tmp_path).nearest == "resnet18"
    assert check("vit-ti16", {"a.weight": torch.ones(3)}, tmp_path).nearest is None


def test_a_spec_is_checked_against_the_catalog_too(tmp_path):
    fit = check("timm:resnet18.a1_in1k", resnet18(), tmp_path)
    assert (fit.fits, fit.others) == (True, ("resnet18",))


def test_a_published_name_is_understood(tmp_path):
    network = timm.create_model("densenet121", num_classes=0)
    state = {name: value for name, value in network.state_dict().items() if name.startswith("features.")}
    grey = state | {"features.conv0.weight": torch.ones(64, 1, 7, 7), "op_threshs": torch.ones(18)}
    assert check("xrv-densenet121", grey, tmp_path).fits
    fit = check("densenet121", grey, tmp_path)
    assert (fit.fits, fit.others) == (False, ("xrv-densenet121",))
    children = {name.replace("features.", "backbone.0."): value for name, value in state.items()}
    assert check("radimagenet-densenet121", children, tmp_path).fits
    assert not check("densenet121", children, tmp_path).fits


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_users_own_network_is_understood(tmp_path, load, noise, wrap):
    state = resnet18(num_classes=3)
    body = {name: value for name, value in state.items() if not name.startswith("fc.")}
    if wrap.endswith("backbone."):
        wrapped = {f"{wrap}{name}": value for name, value in body.items()}
        prefix = wrap.removesuffix("backbone.")
        content = wrapped | {f"{prefix}head.0.weight": torch.ones(3, 512), f"{prefix}head.0.bias": torch.ones(3)}
    elif wrap.endswith("."):
        content = {f"{wrap}{name}": value for name, value in state.items()}
    else:
        content = {wrap: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "mine.pth")
    save_file(state, tmp_path / "plain.safetensors")
    spec = "timm:resnet18.a1_in1k"
    outline = checkpoint.outline(tmp_path / "mine.pth")
    assert matching.compare(encoders.resolve(spec), outline, tmp_path / "mine.pth").fits
    own, plain = (load(spec, tmp_path / name).encode(noise(2, 224)) for name in ("mine.pth", "plain.safetensors"))
    assert (own == plain).all()


def test_the_backbone_must_fit_wholly(tmp_path, load):
    content = {f"backbone.{name}": value for name, value in resnet18().items() if name != "layer1.0.conv1.weight"}
    torch.save(content, tmp_path / "mine.pth")
    with pytest.raises(EmbedkitError, match=r"1 tensors missing, e\.g\. layer1\.0\.conv1\.weight.*models check"):
        load("timm:resnet18.a1_in1k", tmp_path / "mine.pth")


def test_no_weight_is_read_into_memory(tmp_path):
    """4 GB of zeros that the disk does not hold: only the header is read."""
    import json
    import struct

    header = json.dumps({"w": {"dtype": "F32", "shape": [1_000_000_000], "data_offsets": [0, 4_000_000_000]}}).encode()
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4_000_000_000)
    assert not encoders.check(encoders.resolve("resnet18"), tmp_path / "w.safetensors").fits


def test_a_graph_is_not_compared(tmp_path):
    card = replace(encoders.resolve("resnet18"), backend="onnx", name="onnx:a.onnx")
    with pytest.raises(EmbedkitError, match="nothing to compare"):
        encoders.check(card, tmp_path / "w.safetensors")


def test_what_cannot_be_read_safely_is_not_checked(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(EmbedkitError, match="never executes a pickle"):
        encoders.check(encoders.resolve("resnet18"), tmp_path / "w.pt")


def test_a_share_of_the_tensors_agrees():
    wanted = {name: value.to("meta") for name, value in resnet18(num_classes=0).items()}
    half = {name: value for number, (name, value) in enumerate(wanted.items()) if number % 2}
    share = matching.compare(encoders.resolve("resnet18"), half, Path("w.pt")).share
    assert 0.4 < share < 0.7
    assert matching.compare(encoders.resolve("resnet18"), wanted, Path("w.pt")).share == 1
