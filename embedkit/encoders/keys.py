"""Tensors under the names of their publisher, turned into the names of the library that builds the model.

A row of the catalog says in ``keys`` which of these its checkpoint needs. Each takes the tensors of a file and returns
those of the image encoder; a file that has the library's own names already (fine-tuned, say) comes back as it is.
They compute on tensors without data too, so that a file can be checked by its shapes alone.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
Names = Sequence[tuple[str, str]]

# The first child modules of torchvision's ResNet; the third and the fourth hold no tensors.
_RESNET_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}

QKV = ("q_proj", "k_proj", "v_proj")
# The blocks of both towers of a CLIP.
CLIP_BLOCKS: Names = (
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.self_attn\.in_proj\.", ".attn.in_proj_"),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)
_CLIP: Names = (
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    # The missing letter is in the published name.
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.", r"visual.transformer.resblocks.\1."),
    *CLIP_BLOCKS,
)
_SIGLIP: Names = (
    (r"^vision_model\.embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^vision_model\.post_layernorm\.", "norm."),
    (r"^vision_model\.head\.probe$", "attn_pool.latent"),
    (r"^vision_model\.head\.attention\.out_proj\.", "attn_pool.proj."),
    (r"^vision_model\.head\.layernorm\.", "attn_pool.norm."),
    (r"^vision_model\.head\.", "attn_pool."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    (r"\.self_attn\.in_proj\.", ".attn.qkv."),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
)
_DINOV2: Names = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"\.attention\.attention\.in_proj\.", ".attn.qkv."),
    (r"\.attention\.in_proj\.", ".attn.qkv."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
)
# DaViT in MedImageInsight; timm has the same names in its Florence-2, but turns them only under that one's prefix.
_DAVIT: Names = (
    (r"^image_encoder\.", "visual.trunk."),
    (r"\.convs\.0\.proj\.", ".stem.conv."),
    (r"\.convs\.0\.", ".stem."),
    (r"\.convs\.(\d+)\.proj\.", r".stages.\1.downsample.conv."),
    (r"\.convs\.(\d+)\.", r".stages.\1.downsample."),
    (r"\.trunk\.blocks\.(\d+)\.", r".trunk.stages.\1.blocks."),
    (r"\.trunk\.norms\.", ".trunk.head.norm."),
    (r"\.(window|channel)_attn\.norm\.", ".norm1."),
    (r"\.(window|channel)_attn\.fn\.", ".attn."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".mlp."),
    (r"\.conv(\d)\.fn\.dw\.", r".cpe\1.proj."),
)
_EFFICIENTNET: Names = (
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
)
_SQUEEZE: Names = ((r"\._se_(reduce|expand)\.", r".se.conv_\1."), (r"\._depthwise_conv\.", ".conv_dw."))
_EXPANDED: Names = (
    *_SQUEEZE,
    (r"\._expand_conv\.", ".conv_pw."),
    (r"\._project_conv\.", ".conv_pwl."),
    (r"\._bn2\.", ".bn3."),
    (r"\._bn1\.", ".bn2."),
    (r"\._bn0\.", ".bn1."),
)
# The blocks of the first stage have no convolution that widens, and so timm counts from the next one.
_UNEXPANDED: Names = (
    *_SQUEEZE,
    (r"\._project_conv\.", ".conv_pw."),
    (r"\._bn(\d)\.", r".bn\1."),
)


def rename(state: State, names: Names) -> State:
    """Apply every rule to every name, in order."""
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        renamed[name] = value
    return renamed


def starting(state: State, prefix: str) -> State:
    """Return the tensors whose names start with a prefix."""
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def join(state: State, parts: tuple[str, str, str]) -> State:
    """Put the projections to query, key and value of an attention into one tensor, named ``in_proj``."""
    import torch

    joined = dict(state)
    for name in state:
        if f".{parts[0]}." in name:
            three = [name.replace(f".{parts[0]}.", f".{part}.") for part in parts]
            if all(other in state for other in three):
                joined[name.replace(f".{parts[0]}.", ".in_proj.")] = torch.cat([joined.pop(other) for other in three])
    return joined


def _clip(state: State) -> State:
    """CLIP as transformers saves it, to open_clip."""
    tower = starting(state, "vision_model.")
    if not tower:
        return state
    tower.pop("vision_model.embeddings.position_ids", None)
    renamed = rename(join(tower, QKV), _CLIP)
    if "visual_projection.weight" in state:
        renamed["visual.proj"] = state["visual_projection.weight"].T
    return renamed


def _siglip(state: State) -> State:
    """SigLIP as transformers saves it, to timm."""
    import torch

    tower = starting(state, "vision_model.")
    if not tower:
        return state
    tower.pop("vision_model.embeddings.position_ids", None)
    # torch's attention keeps the three projections in one tensor, timm the query apart from key and value.
    for kind in ("weight", "bias"):
        if (fused := tower.pop(f"vision_model.head.attention.in_proj_{kind}", None)) is not None:
            query, key, value = fused.chunk(3)
            tower |= {f"attn_pool.q.{kind}": query, f"attn_pool.kv.{kind}": torch.cat([key, value])}
    renamed = rename(join(tower, QKV), _SIGLIP)
    if "pos_embed" in renamed:
        renamed["pos_embed"] = renamed["pos_embed"][None]
    return renamed


def _dinov2(state: State) -> State:
    """DINOv2 as transformers saves it, under its older and its newer names, to timm."""
    if "embeddings.cls_token" not in state:
        return state
    # Only training masks.
    state = {name: value for name, value in state.items() if name != "embeddings.mask_token"}
    for parts in (("query", "key", "value"), QKV):
        state = join(state, parts)
    return rename(state, _DINOV2)


def _mae(state: State) -> State:
    """A masked autoencoder as its pretraining saves it, to timm's transformer that averages the patches.

    The decoder is left out. The pretrained norm belongs to all tokens; the one after averaging is new in the
    published model, so it starts without scale and shift.
    """
    import torch

    encoder = {k: v for k, v in state.items() if not k.startswith("decoder_") and k != "mask_token"}
    if "fc_norm.weight" not in encoder and "norm.weight" in encoder:
        weight, bias = encoder.pop("norm.weight"), encoder.pop("norm.bias")
        encoder |= {"fc_norm.weight": torch.ones_like(weight), "fc_norm.bias": torch.zeros_like(bias)}
    return encoder


def _cae(state: State) -> State:
    """A context autoencoder (CAE v2) or its fine-tuned encoder, to timm."""
    import torch

    encoder = {name.removeprefix("encoder."): value for name, value in starting(state, "encoder.").items()} or dict(
        state
    )
    for name in [name for name in encoder if name.endswith(".attn.q_bias")]:
        other = name.replace("q_bias", "v_bias")
        if other in encoder:
            query, value = encoder.pop(name), encoder.pop(other)
            encoder[name.replace("q_bias", "qkv.bias")] = torch.cat([query, torch.zeros_like(query), value])
    if "pos_embed" not in encoder and "cls_token" in encoder:
        encoder["pos_embed"] = _sine_positions(encoder["cls_token"])
    return rename(encoder, [(r"\.gamma_(\d)$", r".ls\1.gamma")])


def _sine_positions(token: "Tensor", side: int = 14) -> "Tensor":
    """Return the fixed positions of 14 x 14 patches that CAE computes rather than saves: a zero for the class token,
    then sines and cosines of column and row, a quarter of the width each (Chen et al. 2021, MoCo v3).
    """
    import torch

    quarter = token.shape[-1] // 4
    frequency = 1 / 10000 ** (torch.arange(quarter, dtype=torch.float32) / quarter)
    # The published code counts the first axis as columns: the position of patch i is (i // 14, i % 14).
    first, second = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    one, other = (torch.outer(axis.flatten().float(), frequency) for axis in (first, second))
    positions = torch.cat([one.sin(), one.cos(), other.sin(), other.cos()], dim=1)
    whole: Tensor = torch.cat([torch.zeros(1, token.shape[-1]), positions])[None].to(token.device)
    return whole


def _davit(state: State) -> State:
    """MedImageInsight's image tower (UniCL with a DaViT), to open_clip with a trunk of timm."""
    names = [(r"^visual\.(?!trunk|head)", "image_encoder."), (r"^vision_projection$", "image_projection")]
    state = rename(state, names)
    tower = starting(state, "image_encoder.")
    if not tower:
        return state
    renamed = rename(tower, _DAVIT)
    if "image_projection" in state:
        renamed["visual.head.proj.weight"] = state["image_projection"].T
    return renamed


