"""A probe of frozen embeddings beside a network trained end to end on the same images, with what both cost.

    python benchmarks/baseline.py --every 6 --size 64 --epochs 8

Both start from image files, in one run on one machine. Small settings by default, so that it ends in minutes on two
cores: the trained network is a floor of what training can do, and its cost a floor of what training costs.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from embedkit import api
from embedkit.baselines import Recipe, exchange, train
from embedkit.cache import read
from embedkit.cli.console import Steps
from embedkit.datasets import ImageSet, open_dataset
from embedkit.extraction import embedding_cost, extract
from embedkit.probing import Settings, probe


def every(dataset: ImageSet, step: int) -> ImageSet:
    """Return every so many images of each split, in the order of the files."""
    splits = dataset.table["split"]
    rows = np.concatenate([np.flatnonzero(splits == name)[::step] for name in splits.unique()])
    return replace(dataset, table=dataset.table.iloc[np.sort(rows)].reset_index(drop=True))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", default="chest-xray")
parser.add_argument("--model", default="resnet50-v1", help="whose embeddings are probed")
parser.add_argument("--arch", default="resnet18", help="what is trained, from random weights")
parser.add_argument("--every", type=int, default=6, help="take one in so many images of each split")
parser.add_argument("--size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=8)
arguments = parser.parse_args()

whole = open_dataset(arguments.data)
dataset = every(whole, arguments.every)
with tempfile.TemporaryDirectory() as folder:
    job = api.job_for(arguments.model)
    report = extract(dataset, job, Path(folder), progress=Steps())
    embeddings = read(report.path)
    frozen = probe(embeddings)
    embedding = embedding_cost(embeddings.provenance)
    if embedding is not None:
        frozen = replace(frozen, cost={**frozen.cost, "embedding": embedding.to_dict()})
    recipe = Recipe(arch=arguments.arch, size=arguments.size, epochs=arguments.epochs)
    trained = train(dataset, None, recipe, Settings(class_weight="balanced"), workspace=Path(folder), progress=Steps())
    found = exchange(frozen, trained)

precision = job.configuration["encoder"]["precision"]
threads, load = torch.get_num_threads(), os.getloadavg()[0]
print(f"{dataset.name}, one in {arguments.every} images: {trained.n_train} to learn from, {trained.n_test} judged")
print(f"{job.device()}, {threads} threads, load {load:.1f}, {arguments.model} in {precision}")
print(
    f"{arguments.arch} from random weights, {arguments.size} px, {len(trained.selected['scores'])} of at most "
    f"{arguments.epochs} epochs, the best was {trained.selected['epoch']}, {trained.protocol['training']['precision']}"
)
for name in ("probe", "trained"):
    side = found[name]
    auc, cost = side["auc"], side["cost"]
    print(
        f"{name:8} AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})  wall {cost['wall_seconds']:7.1f} s  "
        f"processor {cost['processor_seconds']:7.1f} s  multiply-adds {cost['multiply_adds'] or float('nan'):.2e}  "
        f"peak {(cost['peak_memory_bytes'] or 0) / 2**20:.0f} MB"
    )
ratios = {name: "unknown" if value is None else f"{value:.2f}" for name, value in found["ratios"].items()}
print("trained / probe:", ", ".join(f"{name} {value}" for name, value in ratios.items()))
difference = found["auc_difference"]
print(
    f"AUC trained - probe {difference['value']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f}), "
    f"p = {difference['p']:.3f} ({difference['p_method']})"
)
for note in found["notes"]:
    print("note:", note)
