"""The few-shot methods by name."""

from collections.abc import Callable
from dataclasses import dataclass

from embedkit.text.fewshot.clip_adapter import clip_adapter
from embedkit.text.fewshot.linear_probe import linear_probe
from embedkit.text.fewshot.lp_plus_plus import lp_plus_plus
from embedkit.text.fewshot.prototypes import prototypes
from embedkit.text.fewshot.shots import Fitted, Shots
from embedkit.text.fewshot.tip_adapter import tip_adapter
from embedkit.text.fewshot.tip_adapter_f import operations, tip_adapter_f
from embedkit.text.fewshot.zero_shot import zero_shot


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        reads_text: whether it reads the texts of the classes.
        operations: how many a draw of so many images of so many numbers takes, where that grows with images squared.
    """

    fit: Callable[[Shots], Fitted]
    reads_text: bool = True
    operations: Callable[[int, int], float] = lambda images, width: 0.0


# What everything else is compared with.
REFERENCE = "linear-probe"
METHODS = {
    REFERENCE: Method(linear_probe, reads_text=False),
    "prototypes": Method(prototypes, reads_text=False),
    # The texts alone; where a projection to them is learnt from the shots first, that is the aligned pair.
    "text": Method(zero_shot),
    "tip-adapter": Method(tip_adapter),
    "tip-adapter-f": Method(tip_adapter_f, operations=operations),
    "clip-adapter": Method(clip_adapter),
    "lp++": Method(lp_plus_plus),
}
