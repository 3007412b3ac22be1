"""What is shown: curves, UMAP maps and tables at paper size, as files. This room draws numbers that it is given
and computes no metric of its own.
"""

from embedkit.report.curves import decision_curve_figure, learning_curve_figure, reliability_figure
from embedkit.report.figures import RocCurve, prepare_umap, roc_figure, roc_of, roc_points, umap_figure
from embedkit.report.tables import check_table, write_table

__all__ = [
    "RocCurve",
    "check_table",
    "decision_curve_figure",
    "learning_curve_figure",
    "prepare_umap",
    "reliability_figure",
    "roc_figure",
    "roc_of",
    "roc_points",
    "umap_figure",
    "write_table",
]
