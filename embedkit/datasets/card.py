"""DatasetCard: what is known of a published set before any of it is on the disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OpenFile:
    """A file that anyone may fetch: its name on the disk, where it is, and the MD5 its publisher gives."""

    name: str
    url: str
    md5: str


@dataclass(frozen=True)
class DatasetCard:
    """One row of the catalog.

    Attributes:
        name: the name a user types.
        layout: the module of `embedkit.datasets.layouts` that reads it.
        get: how to obtain it, in words.
        marks: the set lies in the first folder that holds one of these files or folders.
        targets: name -> its columns of the table; the first is the default.
        login: True where the publisher asks for an account.
        folders: the publisher's folder names, looked under beside the set's own name.
        group: what the column ``group`` means, empty where the publisher tells no patient or lesion.
        resolution: of the published images: pixels of a square's side, or words.
        size: of the download, in words.
        counts: images per split as published (``all`` where no split is).
        unconfirmed: which of these facts no text that was read backs: ``counts``, ``licence``.
        classes: label names in the order of the publisher's numbers, where the files hold numbers.
        related: catalog sets made of the same images or patients.
        files: what to fetch, empty where the publisher gives no checksum.
        read: how it is laid out, for the layout ``described`` (`embedkit.datasets.description`).
    """

    name: str
    title: str
    modality: str
    layout: str
    licence: str
    citation: str
    homepage: str
    get: str
    marks: tuple[str, ...]
    targets: dict[str, tuple[str, ...]]
    login: bool = False
    folders: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    group: str = ""
    resolution: int | str = ""
    size: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    unconfirmed: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[OpenFile, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return what travels with the set's embeddings, in types that JSON has."""
        return {
            "title": self.title,
            "modality": self.modality,
            "licence": self.licence,
            "citation": self.citation,
            "homepage": self.homepage,
            "resolution": self.resolution,
            "group": self.group,
            "related": list(self.related),
            "notes": list(self.notes),
        }
