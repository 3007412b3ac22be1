"""Figures at paper size: ROC curves and a UMAP map, in colours that everybody can tell apart."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embedkit.errors import EmbedkitError
from embedkit.report.style import GREY, MARKERS, OKABE_ITO, assign, drawing, fold, key, legend, need, short, wrap

if TYPE_CHECKING:
    from embedkit.probing import ProbeResult

_DASHES = ("-", "--", ":", "-.")
_FEWEST = 10
_RASTER_FROM = 5000
_STEEP = 1e-12


@dataclass(frozen=True)
class RocCurve:
    """What one ROC curve is drawn from; nothing of it is computed here.

    Attributes:
        truth: bool, shape (n,), True for the positive class.
        score: shape (n,), higher means more likely positive.
        auc: the area under the curve, 0 to 1.
        low, high: the ends of its 95 % interval, None where there is none, as of images of one patient.
        fold: shape (n,), the fold of each image where each fold has a classifier of its own, whose scores cannot be
            compared with another's.
    """

    truth: NDArray[np.bool_]
    score: NDArray[np.floating[Any]]
    auc: float
    low: float | None
    high: float | None
    fold: NDArray[np.integer[Any]] | None = None

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return false and true positive rates; over folds the mean sensitivity at each specificity.

        Vertical averaging (Fawcett 2006, algorithm 3), so that the area is the mean of the folds' areas.
        """
        if self.fold is None:
            return roc_points(self.truth, self.score)
        rows = [self.fold == number for number in np.unique(self.fold)]
        curves = [roc_points(self.truth[r], self.score[r]) for r in rows if len(np.unique(self.truth[r])) == 2]
        # A vertical step becomes a very steep one, so that each rate has one sensitivity to average.
        steep = [(false + np.arange(len(false)) * _STEEP, true) for false, true in curves]
        grid = np.unique(np.concatenate([false for false, _ in steep]))
        return grid, np.mean([np.interp(grid, false, true) for false, true in steep], axis=0)


