"""Checkpoints under the names of their publishers, made from a model of timm, open_clip or torchvision.

Each is written from the publisher's code, the other way round from embedkit's own renaming, and on purpose by other
means: whole lists of names instead of patterns.
"""

import torch
from torch import Tensor

State = dict[str, Tensor]


def _layers(state: State, start: str) -> range:
    return range(1 + max(int(name[len(start) :].split(".")[0]) for name in state if name.startswith(start)))


def _three(value: Tensor) -> tuple[Tensor, ...]:
    return value.chunk(3)


def transformers_clip(visual: State) -> State:
    """CLIPModel's vision tower, of open_clip's."""
    top = "vision_model."
    state = {
        f"{top}embeddings.class_embedding": visual["class_embedding"],
        f"{top}embeddings.patch_embedding.weight": visual["conv1.weight"],
        f"{top}embeddings.position_embedding.weight": visual["positional_embedding"],
        f"{top}embeddings.position_ids": torch.arange(len(visual["positional_embedding"]))[None],
        "visual_projection.weight": visual["proj"].T,
        "text_model.final_layer_norm.weight": visual["ln_post.weight"],
        "logit_scale": torch.ones(()),
    }
    for kind in ("weight", "bias"):
        state[f"{top}pre_layrnorm.{kind}"] = visual[f"ln_pre.{kind}"]
        state[f"{top}post_layernorm.{kind}"] = visual[f"ln_post.{kind}"]
        for i in _layers(visual, "transformer.resblocks."):
            ours, theirs = f"transformer.resblocks.{i}", f"{top}encoder.layers.{i}"
            parts = _three(visual[f"{ours}.attn.in_proj_{kind}"])
            for part, value in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True):
                state[f"{theirs}.self_attn.{part}.{kind}"] = value
            state[f"{theirs}.self_attn.out_proj.{kind}"] = visual[f"{ours}.attn.out_proj.{kind}"]
            state[f"{theirs}.layer_norm1.{kind}"] = visual[f"{ours}.ln_1.{kind}"]
            state[f"{theirs}.layer_norm2.{kind}"] = visual[f"{ours}.ln_2.{kind}"]
            state[f"{theirs}.mlp.fc1.{kind}"] = visual[f"{ours}.mlp.c_fc.{kind}"]
            state[f"{theirs}.mlp.fc2.{kind}"] = visual[f"{ours}.mlp.c_proj.{kind}"]
    return state


def transformers_siglip(vit: State) -> State:
    """SiglipModel's vision tower, of timm's."""
    top = "vision_model."
    state = {
        f"{top}embeddings.position_embedding.weight": vit["pos_embed"][0],
        f"{top}head.probe": vit["attn_pool.latent"],
        "text_model.head.weight": vit["norm.weight"],
        "logit_bias": torch.ones(1),
    }
    for kind in ("weight", "bias"):
        state[f"{top}embeddings.patch_embedding.{kind}"] = vit[f"patch_embed.proj.{kind}"]
        state[f"{top}post_layernorm.{kind}"] = vit[f"norm.{kind}"]
        both = [vit[f"attn_pool.q.{kind}"], vit[f"attn_pool.kv.{kind}"]]
        state[f"{top}head.attention.in_proj_{kind}"] = torch.cat(both)
        state[f"{top}head.attention.out_proj.{kind}"] = vit[f"attn_pool.proj.{kind}"]
        state[f"{top}head.layernorm.{kind}"] = vit[f"attn_pool.norm.{kind}"]
        for layer in ("fc1", "fc2"):
            state[f"{top}head.mlp.{layer}.{kind}"] = vit[f"attn_pool.mlp.{layer}.{kind}"]
        for i in _layers(vit, "blocks."):
            theirs = f"{top}encoder.layers.{i}"
            parts = _three(vit[f"blocks.{i}.attn.qkv.{kind}"])
            for part, value in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True):
                state[f"{theirs}.self_attn.{part}.{kind}"] = value
            state[f"{theirs}.self_attn.out_proj.{kind}"] = vit[f"blocks.{i}.attn.proj.{kind}"]
            for n in (1, 2):
                state[f"{theirs}.layer_norm{n}.{kind}"] = vit[f"blocks.{i}.norm{n}.{kind}"]
                state[f"{theirs}.mlp.fc{n}.{kind}"] = vit[f"blocks.{i}.mlp.fc{n}.{kind}"]
    return state


def transformers_dinov2(vit: State, newer: bool = False) -> State:
    """Dinov2Model, of timm's; version 5 of transformers has newer names for the attention."""
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    if not newer:
        names = ("attention.query", "attention.key", "attention.value", "output.dense")
    state = {
        "embeddings.cls_token": vit["cls_token"],
        "embeddings.mask_token": vit["cls_token"][0],
        "embeddings.position_embeddings": vit["pos_embed"],
    }
    for kind in ("weight", "bias"):
        state[f"embeddings.patch_embeddings.projection.{kind}"] = vit[f"patch_embed.proj.{kind}"]
        state[f"layernorm.{kind}"] = vit[f"norm.{kind}"]
        for i in _layers(vit, "blocks."):
            theirs = f"encoder.layer.{i}"
            parts = (*_three(vit[f"blocks.{i}.attn.qkv.{kind}"]), vit[f"blocks.{i}.attn.proj.{kind}"])
            for part, value in zip(names, parts, strict=True):
                state[f"{theirs}.attention.{part}.{kind}"] = value
            for n in (1, 2):
                state[f"{theirs}.norm{n}.{kind}"] = vit[f"blocks.{i}.norm{n}.{kind}"]
                state[f"{theirs}.mlp.fc{n}.{kind}"] = vit[f"blocks.{i}.mlp.fc{n}.{kind}"]
                state[f"{theirs}.layer_scale{n}.lambda1"] = vit[f"blocks.{i}.ls{n}.gamma"]
    return state


