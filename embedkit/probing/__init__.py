"""How well a simple classifier on frozen embeddings separates classes, and how far that number can be trusted.

From an `EmbeddingSet` to a `ProbeResult`: who is learnt from and who is judged (groups never straddle), a head whose
parameter is chosen on other images than the judged ones, and every number with a cluster-bootstrap interval.
"""

from embedkit.probing.conclude import conclude, ledger_of
from embedkit.probing.contest import compare_to_best, question, questions
from embedkit.probing.evidence import Evidence
from embedkit.probing.heads.grids import GRIDS, Grid
from embedkit.probing.identity import fingerprint
from embedkit.probing.plan import make_plan
from embedkit.probing.result import ProbeResult
from embedkit.probing.run import Kept, probe
from embedkit.probing.settings import Settings, check_classifier
from embedkit.probing.untrained import plan_untrained

__all__ = [
    "GRIDS",
    "Evidence",
    "Grid",
    "Kept",
    "ProbeResult",
    "Settings",
    "check_classifier",
    "compare_to_best",
    "conclude",
    "fingerprint",
    "ledger_of",
    "make_plan",
    "plan_untrained",
    "probe",
    "question",
    "questions",
]
