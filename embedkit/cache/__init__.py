"""The on-disk cache: what a file is called, what is in it, how it is committed, read and verified.

The format is written down in ``docs/format.md``. This room knows vectors, tables and checksums; it does not know
what an image or a model is.
"""

from embedkit.cache.aside import Aside
from embedkit.cache.embedding_set import EmbeddingSet
from embedkit.cache.errors import CacheError, DamagedCache, ForeignCache, NotCached
from embedkit.cache.header import Cached, read, read_header, read_named, vectors
from embedkit.cache.key import FORMAT_VERSION, cache_key, canonical_json
from embedkit.cache.listing import find, find_shards, remove
from embedkit.cache.mapped import blocks_of, take_rows
from embedkit.cache.receipt import recall, remember
from embedkit.cache.store import Store, store_of
from embedkit.cache.vectors import Selection

__all__ = [
    "FORMAT_VERSION",
    "Aside",
    "CacheError",
    "Cached",
    "DamagedCache",
    "EmbeddingSet",
    "ForeignCache",
    "NotCached",
    "Selection",
    "Store",
    "blocks_of",
    "cache_key",
    "canonical_json",
    "find",
    "find_shards",
    "read",
    "read_header",
    "read_named",
    "recall",
    "remember",
    "remove",
    "store_of",
    "take_rows",
    "vectors",
]
