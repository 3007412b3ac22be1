"""How well a simple classifier on frozen embeddings separates classes, and how far that number can be trusted.

From an `EmbeddingSet` to a `ProbeResult`: who is learnt from and who is judged (groups never straddle), a head
(logistic regression, linear or RBF support vector machine) whose C is chosen on other images than the judged ones,
and AUC, accuracy, balanced accuracy and F1 with cluster-bootstrap intervals.
"""

from embedkit.probing.result import ProbeResult
from embedkit.probing.run import check_classifier, probe
from embedkit.probing.select import GRIDS

__all__ = ["GRIDS", "ProbeResult", "check_classifier", "probe"]
