"""What makes two probes the same: the vectors, the columns that are read, and the settings."""

import hashlib
import json

import numpy as np

from embedkit._version import __version__
from embedkit.cache import EmbeddingSet, blocks_of
from embedkit.probing.settings import Settings


def fingerprint(train: EmbeddingSet, test: EmbeddingSet | None, settings: Settings) -> str:
    """Return 16 hexadecimal digits that change with everything that changes a result."""
    parts = {
        "version": __version__,
        "settings": settings.to_dict(),
        "sets": [_content(one) for one in (train, test) if one is not None],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _content(embeddings: EmbeddingSet) -> list[object]:
    vectors, table = hashlib.sha256(), hashlib.sha256(embeddings.table.to_csv(index=False).encode())
    X = embeddings.stored
    kind = np.float32 if X.dtype == np.float16 else X.dtype
    for part in blocks_of(X):
        vectors.update(np.ascontiguousarray(part, kind).data)
    digests = [one.hexdigest() for one in (vectors, table)]
    return [embeddings.name, embeddings.encoder, embeddings.key, embeddings.targets, len(embeddings.failed), *digests]
