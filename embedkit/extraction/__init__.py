"""From an `ImageSet` and an encoder to a cache file: read, decode, batch, encode, write, resume."""

from embedkit.extraction.cluster import RayCluster
from embedkit.extraction.job import Job, prepare
from embedkit.extraction.ledger import Embedded, embedding_cost
from embedkit.extraction.named import extract_all_named, extract_named
from embedkit.extraction.progress import Progress, Silent
from embedkit.extraction.report import Interrupted, Report
from embedkit.extraction.run import extract, extract_all

__all__ = [
    "Embedded",
    "Interrupted",
    "Job",
    "Progress",
    "RayCluster",
    "Report",
    "Silent",
    "embedding_cost",
    "extract",
    "extract_all",
    "extract_all_named",
    "extract_named",
    "prepare",
]
