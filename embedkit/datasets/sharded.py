"""Sets that come as shards: which split a shard is of, and whether all of them are there."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from embedkit.datasets.splits import SPLITS
from embedkit.errors import EmbedkitError

_WORDS = re.compile(r"[A-Za-z]+")
_NUMBERED = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.\w+)")


def split_of(path: str) -> str:
    """Return the split that the folders or the name of a shard tell (``train/0.tar``, ``x-val-0.tar``), or nothing."""
    words = [word.lower() for word in _WORDS.findall(posixpath.splitext(path)[0])]
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def require_all(place: Path, shards: Iterable[str]) -> None:
    """Refuse shards numbered ``-00001-of-00004`` of which some are not there.

    Raises:
        EmbedkitError: with the first that is missing.
    """
    held: dict[tuple[str, int, str], set[int]] = defaultdict(set)
    for shard in shards:
        if match := _NUMBERED.fullmatch(shard):
            held[match[1], int(match[3]), match[4]].add(int(match[2]))
    for (name, total, ending), numbers in held.items():
        if lacking := sorted(set(range(total)) - numbers):
            raise EmbedkitError(
                f"{place} holds {len(numbers)} of the {total} shards of {name}: "
                f"{name}-{lacking[0]:05d}-of-{total:05d}{ending} is not there. Copy all of them."
            )
