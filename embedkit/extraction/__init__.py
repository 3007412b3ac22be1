"""From an `ImageSet` and an encoder to a cache file: read, decode, batch, encode, write, resume."""

from embedkit.extraction.job import Job, prepare
from embedkit.extraction.progress import Progress, Silent
from embedkit.extraction.run import Interrupted, Report, extract

__all__ = ["Interrupted", "Job", "Progress", "Report", "Silent", "extract", "prepare"]