def roc_points(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of the ROC curve, one for each distinct score, from (0, 0) to (1, 1).

    Args:
        truth: bool, shape (n,).
        score: finite, shape (n,); equal scores make one sloping step, as in Fawcett (2006), algorithm 1.

    Returns:
        False and true positive rates, each of shape (distinct scores + 1,).

    Raises:
        EmbedkitError: the shapes differ, a score is not finite, or one of the two classes is absent.
    """
    positive, value = np.asarray(truth, bool), np.asarray(score, float)
    if positive.ndim != 1 or positive.shape != value.shape:
        raise EmbedkitError(
            f"truth and score of a ROC curve have shapes {positive.shape} and {value.shape}: give one of each per image"
        )
    if not np.isfinite(value).all():
        raise EmbedkitError("a score of the ROC curve is NaN or infinite: give finite scores")
    if positive.all() or not positive.any():
        raise EmbedkitError("a ROC curve needs images of both classes: give truth with True and False in it")
    order = np.argsort(-value, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(value[order])), len(order) - 1)
    true = np.concatenate([[0], np.cumsum(positive[order])[last_of_ties]])
    false = np.concatenate([[0], np.cumsum(~positive[order])[last_of_ties]])
    return false / false[-1], true / true[-1]


def roc_of(result: "ProbeResult") -> RocCurve:
    """Return the curve of a probe of two classes, of which the second is the positive one."""
    table, positive = result.predictions, result.classes[1]
    return RocCurve(
        truth=(table["truth"] == positive).to_numpy(),
        score=table[f"score_{positive}"].to_numpy(),
        auc=result.auc["value"],
        low=result.auc["low"],
        high=result.auc["high"],
        fold=table["fold"].to_numpy(),
    )


def roc_figure(curves: Mapping[str, RocCurve], path: Path, title: str, footnote: str = "") -> None:
    """Draw ROC curves with their AUC and interval into a PNG or SVG file.

    Args:
        curves: name in the legend -> curve, 1 or more.
        path: the file; its suffix, .png or .svg, says which kind.
        title: above the axes.
        footnote: below the legend; where the data are synthetic it says so.

    Raises:
        EmbedkitError: no curve, a curve that cannot be drawn, another suffix, or a file that cannot be written.
    """
    if not curves:
        raise EmbedkitError(f"no curve to draw in {path}: give one or more")
    labels = [wrap(f"{name}: AUC {_with_interval(curve)}", 62) for name, curve in curves.items()]
    with drawing(path, title, footnote, keys=len("\n".join(labels).splitlines())) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
        lines = [
            axes.plot(
                *curve.points(),
                color=OKABE_ITO[index % len(OKABE_ITO)],
                linestyle=_DASHES[index // len(OKABE_ITO) % len(_DASHES)],
                linewidth=1.6,
                label=label,
            )[0]
            for index, (label, curve) in enumerate(zip(labels, curves.values(), strict=True))
        ]
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")
        legend(axes, lines)


def _with_interval(curve: RocCurve) -> str:
    if curve.low is None or curve.high is None:
        return short(curve.auc)
    return f"{short(curve.auc)} ({short(curve.low)} to {short(curve.high)})"


def umap_figure(
    X: NDArray[np.floating[Any]],
    colour: Sequence[str],
    path: Path,
    title: str,
    marker: Sequence[str] | None = None,
    seed: int = 0,
    footnote: str = "",
) -> None:
    """Draw a two-dimensional UMAP of standardised embeddings into a PNG or SVG file.

    UMAP (McInnes et al. 2018) keeps neighbours together; distances between far groups and the axes mean nothing.

    Args:
        X: embeddings, finite, shape (n, d), n at least 10.
        colour: shape (n,), what the colour of a point says. Beyond seven values the rarest are drawn as one.
        path: the file; its suffix, .png or .svg, says which kind.
        title: above the map.
        marker: shape (n,), what the shape of a point says.
        seed: the same seed gives the same map.
        footnote: below the legend; where the data are synthetic it says so.

    Raises:
        EmbedkitError: too few or unusable rows, columns of another length, or a file that cannot be written.
    """
    n = len(X)
    if X.ndim != 2 or n < _FEWEST:
        raise EmbedkitError(f"X has the shape {X.shape}: a UMAP needs (n, d) with {_FEWEST} or more images")
    for name, column in (("colour", colour), ("marker", colour if marker is None else marker)):
        if len(column) != n:
            raise EmbedkitError(f"{name} has {len(column)} values for {n} embeddings: give one for each")
    if not np.isfinite(X).all():
        raise EmbedkitError("the embeddings hold NaN or infinite values: extract them again, or drop those rows")
    colours = fold(colour, len(OKABE_ITO))
    shapes = fold([""] * n if marker is None else marker, len(MARKERS))
    palette, glyphs = assign(colours, OKABE_ITO), assign(shapes, MARKERS)
    tints = np.array([palette[value] for value in colours])
    with drawing(path, title, footnote, keys=max(len(palette), len(glyphs))) as axes:
        points = _umap(X, seed)
        for value, glyph in glyphs.items():
            rows = np.array([shape == value for shape in shapes])
            axes.scatter(
                points[rows, 0],
                points[rows, 1],
                c=tints[rows].tolist(),
                marker=glyph,
                s=float(np.clip(4000 / n, 4, 26)),
                alpha=0.8,
                linewidths=0,
                rasterized=n > _RASTER_FROM,
            )
        axes.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        legend(axes, [key(name, tint, "o") for name, tint in palette.items()])
        if marker is not None:
            legend(axes, [key(name, GREY, glyph) for name, glyph in glyphs.items()], side="right")


def prepare_umap() -> None:
    """Let UMAP compile itself in this process, which takes longer than a small map: do it beside other work.

    Raises:
        EmbedkitError: umap-learn is not installed.
    """
    _umap(np.random.default_rng(0).normal(size=(2 * _FEWEST, 4)), seed=0)


def _umap(X: NDArray[np.floating[Any]], seed: int) -> NDArray[np.float32]:
    spread = X.std(axis=0, dtype=np.float64)
    standard = (X - X.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        umap = need("umap")
        fit = umap.UMAP(n_neighbors=min(15, len(X) - 1), random_state=seed, n_jobs=1)
        points: NDArray[np.float32] = fit.fit_transform(standard.astype(np.float32))
    return points
