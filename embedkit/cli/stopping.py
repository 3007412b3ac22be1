"""Ctrl-C and SIGTERM stop a run, whatever it is at."""

import signal
import sys

_SOON = 0.02


def stop_on_signals() -> None:
    """Have SIGTERM raise KeyboardInterrupt as Ctrl-C does, and have neither be lost.

    Python drops what is raised in the callback of a weak reference or in a ``__del__``, and the run would go on.
    """
    # A batch system ends a job that is out of time with it: what was embedded is kept, as after Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.default_int_handler)
    sys.unraisablehook = _unraisable


def stopped() -> None:
    """Let no alarm of a dropped signal end a program that is stopping already."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _unraisable(dropped: "sys.UnraisableHookArgs") -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        # Raised here it would be dropped again, and a lock of whatever was interrupted may be held: the system's clock
        # needs none.
        signal.setitimer(signal.ITIMER_REAL, _SOON)
    else:
        sys.__unraisablehook__(dropped)
