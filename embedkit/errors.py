"""The one base of every error embedkit raises on purpose, and the sentence for an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches


class EmbedkitError(Exception):
    """A mistake the user can mend: the message says what was wrong, with what, and what to do next."""


def unknown_name(kind: str, name: str, known: Iterable[str], also: str) -> EmbedkitError:
    """Return the error for a name that no catalog holds, with the closest names and what else is accepted."""
    close = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return EmbedkitError(f"unknown {kind} '{name}'.{hint} {also}")
