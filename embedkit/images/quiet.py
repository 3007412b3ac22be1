"""Silence for the warnings of decoding libraries: what matters in them is raised as an `ImageError`."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_outermost = ExitStack()
_depth = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore Python warnings inside the block, in threads too.

    The list of warning filters belongs to the process: two overlapping `warnings.catch_warnings` of two
    threads can leave it silenced for good. So the first to enter saves it and the last to leave restores it.
    """
    global _depth  # noqa: PLW0603
    with _lock:
        if _depth == 0:
            _outermost.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _outermost.close()
