"""One module per library that builds models; each gives a `Run`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A batch, (n, size, size, 3) uint8, to its vectors, (n, dim) float32."""
