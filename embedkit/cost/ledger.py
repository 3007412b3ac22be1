"""Cost: what was spent, as a value that can be summed, written down and read again."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, TypeVar

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Cost:
    """What was spent. ``Cost()`` is nothing; None is not known, and makes any sum not known.

    Attributes:
        wall_seconds: by the clock.
        processor_seconds: user and system time of this process and of its children that have ended.
        peak_memory_bytes: the highest resident memory of this process and its children together, pages that they
            share counted in each. A sum keeps the higher one.
        multiply_adds: multiplications with an addition, counted from the shapes of layers and matrices.
        energy_kwh: of the processor packages and NVIDIA GPUs of the whole machine, whoever used them.
    """

    wall_seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_memory_bytes: int | None = 0
    multiply_adds: int | None = 0
    energy_kwh: float | None = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            processor_seconds=self.processor_seconds + other.processor_seconds,
            peak_memory_bytes=_join(self.peak_memory_bytes, other.peak_memory_bytes, max),
            multiply_adds=_join(self.multiply_adds, other.multiply_adds, int.__add__),
            energy_kwh=_join(self.energy_kwh, other.energy_kwh, float.__add__),
        )

    def part(self, share: float) -> "Cost":
        """Return the share, 0 to 1, of what several have spent together; the memory was needed by all."""
        return replace(
            self,
            wall_seconds=self.wall_seconds * share,
            processor_seconds=self.processor_seconds * share,
            energy_kwh=None if self.energy_kwh is None else self.energy_kwh * share,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers in the types of JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the cost that `to_dict` wrote; entries of other names are left aside."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def _join(one: _Number | None, two: _Number | None, join: Callable[[_Number, _Number], _Number]) -> _Number | None:
    return None if one is None or two is None else join(one, two)