def _resnet_children(state: State) -> State:
    """torchvision's ResNet saved as a sequence of its children, to the names of the ResNet."""
    return {
        re.sub(r"^(?:backbone\.)?([0-7])\.", lambda found: f"{_RESNET_CHILDREN.get(found[1], found[1])}.", name): value
        for name, value in state.items()
    }


def _densenet_children(state: State) -> State:
    """torchvision's DenseNet saved as a sequence of its children, to the names of the DenseNet."""
    return rename(state, [(r"^(?:backbone\.)?0\.", "features.")])


def _efficientnet(state: State) -> State:
    """An EfficientNet of efficientnet_pytorch, alone or as the image encoder of a Mammo-CLIP, to timm."""
    tower = {name.removeprefix("image_encoder."): value for name, value in starting(state, "image_encoder.").items()}
    tower = tower or state
    if "_conv_stem.weight" not in tower:
        return state
    renamed = rename(tower, _EFFICIENTNET)
    stage = place = -1
    numbers = sorted({int(found[1]) for name in tower if (found := re.match(r"_blocks\.(\d+)\.", name))})
    for number in numbers:
        wide = f"_blocks.{number}._expand_conv.weight" in tower
        # A stage begins where a block changes the number of channels.
        first = tower.get(f"_blocks.{number}.{'_expand_conv' if wide else '_depthwise_conv'}.weight")
        last = tower.get(f"_blocks.{number}._project_conv.weight")
        begins = first is None or last is None or first.shape[int(wide)] != last.shape[0]
        stage, place = (stage + 1, 0) if begins else (stage, place + 1)
        block = {name: value for name, value in tower.items() if name.startswith(f"_blocks.{number}.")}
        inner = rename(block, _EXPANDED if wide else _UNEXPANDED)
        renamed |= {name.replace(f"_blocks.{number}.", f"blocks.{stage}.{place}."): v for name, v in inner.items()}
    return {name: value for name, value in renamed.items() if not name.startswith(("_blocks.", "_fc."))}


def _one_channel(state: State) -> State:
    """A DenseNet that takes one channel, to one that takes the mean of three.

    A convolution of the mean of three channels is the sum of three with a third of the weight each.
    """
    stem = "features.conv0.weight"
    network = {name: value for name, value in state.items() if name != "op_threshs"}
    if stem in network and network[stem].ndim == 4 and network[stem].shape[1] == 1:
        network[stem] = network[stem].expand(-1, 3, -1, -1) / 3
    return network


RENAMINGS: dict[str, Callable[[State], State]] = {
    "cae": _cae,
    "davit": _davit,
    "densenet-children": _densenet_children,
    "efficientnet-pytorch": _efficientnet,
    "mae": _mae,
    "one-channel": _one_channel,
    "resnet-children": _resnet_children,
    "transformers-clip": _clip,
    "transformers-dinov2": _dinov2,
    "transformers-siglip": _siglip,
}
