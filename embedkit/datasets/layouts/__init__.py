"""One small reader per published layout: each module here has ``read(card, place) -> Contents``.

A module is found by its name, which is the ``layout`` of a row of the catalog; nothing else lists them.
"""

from importlib import import_module
from pkgutil import iter_modules

from embedkit.datasets.contents import Reader

READERS: dict[str, Reader] = {
    module.name: import_module(f"{__name__}.{module.name}").read for module in iter_modules(__path__)
}

__all__ = ["READERS"]
