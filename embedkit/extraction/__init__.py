"""From an `ImageSet` and an encoder to a cache file: read, decode, batch, encode, write, resume."""

from embedkit.extraction.job import Job, prepare
from embedkit.extraction.ledger import Embedded, embedding_cost
from embedkit.extraction.named import extract_named
from embedkit.extraction.progress import Progress, Silent
from embedkit.extraction.run import Interrupted, Report, extract

__all__ = [
    "Embedded",
    "Interrupted",
    "Job",
    "Progress",
    "Report",
    "Silent",
    "embedding_cost",
    "extract",
    "extract_named",
    "prepare",
]
