"""What is shown: ROC curves and UMAP maps at paper size, as PNG or SVG. This room draws numbers that it is given
and computes no metric of its own.
"""

from embedkit.report.figures import RocCurve, prepare_umap, roc_figure, roc_points, umap_figure

__all__ = ["RocCurve", "prepare_umap", "roc_figure", "roc_points", "umap_figure"]