def masked_autoencoder(vit: State) -> State:
    """RETFound's pretraining: the norm of all tokens, and a decoder, instead of the norm after averaging."""
    width = vit["cls_token"].shape[-1]
    state = {name: value for name, value in vit.items() if not name.startswith("fc_norm.")}
    return state | {
        "norm.weight": torch.full_like(vit["fc_norm.weight"], 3),
        "norm.bias": torch.full_like(vit["fc_norm.bias"], 2),
        "mask_token": vit["cls_token"][..., : width // 2],
        "decoder_pos_embed": vit["pos_embed"][..., : width // 2],
        "decoder_embed.weight": torch.empty_like(vit["patch_embed.proj.bias"]),
        "decoder_blocks.0.attn.qkv.weight": torch.empty_like(vit["blocks.0.attn.qkv.weight"]),
        "decoder_pred.bias": torch.empty_like(vit["patch_embed.proj.bias"]),
    }


def context_autoencoder(vit: State, positions: bool) -> State:
    """PanDerm's pretraining: biases of query and value alone, scales of the branches, other networks beside it."""
    state: State = {"teacher.visual.proj": vit["cls_token"], "decoder.mask_token": vit["cls_token"]}
    for name, value in vit.items():
        if name.endswith(".attn.qkv.bias"):
            query, _, last = _three(value)
            state[f"encoder.{name.removesuffix('qkv.bias')}q_bias"] = query
            state[f"encoder.{name.removesuffix('qkv.bias')}v_bias"] = last
        elif ".ls" in name:
            state["encoder." + name.replace(".ls1.gamma", ".gamma_1").replace(".ls2.gamma", ".gamma_2")] = value
        elif name != "pos_embed" or positions:
            state[f"encoder.{name}"] = value
    return state


def unicl(tower: State, old: bool = False) -> State:
    """MedImageInsight, of open_clip's tower with a DaViT of timm as its trunk."""
    image, projection = ("visual.", "vision_projection") if old else ("image_encoder.", "image_projection")
    state = {projection: tower["head.proj.weight"].T, "lang_encoder.ln_final.weight": torch.ones(2)}
    for name, value in tower.items():
        if not name.startswith("trunk."):
            continue
        words = name.removeprefix("trunk.").split(".")
        if words[0] == "stem":
            words = ["convs", "0", *words[1:]]
        elif words[0] == "head":
            words = ["norms", *words[2:]]
        elif words[2] == "downsample":
            words = ["convs", words[1], *words[3:]]
        else:
            words = ["blocks", words[1], words[3], words[4], *_davit(words[4], words[5:])]
        words = ["proj" if word == "conv" else word for word in words]
        state[image + ".".join(words)] = value
    return state


def _davit(block: str, words: list[str]) -> list[str]:
    attention = "window_attn" if block == "spatial_block" else "channel_attn"
    match words[0]:
        case "cpe1" | "cpe2":
            return [f"conv{words[0][-1]}", "fn", "dw", *words[2:]]
        case "norm1":
            return [attention, "norm", *words[1:]]
        case "attn":
            return [attention, "fn", *words[1:]]
        case "norm2":
            return ["ffn", "norm", *words[1:]]
        case _:
            return ["ffn", "fn", "net", *words[1:]]


def mammo_clip(efficientnet: State) -> State:
    """Mammo-CLIP: an EfficientNet of efficientnet_pytorch among other towers, of timm's."""
    whole = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    places = sorted({tuple(map(int, n.split(".")[1:3])) for n in efficientnet if n.startswith("blocks.")})
    first = {
        "conv_dw": "_depthwise_conv",
        "bn1": "_bn1",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
        "conv_pw": "_project_conv",
        "bn2": "_bn2",
    }
    later = {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
    }
    state = {"text_encoder.embeddings.weight": torch.ones(2), "image_projection.projection.weight": torch.ones(2)}
    for name, value in efficientnet.items():
        if name.startswith("blocks."):
            stage, place, rest = name.removeprefix("blocks.").split(".", 2)
            layer, _, kind = rest.rpartition(".")
            names = later if int(stage) else first
            number = places.index((int(stage), int(place)))
            state[f"image_encoder._blocks.{number}.{names[layer]}.{kind}"] = value
        elif not name.startswith("classifier."):
            layer, _, kind = name.rpartition(".")
            state[f"image_encoder.{whole[layer]}.{kind}"] = value
    return state


def children(network: State, names: dict[str, str], head: str) -> State:
    """RadImageNet: a network of torchvision as a sequence of its children, without its head."""
    state = {}
    for name, value in network.items():
        child, _, rest = name.partition(".")
        if child != head:
            state[f"backbone.{names[child]}.{rest}"] = value
    return state


RESNET = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
DENSENET = {"features": "0"}
