"""A learnt projection that makes any image encoder and any text tower one space: `align` learns and judges it."""

from embedkit.encoders import AlignedPair
from embedkit.text.aligning.losses import LOSSES, check_loss
from embedkit.text.aligning.run import align

__all__ = ["LOSSES", "AlignedPair", "align", "check_loss"]
