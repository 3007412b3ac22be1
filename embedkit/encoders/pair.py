"""AlignedPair: an image encoder and a text tower made one space by a learnt projection, as one small file.

`embedkit.text.aligning` learns it. It stands here because it is an encoder of images from then on: ``aligned:FILE``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from embedkit.cache import EmbeddingSet, cache_key
from embedkit.cache.whole import saved
from embedkit.encoders.card import ALIGNED, as_file_name
from embedkit.encoders.vectors import unit
from embedkit.errors import EmbedkitError

KIND, FORMAT = "aligned pair", 1
ARRAYS = {"mean": 1, "projection": 2, "bias": 1, "basis": 2, "texts": 2, "scale": 1}
# What an image's vector depends on; the others are of the texts.
OF_IMAGES = ("mean", "projection", "bias", "basis")
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
            ``data``, ``learnt_from`` (which of its images), ``target``, ``loss``, ``seed``, ``chosen``, and
            ``image_model``, what names the image encoder where its plain name does not.
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

    @property
    def image_model(self) -> str:
        """What the image encoder is called by whoever asks for it."""
        return str(self.facts.get("image_model") or self.facts["image_encoder"])

    @property
    def name(self) -> str:
        """What the pair is called as an encoder of images, safe in a file name."""
        text = str(self.facts["text_encoder"]).rpartition(":")[2]
        return as_file_name(f"{ALIGNED}-{self.facts['image_encoder']}-{Path(text).name}")

    def configuration(self, images: Mapping[str, Any]) -> dict[str, Any]:
        """Return everything that changes a vector, of which a cache key is made.

        Args:
            images: the configuration of the image encoder's own vectors.
        """
        digest = hashlib.sha256()
        for name in OF_IMAGES:
            array = np.ascontiguousarray(getattr(self, name), np.float32)
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        encoder = {
            "source": ALIGNED,
            "backend": ALIGNED,
            "images": images["encoder"],
            "projection": digest.hexdigest()[:32],
            "space": self.facts["space"],
            "precision": images["encoder"].get("precision"),
        }
        return {**images, "encoder": encoder}

    def provenance(self, images: Mapping[str, Any]) -> dict[str, Any]:
        """Return the provenance of a set's vectors in the text space.

        Args:
            images: that of the image encoder's own vectors.
        """
        dataset = images.get("dataset", {})
        met = {"aligned_with": self.facts.get("data"), "aligned_on": self.facts.get("learnt_from", "its images")}
        made = {**images, "encoder": self.name, "dataset": {**dataset, "facts": {**dataset.get("facts", {}), **met}}}
        if "configuration" not in images:
            return {**made, "key": self.key, "space": self.facts["space"]}
        configuration = self.configuration(images["configuration"])
        return {**made, "configuration": configuration, "key": cache_key(configuration)}

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
        return EmbeddingSet(self.embed(images.X), images.table, self.provenance(images.provenance), images.failed)

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
