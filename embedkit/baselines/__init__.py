"""Figures that others published, to stand beside a probe.

Each has its model, training, resolution and source, and says whether it is comparable to the probe and why.
"""

from embedkit.baselines.published import published_rows

__all__ = ["published_rows"]
