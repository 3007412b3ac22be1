"""Pseudonyms: keyed hashes in the place of whatever names a patient or a file, the same ones for the same salt."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.datasets.image_set import ImageSet
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "pseudonymous:"
SALT, SALT_FILE = "EMBEDKIT_SALT", "EMBEDKIT_SALT_FILE"

_LEAST_SALT = 16
# fmt: off
_IDENTIFYING = frozenset({
    "id", "ids", "uid", "uids", "uuid", "path", "file", "filename", "name", "names", "patient", "patients", "patientid",
    "subject", "person", "participant", "case", "study", "series", "lesion", "accession", "exam", "mrn", "record",
})
# What a catalog says of a set names no file and no patient; what a reader saw of a folder may.
_KEPT_FACTS = frozenset({
    "title", "modality", "licence", "citation", "homepage", "resolution", "group", "related", "notes", "classes",
    "channels",
})
# fmt: on
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class Pseudonyms:
    """Turns names into 32 hexadecimal digits: BLAKE2b (RFC 7693) keyed with the SHA-256 of a secret salt."""

    def __init__(self, salt: bytes) -> None:
        self._key = hashlib.sha256(salt).digest()

    def __repr__(self) -> str:
        return "Pseudonyms(...)"

    def __call__(self, name: str) -> str:
        """Return the pseudonym of a name, wherever it stands."""
        return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).hexdigest()


def pseudonymous(spec: str) -> str:
    """Return what opens a set under pseudonyms."""
    return spec if spec.startswith(PREFIX) else PREFIX + spec


def salted() -> Pseudonyms:
    """Return the pseudonyms of the salt in EMBEDKIT_SALT, or in the file that EMBEDKIT_SALT_FILE names.

    Raises:
        EmbedkitError: there is none, or one that can be guessed.
    """
    salt, file = os.environ.get(SALT, ""), os.environ.get(SALT_FILE)
    if file and not salt:
        try:
            salt = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise EmbedkitError(f"the salt can't be read from {file} ({error}): {SALT_FILE} names its file.") from error
    if len(salt.strip()) < _LEAST_SALT:
        raise EmbedkitError(
            f"pseudonyms need a secret salt of {_LEAST_SALT} characters or more, and {file or SALT} holds "
            f"{len(salt.strip())}: put one into {SALT}, or its file into {SALT_FILE}, and keep it, for another salt "
            'gives other pseudonyms. To make one: python -c "import secrets; print(secrets.token_hex(32))"'
        )
    return Pseudonyms(salt.strip().encode())


def hidden(dataset: ImageSet, name: str, pseudonyms: Pseudonyms) -> ImageSet:
    """Return a set whose table holds pseudonyms for ids, paths, groups and all columns whose name says as much.

    Args:
        name: what the set is called now.
    """
    labels = {column for columns in dataset.targets.values() for column in columns}
    columns = [str(column) for column in dataset.table if column not in labels and _identifies(str(column))]
    table = dataset.table.assign(**{column: _hashed(dataset.table[column], pseudonyms) for column in columns})
    facts: dict[str, Any] = {"set": dataset.name} if dataset.facts.get("title") else {}
    facts |= _safe(dataset.facts) | {"pseudonyms": columns}
    return replace(dataset, name=name, table=table, facts=facts, where=dataset.addresses(), pseudonyms=pseudonyms)


def _identifies(column: str) -> bool:
    return column == "group" or any(word.lower() in _IDENTIFYING for word in _WORDS.findall(column))


def _hashed(cells: "pd.Series", pseudonyms: Pseudonyms) -> "pd.Series":
    # 3.0 is how a gap makes pandas hold the id 3.
    whole = cells.dtype.kind == "f" and (cells.dropna() % 1 == 0).all()
    text = cells.astype(object).map(lambda cell: str(int(cell)) if whole else str(cell), na_action="ignore")
    return text.map(pseudonyms, na_action="ignore")


def _safe(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name in _KEPT_FACTS or isinstance(value, int)}
