"""From an `ImageSet` and an encoder to a cache file: read, decode, batch, encode, write, resume."""

from embedkit.extraction.calibrated import Calibration, networks_of
from embedkit.extraction.cluster import RayCluster
from embedkit.extraction.derived import derive, extract, extract_all
from embedkit.extraction.devices import SeveralDevices
from embedkit.extraction.elsewhere import Cluster
from embedkit.extraction.job import AnyJob, Derived, Job, every_way, prepare
from embedkit.extraction.ledger import Embedded, embedding_cost
from embedkit.extraction.named import extract_all_named, extract_named
from embedkit.extraction.pool import Pool
from embedkit.extraction.progress import Progress, Silent
from embedkit.extraction.report import Interrupted, Report

__all__ = [
    "AnyJob",
    "Calibration",
    "Cluster",
    "Derived",
    "Embedded",
    "Interrupted",
    "Job",
    "Pool",
    "Progress",
    "RayCluster",
    "Report",
    "SeveralDevices",
    "Silent",
    "derive",
    "embedding_cost",
    "every_way",
    "extract",
    "extract_all",
    "extract_all_named",
    "extract_named",
    "networks_of",
    "prepare",
]
