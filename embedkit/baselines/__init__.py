"""What a probe is measured against: figures that others published, and networks trained here on the same split.

A published figure has its model, training, resolution and source, and says whether it is comparable to the probe and
why. A trained network is judged on the images, and in the numbers, of the probe, with what it cost.
"""

from embedkit.baselines.exchange import exchange
from embedkit.baselines.published import beside, in_common, published_rows
from embedkit.baselines.recipe import Recipe
from embedkit.baselines.trained import train

__all__ = ["Recipe", "beside", "exchange", "in_common", "published_rows", "train"]
