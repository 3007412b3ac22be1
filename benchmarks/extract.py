"""Images/s of embedkit beside the script people write (timm, PIL, DataLoader, fp32) and the forward pass alone.

    python benchmarks/extract.py --model resnet50-v1 --data chest-xray --n 256

All in one run on the same images; the ratios count, not the figures.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as t

from embedkit import api, encoders
from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.demo import write_phantoms
from embedkit.extraction import extract


class Files(Dataset[Any]):
    """What a plain script reads."""

    def __init__(self, addresses: list[str], transform: Any) -> None:
        self.addresses, self.transform = addresses, transform

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.open(self.addresses[index]).convert("RGB"))


def plain_script(addresses: list[str], job: Any) -> tuple[float, np.ndarray]:
    """Return images/s and vectors of a DataLoader loop over the same model in fp32."""
    p = job.preprocessing
    steps = [t.Resize(p.resize, t.InterpolationMode(p.interpolation)), t.CenterCrop(p.size)]
    transform = t.Compose([*steps, t.ToTensor(), t.Normalize(p.mean, p.std)])
    card = encoders.resolve(arguments.model)
    weights = encoders.find_weights(card, arguments.weights)
    model = import_module(f"embedkit.encoders.backends.{card.backend}").build(card, weights.path).eval()
    begun = time.perf_counter()
    with torch.no_grad():
        vectors = [model(batch).numpy() for batch in DataLoader(Files(addresses, transform), 32, num_workers=2)]
    return len(addresses) / (time.perf_counter() - begun), np.concatenate(vectors)


def forward_alone(n: int, job: Any) -> float:
    """Return images/s of the encoder on pixels that are in memory already."""
    encoder = job.load()
    batch = np.random.default_rng(0).integers(0, 256, (32, *job.preprocessing.shape), dtype=np.uint8)
    encoder.encode(batch)
    begun = time.perf_counter()
    for _ in range(max(1, n // 32)):
        encoder.encode(batch)
    return max(1, n // 32) * 32 / (time.perf_counter() - begun)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="efficientnet-lite0")
parser.add_argument("--data", help="a set; by default phantoms, made now")
parser.add_argument("--weights", type=Path)
parser.add_argument("--n", type=int, default=192)
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    data = arguments.data or f"csv:{next(iter(write_phantoms(Path(folder), patients=48).values()))}"
    dataset = open_dataset(data)
    dataset = replace(dataset, table=dataset.table.head(arguments.n))
    job = api.job_for(arguments.model, weights=arguments.weights)
    report = extract(dataset, job, Path(folder))
    kit = report.embedded / report.seconds
    plain, vectors = plain_script(dataset.addresses(), job)
    X = read(report.path).X[: len(vectors)]
    cosine = (X * vectors).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(vectors, axis=1)
    alone = forward_alone(len(dataset), job)
    precision = job.configuration["encoder"]["precision"]
    print(
        f"{arguments.model} in {precision}, {len(dataset)} images of {dataset.name}, {torch.get_num_threads()} threads"
    )
    print(f"embedkit      {kit:8.1f} images/s (start of the model and the workers included)")
    print(f"plain script  {plain:8.1f} images/s   embedkit / plain   {kit / plain:.2f}")
    print(f"forward alone {alone:8.1f} images/s   embedkit / forward {kit / alone:.2f}")
    print(f"agreement     cosine at least {cosine.min():.6f}")
