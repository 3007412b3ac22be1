"""Principal axes of the embeddings, where the Hessian of a logistic loss is close to diagonal.

A rotation leaves an L2 penalty as it is, so a step found in other coordinates is the same step.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from embedkit.probing.solver.blocks import Blocks
from embedkit.probing.solver.features import Features
from embedkit.probing.solver.gpu import OnDevice
from embedkit.probing.solver.products import Plain, Products, Rounded, import_early

# With so many rows for each feature, exact blocks of a Hessian cost little beside its products: no axes are needed.
_TALL = 8


@dataclass(frozen=True)
class Axes:
    """The way between the coordinates of the embeddings, in double precision, and those of the Hessians, in single.

    Attributes:
        basis: (d, r), orthonormal columns, the axes by rising variance, r = min(n, d); None where both are the same.
    """

    basis: np.ndarray | None

    def along(self, W: np.ndarray) -> np.ndarray:
        """Return vectors (..., d + 1) in the coordinates of the Hessians, (..., r + 1)."""
        return _turned(W.astype(np.float32), self.basis)

    def back(self, V: np.ndarray) -> np.ndarray:
        """Return vectors (..., r + 1) in the coordinates of the embeddings, (..., d + 1)."""
        return _turned(V, None if self.basis is None else self.basis.T).astype(np.float64)


class Ready:
    """Embeddings (n, d) whose principal axes are found once, for a search and the fit that follows it.

    Args:
        X: single or double precision, not changed afterwards. device: where they are multiplied, as torch names it;
            on ``cpu`` by numpy, and in bfloat16 by torch where that pays.
    """

    def __init__(self, X: np.ndarray, device: str = "cpu") -> None:
        self.X, self.device = X, device
        self._turned: tuple[Features, Axes] | None = None

    def __len__(self) -> int:
        return len(self.X)

    @classmethod
    def of(cls, X: "np.ndarray | Ready", device: str = "cpu") -> "Ready":
        """Return embeddings in this form; those that have it stay where they are."""
        return X if isinstance(X, Ready) else cls(X, device)

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean of the rows, (d,), in double precision."""
        return np.asarray(self.X.mean(axis=0, dtype=np.float64))

    def turned(self, blocks: Blocks, rounded: bool) -> tuple[Features, Axes]:
        """Return `principal_axes` of them; ``rounded`` counts where they are asked for first."""
        if self._turned is None:
            if rounded and not is_tall(self.X):
                import_early()
            self._turned = principal_axes(self, blocks, rounded)
        return self._turned

    def exact(self, double: bool) -> Features:
        """Return them as they are, less their mean, in single or double precision."""
        precision = np.float64 if double else np.float32
        if self.device == "cpu":
            return Features.plain(self.X, self.mean, precision)
        products = OnDevice.made_of(self.X, self.device, rounded=False, double=double)
        return Features(self.X, self.mean.astype(precision), precision, products)


def _turned(W: np.ndarray, basis: np.ndarray | None) -> np.ndarray:
    if basis is None:
        return W
    found = np.empty((*W.shape[:-1], basis.shape[1] + 1), W.dtype)
    found[..., :-1] = (W[..., :-1].reshape(-1, len(basis)) @ basis).reshape(*W.shape[:-1], -1)
    found[..., -1] = W[..., -1]
    return found


def is_tall(X: np.ndarray) -> bool:
    """Say whether X (n, d) has so many rows that it is not rotated."""
    return bool(len(X) >= _TALL * X.shape[1])


def principal_axes(ready: Ready, blocks: Blocks, rounded: bool = False) -> tuple[Features, Axes]:
    """Return embeddings (n, d) as Hessians see them, rotated where that pays, and the way back.

    Args:
        rounded: where they are rotated, products with them are in bfloat16. Each axis is rounded by its own scale, so
            that those along which little varies are as right as the others. A GPU rounds them, where it can.
    """
    X, mean, device = ready.X, ready.mean, ready.device
    n, d = X.shape
    if is_tall(X):
        return ready.exact(double=False), Axes(None)
    span = None
    if n < d:
        # The solution lies in the span of the rows (representer theorem): n numbers say as much as d, and sooner.
        span = np.linalg.qr((X - mean).T)[0]

    def centred(rows: slice) -> np.ndarray:
        block = (X[rows] - mean).astype(np.float32)
        return block if span is None else np.asarray(block @ span, np.float32)

    basis = _eigenvectors(blocks.gram(centred, d if span is None else span.shape[1]))
    Z = np.empty((n, basis.shape[1]), np.float32)

    def rotate(rows: slice) -> None:
        np.matmul(centred(rows), basis, out=Z[rows])

    blocks.each(rotate)
    axes = Axes(basis if span is None else (span @ basis).astype(np.float32))
    products: Products = Rounded.made_of(Z) if rounded else Plain(Z, np.float32)
    if device != "cpu":
        products = OnDevice.made_of(Z, device, rounded=True)
    return Features(Z, np.zeros(basis.shape[1], np.float32), np.float32, products), axes


def _eigenvectors(gram: np.ndarray) -> np.ndarray:
    from scipy.linalg import eigh

    basis: np.ndarray = eigh(gram, lower=True, driver="evd", check_finite=False, overwrite_a=True)[1]
    return basis
