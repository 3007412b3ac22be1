"""QuantisedNetwork: an encoder in int8 as one file, which says what images have calibrated it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from embedkit.cache.errors import DamagedCache, writing_to
from embedkit.cache.whole import whole_file
from embedkit.errors import EmbedkitError

KIND, FORMAT = "int8 network", 1
ARRAYS = ("graph", "numbers")


@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """A network of OpenVINO's whose weights and activations are whole numbers of eight bits.

    Attributes:
        graph: its operations, as OpenVINO writes them in XML. numbers: its weights and scales.
        rest: the precision of what is not in int8, ``fp32`` or ``bf16``.
        images: digests of the images that calibrated it, as a cache file's ``digest``. data: the name of their set.
        made_with: package -> version.
    """

    graph: bytes
    numbers: bytes
    rest: str
    images: tuple[str, ...]
    data: str
    made_with: dict[str, str | None]

    @property
    def digest(self) -> str:
        """Of all that decides a vector: 32 hexadecimal digits."""
        digest = hashlib.sha256(self.rest.encode())
        for part in (self.graph, self.numbers):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write it as safetensors; the file is complete or not there.

        Raises:
            CacheError: the disk is full, or the folder can't be written.
        """
        from safetensors.numpy import save

        arrays = {name: np.frombuffer(getattr(self, name), np.uint8) for name in ARRAYS}
        told = {"rest": self.rest, "images": self.images, "data": self.data, "made_with": self.made_with}
        text = json.dumps({"kind": KIND, "format": FORMAT, "digest": self.digest, **told})
        with writing_to(path.parent), whole_file(path) as temporary:
            temporary.write_bytes(save(arrays, {"embedkit": text}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DamagedCache: the file is not what was written.
        """
        from safetensors import SafetensorError, safe_open

        told = network_facts(path)
        try:
            with safe_open(path, "numpy") as file:
                parts = {name: file.get_tensor(name).tobytes() for name in ARRAYS}
        except (SafetensorError, OSError) as error:
            raise _damaged(path, str(error)) from error
        own = {name: told[name] for name in ("rest", "data", "made_with")}
        network = cls(**parts, images=tuple(told["images"]), **own)
        if network.digest != told["digest"]:
            raise _damaged(path, "its bytes are not those that were written")
        return network


def network_facts(path: Path) -> dict[str, Any]:
    """Return what the file of a network says of it, ``digest`` included; the network itself is not read.

    Raises:
        DamagedCache: the file is not whole. EmbedkitError: it is of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            told: dict[str, Any] = json.loads((file.metadata() or {})["embedkit"])
        kind, number = told["kind"], told["format"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if (kind, number) != (KIND, FORMAT):
        raise EmbedkitError(f"{path} is a {kind} of the format {number}, and this version reads {KIND} {FORMAT}")
    return told


def _damaged(path: Path, why: str) -> DamagedCache:
    return DamagedCache(
        f"the int8 network {path} is damaged ({why}): remove it, and it is calibrated anew. Vectors made with it keep "
        "their own key"
    )
