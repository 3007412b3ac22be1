"""The classifiers, and the values of its one parameter that each is tried with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """What is chosen for a classifier.

    Attributes:
        parameter: its name, "" for a classifier that has none.
        values: rising; one placeholder for a classifier without a parameter.
    """

    parameter: str
    values: tuple[float, ...]


def _log_spaced(first: float, last: float, count: int) -> tuple[float, ...]:
    """Return 10 to the power of ``count`` numbers evenly spaced from ``first`` to ``last``."""
    return tuple(10 ** (first + (last - first) * step / (count - 1)) for step in range(count))


GRIDS: dict[str, Grid] = {
    # The grid of DINOv2's linear evaluation (Oquab et al. 2023).
    "logistic": Grid("C", _log_spaced(-6, 5, 45)),
    "svm-linear": Grid("C", _log_spaced(-3, 2, 11)),
    "svm-rbf": Grid("C", _log_spaced(-2, 3, 11)),
    "knn": Grid("k", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)),
    "lda": Grid("shrinkage", (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
    "centroid": Grid("", (0.0,)),
}
