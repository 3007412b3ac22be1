"""One small reader per published layout: each module here has ``read(card, place) -> Contents``.

A module is found by its name, which is the ``layout`` of a row of the catalog; nothing else lists them. It is
imported when a set of its layout is opened.
"""

from importlib import import_module
from pkgutil import iter_modules

from embedkit.datasets.contents import Reader

LAYOUTS = frozenset(module.name for module in iter_modules(__path__))


def reader(layout: str) -> Reader:
    """Return the reader of a layout, one of `LAYOUTS`."""
    read: Reader = import_module(f"{__name__}.{layout}").read
    return read


__all__ = ["LAYOUTS", "reader"]
