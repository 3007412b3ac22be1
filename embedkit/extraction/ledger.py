"""What embedding a set has cost, summed over runs, and what computed it, as the cache file says it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedkit.cost import Cost


@dataclass(frozen=True)
class Embedded:
    """So many images were embedded at this cost: decoding, the encoder's start, its forward passes, the shards.

    Where a run was killed, or vectors were taken over from another set, there are more vectors than ``images``.
    """

    images: int
    cost: Cost

    def __add__(self, other: "Embedded") -> "Embedded":
        return Embedded(self.images + other.images, self.cost + other.cost)

    def to_dict(self) -> dict[str, Any]:
        """Return ``images``, ``multiply_adds_per_image`` and the entries of the cost in the types of JSON."""
        counted = self.cost.multiply_adds
        each = counted // self.images if counted is not None and self.images else None
        return {"images": self.images, "multiply_adds_per_image": each, **self.cost.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Embedded":
        """Return what `to_dict` wrote."""
        return cls(values["images"], Cost.from_dict(values))


def embedding_cost(provenance: Mapping[str, Any]) -> Embedded | None:
    """Return what the embeddings of this provenance have cost, None where no run wrote it down."""
    text = provenance.get("cost")
    return None if text is None else Embedded.from_dict(json.loads(text))


def with_cost(provenance: dict[str, Any], before: Mapping[str, Any] | None, now: Embedded) -> dict[str, Any]:
    """Return a provenance that says what was spent before and now.

    Args:
        before: the provenance of the file that is replaced, None where there is none.
    """
    known = None if before is None else embedding_cost(before)
    total = now if known is None else known + now
    return {**provenance, "cost": json.dumps(total.to_dict())} if total.images else provenance


def with_engine(provenance: dict[str, Any], before: Mapping[str, Any] | None, engine: str) -> dict[str, Any]:
    """Return a provenance that says which engines have computed its vectors, before and now.

    Args:
        before: the provenance of the file that is replaced, None where there is none.
        engine: or several with a comma between; empty where nothing was computed now.
    """
    known = str((before or {}).get("engine", ""))
    names = sorted({*known.split(", "), *engine.split(", ")} - {""})
    return {**provenance, "engine": ", ".join(names)} if names else provenance


def with_int8(
    provenance: dict[str, Any], before: Mapping[str, Any] | None, measured: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a provenance that says what was measured of int8, now or before; of another precision as it is.

    Args:
        before: the provenance of the file that is replaced, None where there is none.
    """
    text = json.dumps(measured) if measured else (before or {}).get("int8")
    return {**provenance, "int8": text} if text else provenance
