"""The two products that a solver spends its time on: of a block of rows with coefficients, and with changes of scores.

By numpy in the precision of what it is given, or by torch in bfloat16, which processors with units for it multiply
several times faster and which takes half the memory to read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from embedkit.encoders.device import has_matrix_units
from embedkit.probing.solver.arrays import Array

if TYPE_CHECKING:
    import torch

# OpenBLAS multiplies whole groups of so many columns about a third faster, with the columns added, than the others.
_GROUP = 16
# Up to so many columns it spends most of its time on a copy of the embeddings in another order, which it does not make
# of a part of so few rows.
_FEW, _PART = 16, 32
# Multiply-adds from which on torch pays, which takes 2 seconds to be imported.
_LARGE = 7e9


class Products(Protocol):
    """Products with a matrix (n, d).

    Attributes:
        speed: about how many multiply-adds of these take as long as one of what preconditioners are made of.
    """

    speed: float

    def of(self, rows: np.ndarray) -> "Products":
        """Return products with some rows alone."""
        ...

    def block(self, rows: slice) -> Any:
        """Return some rows in the form in which they are multiplied, (b, d)."""
        ...

    def there(self, array: np.ndarray) -> Array:
        """Return an array where these are made, and where scores are."""
        ...

    def across(self, block: Any, coef: np.ndarray) -> Array:
        """Return coefficients (m, d) times a block, (m, b)."""
        ...

    def down(self, change: Array, block: Any) -> np.ndarray:
        """Return a change of scores (m, b) times a block, (m, d)."""
        ...

    def square(self, F: np.ndarray) -> np.ndarray:
        """Return F.T @ F (e, e) for F (b, e) in single precision, about as precisely."""
        ...


class Plain:
    """Products in one precision by numpy.

    Args:
        X: (m, d), of any precision. precision: float32 or float64. chosen: (n,) rows of X; None for all.
    """

    speed = 1.0

    def __init__(self, X: np.ndarray, precision: type[np.floating], chosen: np.ndarray | None = None) -> None:
        self.X, self.precision, self.chosen = X, precision, chosen

    def of(self, rows: np.ndarray) -> "Plain":
        """As in `Products`, without a copy of them."""
        return Plain(self.X, self.precision, rows if self.chosen is None else self.chosen[rows])

    def block(self, rows: slice) -> np.ndarray:
        """As in `Products`."""
        return np.asarray(self.X[rows if self.chosen is None else self.chosen[rows]], self.precision)

    def there(self, array: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        return array

    def across(self, block: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        if 1 < len(coef) <= _FEW:
            found = np.empty((len(coef), len(block)), self.precision)
            parts, rest = _parts(block)
            there, behind = np.split(found, [len(block) - len(rest)], axis=1)
            np.matmul(coef, parts.swapaxes(1, 2), out=there.reshape(len(coef), -1, _PART).swapaxes(0, 1))
            np.matmul(coef, rest.T, out=behind)
            return found
        # This way round few columns are an eighth faster than as coef @ block.T.
        return np.ascontiguousarray((block @ _grouped(coef).T).T[: len(coef)])

    def down(self, change: np.ndarray, block: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        if 1 < len(change) <= _FEW:
            parts, rest = _parts(block)
            there, behind = np.split(change, [len(block) - len(rest)], axis=1)
            found = (there.reshape(len(change), -1, _PART).swapaxes(0, 1) @ parts).sum(axis=0)
            return np.asarray(found + behind @ rest)
        return np.asarray((_grouped(change) @ block)[: len(change)])

    def square(self, F: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        return np.asarray(F.T @ F)


def _parts(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a block in parts (p, _PART, d), and those that are left."""
    whole = len(block) // _PART * _PART
    return block[:whole].reshape(-1, _PART, block.shape[1]), block[whole:]


def _grouped(rows: np.ndarray) -> np.ndarray:
    """Return rows with zeros behind them, up to a whole number of groups; one row is a product of its own kind."""
    short = -len(rows) % _GROUP
    if len(rows) == 1 or not short:
        return rows
    found = np.zeros((len(rows) + short, rows.shape[1]), rows.dtype)
    found[: len(rows)] = rows
    return found


class Rounded:
    """Products in bfloat16 by torch, added up in single precision and rounded again; about 3 digits are right."""

    speed = 10.0

    def __init__(self, X: "torch.Tensor") -> None:
        self.X = X

    @classmethod
    def made_of(cls, X: np.ndarray) -> "Rounded":
        """Return products with X (n, d) float32."""
        return cls(_rounded(X))

    def of(self, rows: np.ndarray) -> "Rounded":
        """As in `Products`, with a copy: to pick rows takes as long as to multiply with them."""
        import torch

        return Rounded(self.X[torch.from_numpy(rows)])

    def block(self, rows: slice) -> "torch.Tensor":
        """As in `Products`."""
        return self.X[rows]

    def there(self, array: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        return array

    def across(self, block: "torch.Tensor", coef: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        return np.asarray((block @ _rounded(coef).T).T.contiguous().float().numpy())

    def down(self, change: np.ndarray, block: "torch.Tensor") -> np.ndarray:
        """As in `Products`."""
        return np.asarray((_rounded(change) @ block).float().numpy())

    def square(self, F: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        rounded = _rounded(F)
        return np.asarray((rounded.T @ rounded).float().numpy())


def _rounded(rows: np.ndarray) -> "torch.Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(rows)).to(torch.bfloat16)


def rounding_pays(multiply_adds: float) -> bool:
    """Say whether this machine does so many multiply-adds, over and over, sooner in bfloat16.

    It depends on nothing else, such as whether torch was imported already: the same probe has the same result.
    """
    return multiply_adds > _LARGE and has_matrix_units()


def import_early() -> None:
    """Begin to import torch, which takes two seconds of one thread, beside what is done before it is needed."""
    Thread(target=import_module, args=("torch",)).start()


@contextmanager
def one_thread(products: Products) -> Iterator[None]:
    """Let torch, where it is used, multiply on the thread that calls it."""
    if not isinstance(products, Rounded):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
