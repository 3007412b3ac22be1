"""An array that waits on the disk while a run lasts, instead of in memory."""

from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from embedkit.cache.errors import writing_to


class Aside:
    """Holds an array in a file without a name, which is gone with this process.

    Args:
        folder: on whose disk.

    Raises:
        CacheError: the disk is full, or the folder can't be written.
    """

    def __init__(self, array: np.ndarray, folder: Path) -> None:
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - as long as this object
            np.save(self._file, array)
            self._file.flush()

    def back(self) -> np.ndarray:
        """Return the array."""
        self._file.seek(0)
        array: np.ndarray = np.load(self._file)
        return array
