"""int8 where a precision is asked for: ``int8:SET`` is calibrated on images of SET, ``int8`` on those embedded."""

from collections.abc import Sequence
from pathlib import Path

from embedkit import datasets
from embedkit.encoders import INT8, PRECISIONS
from embedkit.errors import EmbedkitError
from embedkit.extraction import Calibration, Progress, networks_of


def calibrated_on(precision: str | None, data: Sequence[str]) -> str | None:
    """Return a precision, and where it is int8 alone, with the one set that is embedded.

    Raises:
        EmbedkitError: it is int8 alone, and several sets are embedded.
    """
    if precision != INT8:
        return precision
    if len(data) != 1:
        raise EmbedkitError(
            "several sets are embedded, and vectors in int8 can be compared only where one set has calibrated them: "
            f"say which, as in --precision int8:{data[0]}"
        )
    return f"{precision}:{data[0]}"


def check_precision(precision: str | None) -> None:
    """Raise EmbedkitError unless there is such a precision; ``int8:SET`` is one, whatever the set."""
    if precision not in (None, *PRECISIONS) and precision.partition(":")[0] != INT8:
        raise EmbedkitError(f"unknown precision '{precision}': choose {' or '.join(PRECISIONS)}, or int8")


def understood(
    precision: str | None,
    cache: Path,
    *,
    root: Path | str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    calibrate: bool = True,
) -> tuple[str | None, Calibration | None]:
    """Return a precision without its set, and for int8 where the networks are that the set has calibrated.

    Args:
        precision: ``int8:SET``, another one or None. cache: the folder of all caches.
        root, workers, progress: as in `embedkit.extract`. calibrate: whether a network that is not there is made.

    Raises:
        EmbedkitError: there is no such precision, or int8 without a set or with one that is not known.
    """
    check_precision(precision)
    kind, _, data = (precision or "").partition(":")
    if kind != INT8:
        return precision, None
    if not data:
        raise EmbedkitError(
            "vectors in int8 can be compared only where the images of one set have calibrated them: say which, as in "
            "--precision int8:SET with the SET that was given to extract --precision int8"
        )
    from embedkit.probing.drift import auc_drift

    try:
        name, address = datasets.dataset_name(data), data if calibrate else None
    except EmbedkitError:
        # A folder of the cache stands for the set that it was made of, whose address may be forgotten.
        if data not in networks_of(cache):
            raise
        name, address = data, None
    place = None if root is None else Path(root)
    return kind, Calibration(cache, name, address, auc_drift, place, workers, progress)
