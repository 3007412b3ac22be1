"""Silence for the warnings of decoding libraries: what matters in them is raised as an `ImageError`."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_stderr_lock = threading.Lock()
_STDERR = 2
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


@contextmanager
def quiet_library() -> Iterator[None]:
    """Send nowhere what a C library prints on standard error inside the block, such as libtiff on damaged files.

    Standard error belongs to the process: what other threads print in that moment is lost too, so the block should
    be short.
    """
    with _stderr_lock, ExitStack() as undo:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # a process without standard error prints nothing
            yield
            return
        undo.callback(os.close, kept)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        undo.callback(os.close, nowhere)
        os.dup2(nowhere, _STDERR)
        undo.callback(os.dup2, kept, _STDERR)
        yield
