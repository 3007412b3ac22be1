"""Models of timm, without their classifier."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.encoders import checkpoint
from embedkit.encoders.card import EncoderCard
from embedkit.encoders.fit import Differences, Misfit, misfit, seems
from embedkit.encoders.keys import RENAMINGS

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(card: EncoderCard, path: Path) -> "nn.Module":
    """Return the model with the weights of a file, ending in the pooled features.

    Raises:
        EmbedkitError: the file cannot be read safely, or does not fit (a `Misfit`).
    """
    return assemble(card, checkpoint.load(path), path)


def assemble(card: EncoderCard, state: "dict[str, Tensor]", path: Path) -> "nn.Module":
    """Return the model with these tensors, which ``path`` names in messages."""
    import timm

    if card.keys == "by-order":
        state = _rename_by_order(card, state, path)
    elif card.keys:
        state = RENAMINGS[card.keys](state)
    model = _create(card, state, timm.get_pretrained_cfg(card.architecture), path)
    # The pretrained configuration keeps the state dict, a second copy of every weight.
    model.pretrained_cfg.pop("state_dict")
    model.reset_classifier(0)
    if card.patch:
        PATCHES[card.patch](model)
    tower: nn.Module = model
    return tower


def empty(card: EncoderCard) -> "nn.Module":
    """Return the model with random weights, ending in the pooled features."""
    import timm

    model: nn.Module = timm.create_model(card.architecture, num_classes=0, **_how(card))
    return model


def _how(card: EncoderCard) -> dict[str, Any]:
    """Return the arguments of the architecture, besides its name."""
    import timm

    known: Any = timm.get_pretrained_cfg(card.architecture)
    size = card.preprocessing.size
    image: dict[str, Any] = {"img_size": size} if known.fixed_input_size and known.input_size[-1] != size else {}
    return image | dict(card.vision or {})


def _create(card: EncoderCard, state: "dict[str, Tensor]", known: Any, path: Path) -> Any:
    """Let timm load the state dict, so that its own renaming and resampling of positions are used.

    timm loads strictly only if the file has as many classes as the model, so the model gets as many as the
    file has (none if it has no classifier); its classifier is cut off afterwards.
    """
    import timm
    import torch

    heads = (known.classifier,) if isinstance(known.classifier, str) else known.classifier or ()
    classes = next((len(state[f"{head}.weight"]) for head in heads if f"{head}.weight" in state), 0)
    overlay = {
        "state_dict": state,
        "num_classes": classes,
        "label_offset": 0,
        # Without an address there is nothing that timm could fetch instead.
        "url": None,
        "hf_hub_id": None,
        "custom_load": False,
    }
    try:
        return timm.create_model(
            card.architecture, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes, **_how(card)
        )
    except (RuntimeError, ValueError, LookupError, AttributeError, TypeError, AssertionError) as error:
        # timm's renaming expects a model of the same family and fails in many ways on another.
        failure = misfit(card.name, path, state, str(error) or type(error).__name__)
        if not failure.differences:
            # timm gave up before torch compared the names.
            body = {name: value for name, value in state.items() if name.rpartition(".")[0] not in heads}
            with torch.device("meta"):
                failure.differences = Differences.between(body, empty(card).state_dict())
        raise failure from error


def _rename_by_order(card: EncoderCard, state: "dict[str, Tensor]", path: Path) -> "dict[str, Tensor]":
    """Give tensors that are in timm's order timm's names, if every shape agrees."""
    import timm
    import torch

    with torch.device("meta"):
        wanted = timm.create_model(card.architecture).state_dict()
    if any(name in wanted for name in state):
        return state
    if [value.shape for value in state.values()] != [value.shape for value in wanted.values()]:
        raise Misfit(
            f"the file {path} does not fit {card.name}: its {len(state)} tensors are not those of timm's "
            f"{card.architecture} in the same order. {seems(state)}"
        )
    return dict(zip(wanted, state.values(), strict=True))


def _stride_in_first_conv(model: Any) -> None:
    """Version 1 of ResNet halves the image in the first convolution of a stage, version 1.5 in the second."""
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride = (2, 2)
        stage[0].conv2.stride = (1, 1)


def _pad_as_for_456(model: Any) -> None:
    """efficientnet_pytorch pads a B5 for images of 456 pixels, whatever their size; timm pads for the size at hand."""
    from timm.layers.conv2d_same import Conv2dSame
    from torch import nn

    side = 456
    for name, module in list(model.named_modules()):
        if isinstance(module, Conv2dSame):
            kernel, stride = module.kernel_size[0], module.stride[0]
            after = math.ceil(side / stride)
            total = max((after - 1) * stride + kernel - side, 0)
            side = after
            plain = nn.Conv2d(module.in_channels, module.out_channels, kernel, stride, groups=module.groups, bias=False)
            plain.weight = module.weight
            before = total // 2
            pad = nn.ZeroPad2d((before, total - before, before, total - before))
            model.set_submodule(name, nn.Sequential(pad, plain))


PATCHES: dict[str, Callable[[Any], None]] = {
    "pad-as-for-456": _pad_as_for_456,
    "stride-in-first-conv": _stride_in_first_conv,
}
