"""The values of settings in Python's own types, whoever gave them: numpy's become plain, other kinds are refused."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, get_args, get_origin

import numpy as np

from embedkit.errors import EmbedkitError

_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def plain(name: str, value: Any, kind: Any) -> Any:
    """Return the value of a setting as its annotation asks: a single one of several is a tuple of one.

    Args:
        name: of the setting. value: any. kind: int, float, bool, str, one of these or None, or a tuple of one of them.

    Raises:
        EmbedkitError: it is of another kind.
    """
    if get_origin(kind) is tuple:
        if isinstance(value, np.ndarray):
            value = np.atleast_1d(value)
        single = isinstance(value, str) or not isinstance(value, Iterable)
        items = tuple(plain(name, item, get_args(kind)[0]) for item in ([value] if single else value))
        # A set has no order of its own, and a result shall be the same again.
        return tuple(sorted(items)) if isinstance(value, set | frozenset) else items
    if type(None) in get_args(kind):
        return None if value is None else plain(name, value, get_args(kind)[0])
    if not _is(value, kind):
        raise EmbedkitError(f"{name} = {value!r} can't be used: it must be {_WORDS[kind]}")
    # By its digits: of 32 bits 0.9 is 0.8999999762.
    return float(str(value)) if isinstance(value, np.floating) and kind is float else kind(value)


def _is(value: Any, kind: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind is str:
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return kind is float or isinstance(value, Integral) or float(value).is_integer()
