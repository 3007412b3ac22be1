"""Does a file hold the weights of a model, and if not, of which one: told from names and shapes alone."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.encoders import checkpoint
from embedkit.encoders.card import ALIGNED, EncoderCard
from embedkit.encoders.catalog import catalog
from embedkit.encoders.fit import Differences, Misfit, seems
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import Tensor

# A model of more than twice the numbers of the file is not looked at, nor is one near of which fewer tensors agree.
HALF = 0.5


@dataclass(frozen=True)
class Comparison:
    """The tensors of a file beside those of one model.

    Attributes:
        differences: empty if the model can be built of them.
        reason: why it cannot be built, empty if it can.
        share: of all names in either, those in both with one shape; 0 to 1.
    """

    differences: Differences
    reason: str
    share: float

    @property
    def fits(self) -> bool:
        """Whether the model can be built of the tensors."""
        return not self.reason


@dataclass(frozen=True)
class Fit:
    """What `check` found.

    Attributes:
        tensors: in the file, after wrappings and prefixes are taken off.
        comparison: with the model asked for.
        seems: a sentence on what the file holds.
        others: the other models of the catalog that it fits; names and shapes cannot tell these apart.
        nearest: if it fits none at all, the one that most of its tensors agree with, if that is half of them or more.
    """

    tensors: int
    comparison: Comparison
    seems: str
    others: tuple[str, ...]
    nearest: str | None

    @property
    def fits(self) -> bool:
        """Whether the model asked for can be built from the file."""
        return self.comparison.fits


def check(card: EncoderCard, path: Path) -> Fit:
    """Compare a file with a model, and with all others of the catalog.

    Args:
        card: the model that the file should belong to.
        path: a safetensors or torch file.

    Raises:
        EmbedkitError: the file cannot be read safely, or the model is an ONNX graph or an aligned pair.
    """
    if card.backend == ALIGNED:
        raise EmbedkitError(f"{card.name} takes the vectors of another encoder: check the file of that one")
    if card.backend == "onnx":
        raise EmbedkitError(f"{card.name} is a graph with its weights inside, so there is nothing to compare")
    state = checkpoint.outline(path)
    own = compare(card, state, path)
    numbers = sum(value.numel() for value in state.values())
    near = [other for other in catalog().values() if (other.parameters or 0) * HALF <= numbers]
    rest = {other.name: compare(other, state, path) for other in near if other.name != card.name}
    others = tuple(name for name, found in rest.items() if found.fits)
    ranked = sorted(rest, key=lambda name: rest[name].share)
    nearest = ranked[-1] if ranked and not own.fits and not others and rest[ranked[-1]].share >= HALF else None
    return Fit(len(state), own, seems(state), others, nearest)


def compare(card: EncoderCard, state: "dict[str, Tensor]", path: Path) -> Comparison:
    """Return how tensors differ from those of a model.

    Args:
        card: of the model.
        state: tensors of the device ``meta``, as `checkpoint.outline` returns them.
        path: of the file, for the message.
    """
    import torch

    backend = import_module(f"embedkit.encoders.backends.{card.backend}")
    with torch.device("meta"):
        try:
            backend.assemble(card, state, path)
        except Misfit as misfit:
            wanted = backend.empty(card).state_dict()
            # Where the file is of another family, nothing was compared yet.
            found = misfit.differences or Differences.between(state, wanted)
            agree = max(len(wanted) - len(found.missing) - len(found.misshapen), 0)
            return Comparison(found, str(misfit), agree / (len(wanted) + len(found.surplus)))
    return Comparison(Differences(), "", 1.0)
