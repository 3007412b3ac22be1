"""embedkit: training-free embedding analysis for medical imaging.

    import embedkit as ek

    e = ek.load("resnet50-v1", "ham10000")          # e.X, e.table, e.split("train")
    r = ek.probe(model="resnet50-v1", data="ham10000", test="isic2018")
    print(r.auc)

Everything is imported when it is first used, so that this module costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from embedkit._version import __version__

if TYPE_CHECKING:
    from embedkit.api import extract, probe, train_baseline
    from embedkit.cache import EmbeddingSet
    from embedkit.comparing import compare
    from embedkit.datasets import ImageSet, open_dataset
    from embedkit.errors import EmbedkitError
    from embedkit.loading import load
    from embedkit.probing import ProbeResult
    from embedkit.words import align, few_shot, load_aligned, zero_shot

_HOMES = {
    "align": "embedkit.words",
    "compare": "embedkit.comparing",
    "extract": "embedkit.api",
    "few_shot": "embedkit.words",
    "load": "embedkit.loading",
    "load_aligned": "embedkit.words",
    "probe": "embedkit.api",
    "train_baseline": "embedkit.api",
    "open_dataset": "embedkit.datasets",
    "EmbeddingSet": "embedkit.cache",
    "EmbedkitError": "embedkit.errors",
    "ImageSet": "embedkit.datasets",
    "ProbeResult": "embedkit.probing",
    "zero_shot": "embedkit.words",
}

__all__ = [
    "EmbeddingSet",
    "EmbedkitError",
    "ImageSet",
    "ProbeResult",
    "__version__",
    "align",
    "compare",
    "extract",
    "few_shot",
    "load",
    "load_aligned",
    "open_dataset",
    "probe",
    "train_baseline",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'embedkit' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
