"""Published data sets and a user's own images as one value: an `ImageSet`, a named table with one row per image.

The catalog is data (catalog.toml); a reader per published layout turns files into that table, without decoding a
pixel. A set is read where it lies, or fetched with its publisher's checksum where anyone may.
"""

from embedkit.datasets.card import DatasetCard, OpenFile
from embedkit.datasets.catalog import canonical, catalog
from embedkit.datasets.checking import Check, Finding, check, condition, describe
from embedkit.datasets.errors import DatasetNotFound
from embedkit.datasets.image_set import Addresses, ImageSet, burned_in
from embedkit.datasets.open import dataset_footprint, dataset_name, modality, open_dataset
from embedkit.datasets.places import data_root, locate, state
from embedkit.datasets.pseudonyms import pseudonymous
from embedkit.datasets.unpacking import unpack

__all__ = [
    "Addresses",
    "Check",
    "DatasetCard",
    "DatasetNotFound",
    "Finding",
    "ImageSet",
    "OpenFile",
    "burned_in",
    "canonical",
    "catalog",
    "check",
    "condition",
    "data_root",
    "dataset_footprint",
    "dataset_name",
    "describe",
    "locate",
    "modality",
    "open_dataset",
    "pseudonymous",
    "state",
    "unpack",
]
