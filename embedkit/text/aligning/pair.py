"""AlignedPair: an image encoder and a text tower made one space by a learnt projection, as one small file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from embedkit.cache import EmbeddingSet
from embedkit.cache.whole import saved
from embedkit.errors import EmbedkitError
from embedkit.text.similarity import unit

KIND, FORMAT = "aligned pair", 1
ARRAYS = {"mean": 1, "projection": 2, "bias": 1, "basis": 2, "texts": 2, "scale": 1}
FACTS = ("key", "image_encoder", "image_key", "text_encoder", "text_key", "space", "classes", "class_texts")


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """What turns embeddings of one image encoder into vectors of a text tower's space.

    An image embedding x becomes ``unit((unit(unit(x) - mean) @ projection.T + bias) @ basis)``.

    Attributes:
        mean: (d,), of the unit embeddings it was learnt from. projection: (r, d). bias: (r,).
        basis: (r, t), orthonormal rows that span the class texts it was learnt with.
        texts: (K, t), unit vectors of all classes. scale: (1,), what cosines are multiplied by before they are logits.
        facts: ``key`` (of everything below), ``image_encoder``, ``image_key``, ``text_encoder``, ``text_key``,
            ``space`` (of the texts), ``classes`` and ``class_texts``, ``held_out`` (classes it has not seen),
            ``data``, ``target``, ``loss``, ``seed``, ``chosen``.
    """

    mean: np.ndarray
    projection: np.ndarray
    bias: np.ndarray
    basis: np.ndarray
    texts: np.ndarray
    scale: np.ndarray
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        """The key of both towers, the texts and the choices."""
        return str(self.facts["key"])

    def __repr__(self) -> str:
        return f"AlignedPair({self.facts['image_encoder']!r}, {self.facts['text_encoder']!r}, {self.key!r})"

    def embed(self, X: np.ndarray) -> np.ndarray:
        """Return image embeddings (n, d) as unit vectors of the text space, (n, t) float32."""
        centred = unit(unit(X) - self.mean)
        turned = unit(centred @ self.projection.T + self.bias)
        return np.asarray(turned @ self.basis, np.float32)

    def apply(self, images: EmbeddingSet) -> EmbeddingSet:
        """Return a set's embeddings in the text space, to be used as those of any encoder.

        Raises:
            EmbedkitError: they were not made by the image encoder of this pair.
        """
        if images.key != self.facts["image_key"]:
            raise EmbedkitError(
                f"the spaces differ: the pair was aligned with {self.facts['image_encoder']} (key "
                f"{self.facts['image_key'] or 'none'}), the embeddings of {images.name} are of {images.encoder} (key "
                f"{images.key or 'none'}): extract {images.name} with that encoder, weights and precision"
            )
        name = f"{self.facts['image_encoder']}+{self.facts['text_encoder']}"
        provenance = {**images.provenance, "encoder": name, "key": self.key, "space": self.facts["space"]}
        return EmbeddingSet(self.embed(images.X), images.table, provenance, images.failed)

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Return the scaled cosines of image embeddings (n, d) with the texts of all classes, (n, K)."""
        return np.asarray(self.scale * self.embed(X) @ self.texts.T)

    def save(self, path: Path | str) -> None:
        """Write the pair as safetensors; the file is complete or not there.

        Raises:
            EmbedkitError: the file can't be written.
        """
        from safetensors.numpy import save

        path = Path(path)
        arrays = {name: np.ascontiguousarray(getattr(self, name), np.float32) for name in ARRAYS}
        # One entry: safetensors writes several in no fixed order, and the same pair is to be the same file.
        told = json.dumps({"kind": KIND, "format": FORMAT, "facts": self.facts}, ensure_ascii=False)
        with saved("the aligned pair", path) as temporary:
            temporary.write_bytes(save(arrays, {"embedkit": told}))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote.

        Raises:
            EmbedkitError: there is no such file, or it is no whole aligned pair of this format.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        if not path.is_file():
            raise EmbedkitError(f"there is no aligned pair {path}: `embedkit align` makes one")
        try:
            with safe_open(path, "numpy") as file:
                told = (file.metadata() or {}).get("embedkit", "")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        except (SafetensorError, OSError) as error:
            raise _no_pair(path, f"it can't be read: {error}") from error
        _check_arrays(path, arrays)
        return cls(**arrays, facts=_facts(path, told, len(arrays["texts"])))


def _facts(path: Path, told: str, classes: int) -> dict[str, Any]:
    try:
        value = json.loads(told)
    except ValueError as error:
        raise _no_pair(path, "`embedkit align` did not write it") from error
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise _no_pair(path, "`embedkit align` did not write it")
    if value.get("format") != FORMAT:
        raise _no_pair(path, f"it has the format {value.get('format')}, and this version reads {FORMAT}")
    facts: dict[str, Any] = value.get("facts", {})
    absent = [name for name in FACTS if name not in facts]
    if absent:
        raise _no_pair(path, f"it lacks '{absent[0]}'")
    if len(facts["classes"]) != classes:
        raise _no_pair(path, "its classes are not as many as its texts")
    return facts


def _check_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    if {name: array.ndim for name, array in arrays.items()} != ARRAYS:
        raise _no_pair(path, f"its arrays are not {', '.join(ARRAYS)}")
    (r, d), (s, t) = arrays["projection"].shape, arrays["basis"].shape
    lengths = len(arrays["mean"]) == d, len(arrays["bias"]) == r == s, arrays["texts"].shape[1] == t
    if not all(lengths) or not all(np.isfinite(array).all() for array in arrays.values()):
        raise _no_pair(path, "its arrays don't fit together, or hold something that is no number")


def _no_pair(path: Path, why: str) -> EmbedkitError:
    return EmbedkitError(f"{path} is not a saved aligned pair ({why}): make it anew with `embedkit align`")
