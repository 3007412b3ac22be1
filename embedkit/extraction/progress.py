"""What a run tells of itself while it lasts."""

from typing import Protocol


class Progress(Protocol):
    """Receives the steps of a run."""

    def start(self, what: str, total: int, unit: str = "images") -> None:
        """A run over ``total`` images, or what else the ``unit`` is, begins."""

    def advance(self, count: int) -> None:
        """So many more are done."""

    def note(self, text: str) -> None:
        """Something worth a line happened."""

    def stop(self) -> None:
        """The run is over."""


class Silent:
    """Says nothing."""

    def start(self, what: str, total: int, unit: str = "images") -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Say nothing."""
