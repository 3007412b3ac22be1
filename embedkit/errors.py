"""The one base of every error embedkit raises on purpose, and the sentence for an unknown name."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class EmbedkitError(Exception):
    """A mistake the user can mend: the message says what was wrong, with what, and what to do next."""


def unknown_name(kind: str, name: str, known: Iterable[str], also: str) -> EmbedkitError:
    """Return the error for a name that no catalog holds, with the closest names and what else is accepted."""
    close = get_close_matches(name, sorted(known), n=3, cutoff=0.55)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return EmbedkitError(f"unknown {kind} '{name}'.{hint} {also}")


def refuse_too_small(choices: object, least: Mapping[str, int]) -> None:
    """Refuse an object whose attribute is below what it must be at least; None is left to a default.

    Raises:
        EmbedkitError: with the first one's name and bound.
    """
    for name, bound in least.items():
        value = getattr(choices, name)
        if value is not None and value < bound:
            raise EmbedkitError(f"{name} = {value} is too small: give {bound} or more")
