"""Texts to vectors, once: kept in a sealed cache file under the same rules as the embeddings of images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedkit._version import __version__
from embedkit.cache import EmbeddingSet, Store, cache_key, read
from embedkit.encoders import TextTower
from embedkit.errors import EmbedkitError

FOLDER = "texts"
_DIGEST_LENGTH = 32


@dataclass(frozen=True)
class TextVectors:
    """Embedded texts.

    Attributes:
        X: (n, d) float32, in the order of the texts asked for, as the tower gave them.
        logit_scale, logit_bias: of the tower, as in `embedkit.encoders.TextEncoder`.
        context: tokens that the tower reads. cut: each text that is longer, with its tokens that were not read.
        key: of the tower and the texts.
    """

    X: np.ndarray
    logit_scale: float
    logit_bias: float
    context: int
    cut: dict[str, int]
    key: str


def embed_texts(tower: TextTower, texts: Sequence[str], cache: Path | None = None) -> TextVectors:
    """Embed texts, or read what was embedded before; the tower is built only if there is something to embed.

    Args:
        tower: from `embedkit.encoders.text_tower`. texts: one or more, each with a letter in it; repeats cost nothing.
        cache: the folder of all caches; without it nothing is kept.

    Raises:
        EmbedkitError: an empty text; the tower can't be built; the cache is damaged or can't be written.
    """
    if not texts or any(not text.strip() for text in texts):
        raise EmbedkitError("there is an empty text, which has no embedding: write something in its place")
    # Neither the order nor how often a text stands changes a vector.
    distinct = sorted(set(texts))
    configuration = {"encoder": tower.configuration, "texts": distinct}
    key = cache_key(configuration)
    if cache is None:
        found = _embedded(tower, distinct, key)
    else:
        store = Store(cache, FOLDER, tower.slug, key)
        found = read(store.path, verified=True) if store.path.exists() else _kept(tower, distinct, store)
    facts = found.facts
    row = {text: number for number, text in enumerate(found.table["text"])}
    return TextVectors(
        X=found.X[[row[text] for text in texts]],
        logit_scale=facts["logit_scale"],
        logit_bias=facts["logit_bias"],
        context=facts["context"],
        cut=facts["cut"],
        key=key,
    )


def _embedded(tower: TextTower, texts: list[str], key: str) -> EmbeddingSet:
    import pandas as pd

    encoder = tower.load()
    digests = [hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH] for text in texts]
    numbers = np.arange(len(texts)).astype(str).astype(object)
    # A text is in no file.
    table = pd.DataFrame({"id": numbers, "path": "", "text": texts, "digest": digests}, dtype=object)
    facts = {
        "logit_scale": encoder.logit_scale,
        "logit_bias": encoder.logit_bias,
        "context": encoder.context,
        "cut": encoder.cut(texts),
    }
    provenance = {
        "name": FOLDER,
        "encoder": tower.slug,
        "key": key,
        "configuration": {"encoder": tower.configuration, "texts": texts},
        "dataset": {"targets": {}, "facts": facts},
        "version": __version__,
    }
    return EmbeddingSet(encoder.encode(texts), table, provenance)


def _kept(tower: TextTower, texts: list[str], store: Store) -> EmbeddingSet:
    import pandas as pd

    with store.lock():
        if not store.path.exists():
            found = _embedded(tower, texts, store.key)
            # What a killed writer left is swept away.
            store.shards()
            rows = store.add_shard(found.X, found.table["digest"].tolist())
            files = pd.DataFrame({"size": [len(text.encode()) for text in texts], "mtime_ns": 0, "ctime_ns": 0})
            store.commit(found.table, found.failed, files, [rows], found.provenance)
    return read(store.path)
