"""Independent fits side by side, each on one thread of the linear algebra library."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from embedkit import machine

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(task: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Return ``[task(item) for item in items]``, several at once.

    Threads serve because the time goes to BLAS and libsvm, which let go of the interpreter. Each task computes on
    one BLAS thread, so that the result is the same whatever the number of cores.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(min(len(items), machine.cores())) as pool:
        return list(pool.map(task, items))


@contextmanager
def counted_convergence() -> Iterator[list[Any]]:
    """Keep scikit-learn's convergence warnings off the terminal and collect them instead.

    Only the main thread may enter it: warning filters belong to the process. Other warnings pass.
    """
    from sklearn.exceptions import ConvergenceWarning

    unconverged: list[Any] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield unconverged
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            unconverged.append(warning)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
