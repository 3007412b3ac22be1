"""The demo: phantoms in, cached embeddings, AUC with intervals and figures out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedkit import api
from embedkit.cache import EmbeddingSet, read
from embedkit.datasets import open_dataset
from embedkit.demo.phantoms import write_phantoms
from embedkit.extraction import Pool, Progress, extract
from embedkit.probing import ProbeResult
from embedkit.report import prepare_umap, roc_figure, roc_of, umap_figure

MODEL = "efficientnet-lite0"
# Few enough for the whole demo to end within a minute on two cores.
PATIENTS, IMAGES = 20, 3
SYNTHETIC = "Synthetic phantoms, not medical images."


@dataclass(frozen=True)
class Demo:
    """What the demo left: a result per modality, and the figures."""

    results: list[ProbeResult]
    figures: list[Path]


def run_demo(folder: Path, progress: Progress) -> Demo:
    """Make phantoms of four modalities, embed them with EfficientNet-lite0, probe each and draw two figures.

    Args:
        folder: gets ``images/``, ``cache/``, ``results/`` and the figures. progress: told of every step.

    Raises:
        EmbedkitError: the weights' package or a plotting library is not installed, or the folder can't be written.
    """
    job = api.job_for(MODEL)
    artist = Pool(1)
    try:
        artist.submit(prepare_umap)
        progress.note(f"making synthetic phantoms in {folder / 'images'}")
        tables = write_phantoms(folder / "images", PATIENTS, IMAGES)
        sets: list[EmbeddingSet] = []
        results: list[ProbeResult] = []
        for modality, table in tables.items():
            dataset = replace(open_dataset(f"csv:{table}"), name=f"phantom-{modality}")
            sets.append(read(extract(dataset, job, folder / "cache", progress=progress).path))
            results.append(api.probe(sets[-1]))
            results[-1].save(folder / "results" / f"{dataset.name}.json")
        progress.note("drawing the figures")
        roc, umap = folder / "roc.png", folder / "umap.png"
        map_drawn = artist.submit(_umap, sets, umap)
        _roc(results, roc)
        map_drawn.result()
    finally:
        artist.end()
    return Demo(results, [roc, umap])


def _roc(results: list[ProbeResult], path: Path) -> None:
    curves = {result.data: roc_of(result) for result in results}
    note = f"{SYNTHETIC} Mean over the folds of cross-validation."
    roc_figure(curves, path, f"Logistic regression on {MODEL}", footnote=note)


def _umap(sets: list[EmbeddingSet], path: Path) -> None:
    names = [one.name for one in sets for _ in range(len(one))]
    labels = [label for one in sets for label in one.table["label"]]
    X = np.concatenate([one.X for one in sets])
    umap_figure(X, names, path, f"UMAP of {MODEL} embeddings", marker=labels, footnote=SYNTHETIC)
