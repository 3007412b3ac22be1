"""What a route to a number cost, in the same units for a probe and for a trained network.

Time and memory are measured, multiply-adds are counted, energy is read from the machine's own counters where it has
them. What can't be known is None: nothing is estimated.
"""

from embedkit.cost.ledger import Cost
from embedkit.cost.meter import Meter, count, measured
from embedkit.cost.operations import count_multiply_adds

__all__ = ["Cost", "Meter", "count", "count_multiply_adds", "measured"]
