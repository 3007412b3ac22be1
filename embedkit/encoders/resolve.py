"""From what the user writes after --model to an EncoderCard."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedkit.encoders.card import ALIGNED, OPEN_CLIP_FILES, PROJECTED, EncoderCard
from embedkit.encoders.catalog import catalog
from embedkit.encoders.pair import AlignedPair
from embedkit.encoders.preprocess import FILTERS, RESIZE_MODES, Preprocessing
from embedkit.errors import EmbedkitError, unknown_name

ALSO = (
    "`embedkit models` lists them; timm:NAME, open_clip:MODEL/PRETRAINED, onnx:PATH and aligned:FILE are accepted too."
)
TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
OPEN_CLIP_CONFIG = "open_clip_config.json"


def resolve(spec: str) -> EncoderCard:
    """Return the card of a catalog name, ``timm:NAME``, ``open_clip:MODEL/PRETRAINED``, ``onnx:PATH``.

    ``aligned:FILE`` is a pair that `embedkit align` saved.
    PRETRAINED may be a tag of open_clip, a local file, or empty if the weights are given otherwise.
    ``open_clip:FOLDER`` is a folder that open_clip saved: open_clip_config.json and the weights beside it. A catalog
    name imports neither torch nor timm.

    Raises:
        EmbedkitError: it is none of these; the message has the closest names. Or its file can't be read.
    """
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in READERS:
        try:
            return READERS[prefix](spec, rest)
        except OSError as error:
            # Such as a name that is too long, alone or for the file that may lie beside it.
            raise EmbedkitError(
                f"{spec} can't be read ({error.strerror or error}): give it a name and a place where it can be"
            ) from error
    cards = catalog()
    if spec not in cards:
        raise unknown_name("model", spec, cards, ALSO)
    return cards[spec]


def _timm(spec: str, name: str) -> EncoderCard:
    import timm

    if not timm.is_model(name.partition(".")[0]):
        raise unknown_name("timm model", name, timm.list_models(), "timm.list_models() lists them.")
    try:
        known = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = timm.list_pretrained(f"{name.partition('.')[0]}*")
        raise unknown_name("timm model", name, tags, "Without the tag after the dot it is the default.") from error
    if known is None:
        raise EmbedkitError(f"timm has no pretrained weights of {name}, so its preprocessing is not known")
    full = ".".join(part for part in (known.architecture, known.tag) if part)
    channels, height, width = known.input_size
    modes = {"center": "shortest", "squash": "squash"}
    if channels != 3 or height != width or known.crop_mode not in modes:
        raise EmbedkitError(
            f"{spec} takes images of {known.input_size} with crop mode {known.crop_mode}: embedkit prepares "
            "square RGB images with the crop modes center and squash"
        )
    table = {
        "size": height,
        "resize": math.floor(height / known.crop_pct),
        "resize_mode": modes[known.crop_mode],
        "interpolation": known.interpolation,
        "mean": list(known.mean),
        "std": list(known.std),
    }
    return EncoderCard(
        name=spec,
        source=f"timm:{full}",
        backend="timm",
        architecture=full,
        output="pooled",
        preprocessing=Preprocessing.from_table(table, spec),
        licence=known.license or "not stated",
        hub=known.hf_hub_id or "",
        files=(known.hf_hub_filename,) if known.hf_hub_filename else TIMM_FILES,
        url="" if known.hf_hub_id or known.custom_load or not isinstance(known.url, str) else known.url,
    )


def _open_clip(spec: str, rest: str) -> EncoderCard:
    folder = Path(rest).expanduser()
    if rest and folder.is_dir():
        return _open_clip_folder(spec, folder)
    if rest.startswith(("/", "~", ".")):
        raise EmbedkitError(f"there is no folder {folder}: open_clip:FOLDER is one that open_clip saved.")
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    model, _, pretrained = rest.partition("/")
    known = open_clip.list_models()
    if model not in known:
        raise unknown_name("open_clip model", model, known, "open_clip.list_models() lists them.")
    trained = open_clip.get_pretrained_cfg(model, pretrained) if pretrained else {}
    path = Path(pretrained).expanduser() if pretrained and not trained else None
    if path is not None and not path.is_file():
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise unknown_name(f"weights of {model}", pretrained, tags, f"open_clip has {tags}; or name a local file.")
    # A model trained with quick GELU gives wrong vectors with the usual one; open_clip only warns.
    quick = trained.get("quick_gelu") and not model.endswith("-quickgelu")
    architecture = f"{model}-quickgelu" if quick else model
    if architecture not in known:
        raise EmbedkitError(f"{spec} was trained with quick GELU, and this open_clip has no {architecture}: update it")
    settings = merge_preprocess_dict(PreprocessCfg(), trained)
    size = open_clip.get_model_config(architecture)["vision_cfg"].get("image_size", 224)
    table = {
        "size": size,
        "resize": size,
        "resize_mode": settings["resize_mode"],
        "interpolation": settings["interpolation"],
        "mean": list(settings["mean"]),
        "std": list(settings["std"]),
    }
    repository, _, file = trained.get("hf_hub", "").rpartition("/")
    return EncoderCard(
        name=spec,
        source=f"open_clip:{architecture}" + (f"/{pretrained}" if trained else ""),
        backend="open_clip",
        architecture=architecture,
        output=PROJECTED,
        preprocessing=Preprocessing.from_table(table, spec),
        hub=repository,
        files=(file,) if file else OPEN_CLIP_FILES,
        url="" if repository else trained.get("url", ""),
        path=path,
    )


def _open_clip_folder(spec: str, folder: Path) -> EncoderCard:
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    file = folder / OPEN_CLIP_CONFIG
    config = _read_json(file)
    try:
        model = config["model_cfg"]
        vision, text = model["vision_cfg"], model["text_cfg"]
        settings = merge_preprocess_dict(PreprocessCfg(), config.get("preprocess_cfg", {}))
        size = vision.get("image_size", 224)
        table = {"size": size, "resize": size} | {name: settings[name] for name in ("resize_mode", "interpolation")}
        table |= {name: list(settings[name]) for name in ("mean", "std")}
        tower = {**vision, "embed_dim": model["embed_dim"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise EmbedkitError(
            f"{file} is no configuration of open_clip ({error}): "
            "it needs model_cfg with embed_dim, vision_cfg and text_cfg"
        ) from error
    weights = next(
        (folder / name for name in OPEN_CLIP_FILES if (folder / name).is_file()), folder / OPEN_CLIP_FILES[0]
    )
    return EncoderCard(
        name=spec,
        source="open_clip:folder",
        backend="open_clip",
        architecture="",
        output=PROJECTED,
        preprocessing=Preprocessing.from_table(table, str(file)),
        vision=tower | ({"quick_gelu": True} if model.get("quick_gelu") else {}),
        text=text,
        path=weights,
    )


def _onnx(spec: str, rest: str) -> EncoderCard:
    from embedkit.encoders.backends import onnx

    path = Path(rest).expanduser()
    if path.suffix != ".onnx" or not path.is_file():
        raise EmbedkitError(f"{spec} must name an existing file that ends in .onnx")
    sidecar = path.with_name(path.name + ".json")
    table = onnx.default_table(onnx.input_size(path), _read_json(sidecar) if sidecar.is_file() else {})
    return EncoderCard(
        name=spec,
        source="onnx",
        backend="onnx",
        architecture="",
        output="pooled",
        precision="fp32",
        preprocessing=Preprocessing.from_table(table, str(sidecar if sidecar.is_file() else path)),
        path=path,
    )


def _aligned(spec: str, rest: str) -> EncoderCard:
    path = Path(rest).expanduser()
    pair = AlignedPair.load(path)
    if not pair.facts["image_key"]:
        raise EmbedkitError(
            f"{spec} was aligned with vectors that came from plain arrays, and no image can be embedded as they were: "
            "take embeddings into its space with ek.load_aligned(FILE).apply(embeddings)"
        )
    images = resolve(pair.image_model)
    return EncoderCard(
        name=spec,
        source=ALIGNED,
        backend=ALIGNED,
        architecture=pair.name,
        output=PROJECTED,
        preprocessing=images.preprocessing,
        licence=images.licence,
        trained_on=images.trained_on,
        dim=pair.basis.shape[1],
        citation=images.citation,
        path=path,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbedkitError(f"cannot read {path}: {error}") from error
    if not isinstance(table, dict):
        fields = f"size, resize, resize_mode ({'|'.join(RESIZE_MODES)}), interpolation ({'|'.join(FILTERS)}), mean, std"
        wanted = (
            "of open_clip's model_cfg and preprocess_cfg"
            if path.name == OPEN_CLIP_CONFIG
            else f"with some of the fields {fields}"
        )
        raise EmbedkitError(f"{path} must be one JSON object {wanted}")
    return table


READERS: dict[str, Callable[[str, str], EncoderCard]] = {
    "timm": _timm,
    "open_clip": _open_clip,
    "onnx": _onnx,
    ALIGNED: _aligned,
}
