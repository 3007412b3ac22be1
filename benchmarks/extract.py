"""Images/s of embedkit beside the script people write, each engine's forward pass alone, and decoding alone.

    python benchmarks/extract.py --model resnet50-v1 --data chest-xray --n 2000
    python benchmarks/extract.py --model timm:vit_base_patch16_224 --random --data chest-xray --n 1000
    python benchmarks/extract.py --model resnet50-v1 --data chest-xray --thingsvision PEER/bin/python

All in one run on the same images; the ratios count, not the figures. The plain script is timm, PIL and a DataLoader in
fp32. Decoder and encoder share the processor's cores, so nothing is faster than the sum of what both cost: the limit.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as t

from embedkit import api, encoders
from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.demo import write_phantoms
from embedkit.encoders import Occasion, engines
from embedkit.encoders.engines.running import rate_of
from embedkit.extraction import extract
from embedkit.extraction.decode import Way, decode_rows
from embedkit.extraction.heap import kept_heap

BATCH = 32


class Files(Dataset[Any]):
    """What a plain script reads."""

    def __init__(self, addresses: Sequence[str], transform: Any) -> None:
        self.addresses, self.transform = addresses, transform

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.open(self.addresses[index]).convert("RGB"))


class Watch:
    """Notes when how many images were done."""

    def __init__(self) -> None:
        self.done = [(0.0, 0)]

    def start(self, what: str, total: int) -> None:
        """Nothing is done yet."""

    def advance(self, images: int) -> None:
        """Note the time."""
        self.done.append((time.perf_counter(), self.done[-1][1] + images))

    def note(self, text: str) -> None:
        """Print it."""
        print(text)

    def stop(self) -> None:
        """It is over."""

    def rate(self) -> float:
        """Return images/s after the start: from a tenth of the images on."""
        times, counts = np.array(self.done).T
        first = int(np.searchsorted(counts, counts[-1] / 10))
        return float((counts[-1] - counts[first]) / (times[-1] - times[first]))


def plain_script(addresses: Sequence[str], card: Any, path: Path) -> tuple[float, np.ndarray]:
    """Return images/s and vectors of a DataLoader loop over the same model in fp32, its start not counted."""
    p = card.preprocessing
    steps = [t.Resize(p.resize, t.InterpolationMode(p.interpolation)), t.CenterCrop(p.size)]
    transform = t.Compose([*steps, t.ToTensor(), t.Normalize(p.mean, p.std)])
    model = import_module(f"embedkit.encoders.backends.{card.backend}").build(card, path).eval()
    vectors = []
    with torch.no_grad():
        for batch in DataLoader(Files(addresses, transform), BATCH, num_workers=2):
            if not vectors:
                begun = time.perf_counter()
            vectors.append(model(batch).numpy())
    return len(addresses) / (time.perf_counter() - begun), np.concatenate(vectors)


def forward_alone(encoder: encoders.Encoder, seconds: float) -> float:
    """Return images/s of the encoder on pixels that are in memory already."""
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, *encoder.shape), dtype=np.uint8)
    # As in a run.
    with kept_heap():
        return rate_of(encoder.encode, encoder.threads, encoder.streams, batch, seconds)


def decoding_alone(addresses: Sequence[str], way: Way) -> float:
    """Return the processor seconds that an image takes to be read, decoded and resized."""
    some = addresses[:200]
    decode_rows(range(8), some[:8], [way])
    begun = time.process_time()
    decode_rows(range(len(some)), some, [way])
    return (time.process_time() - begun) / len(some)


def random_weights(spec: str, folder: Path) -> Path:
    """Write random weights of a model of timm."""
    torch.manual_seed(0)
    save_file(timm.create_model(spec.removeprefix("timm:")).state_dict(), folder / "random.safetensors")
    return folder / "random.safetensors"


def peer(name: str, python: str, model: str, addresses: Sequence[str]) -> float:
    """Return images/s of another tool, run by its own Python."""
    script = Path(__file__).with_name("peers.py")
    given = "\n".join(addresses)
    done = subprocess.run([python, script, name, model], input=given, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


PEERS = {"timm": "thingsvision", "open_clip": "clip-retrieval"}
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="efficientnet-lite0")
parser.add_argument("--data", help="a set; by default phantoms, made now")
parser.add_argument("--weights", type=Path)
parser.add_argument("--random", action="store_true", help="random weights of a timm: model, as fast as others")
parser.add_argument("--n", type=int, default=192)
parser.add_argument("--plain-n", type=int, default=96, help="images of the plain script")
parser.add_argument("--engine", default="auto")
parser.add_argument("--alone", default="torch,openvino", help="engines whose forward pass is timed alone")
parser.add_argument("--seconds", type=float, default=5.0, help="for each of these")
for tool in PEERS.values():
    parser.add_argument(f"--{tool}", metavar="PYTHON", help=f"that of an environment with {tool}, to run it too")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    data = arguments.data or f"csv:{next(iter(write_phantoms(folder, patients=48).values()))}"
    dataset = open_dataset(data)
    dataset = replace(dataset, table=dataset.table.head(arguments.n))
    weights = random_weights(arguments.model, folder) if arguments.random else arguments.weights
    job = api.job_for(arguments.model, weights=weights, engine=arguments.engine)
    card = encoders.resolve(arguments.model)
    found = encoders.find_weights(card, weights if weights and weights.is_file() else None)
    precision, device = job.configuration["encoder"]["precision"], job.device()

    watch = Watch()
    report = extract(dataset, job, folder, progress=watch)
    kit, with_start = watch.rate(), report.embedded / report.seconds
    plain, vectors = plain_script(dataset.addresses()[: arguments.plain_n], card, found.path)
    X = read(report.path).X[: len(vectors)]
    cosine = (X * vectors).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(vectors, axis=1)
    decoding = decoding_alone(dataset.addresses(), job.way)

    print(f"{arguments.model} in {precision} on {device}, {len(dataset)} images of {dataset.name}")
    print(f"embedkit            {kit:8.1f} images/s by {report.engine} ({with_start:.1f} with its start)")
    print(f"plain script        {plain:8.1f} images/s   embedkit / plain {kit / plain:.2f}")
    tool = PEERS.get(card.backend, "")
    if python := getattr(arguments, tool.replace("-", "_"), None):
        other = peer(tool, python, card.architecture, dataset.addresses()[: arguments.plain_n])
        print(f"{tool:19} {other:8.1f} images/s   embedkit / {tool} {kit / other:.2f} (random weights)")
    print(f"decoding alone      {1 / decoding:8.1f} images/s and core")
    cores = torch.get_num_threads()
    for engine in dict.fromkeys([report.engine, *arguments.alone.split(",")]):
        if missing := engines.lacks(engine, precision, device):
            print(f"forward, {engine:10}          - it lacks {missing}")
            continue
        occasion = Occasion(np.zeros((BATCH, *job.preprocessing.shape), np.uint8), 0, print)
        encoder = encoders.load_encoder(card, found, precision, device, engine, occasion)
        alone = forward_alone(encoder, arguments.seconds)
        limit = 1 / (1 / alone + decoding / cores) if device == "cpu" else alone
        of_limit = f", of the limit {limit:.1f} {kit / limit:.2f}" if engine == report.engine else ""
        print(f"forward, {engine:10} {alone:8.1f} images/s   embedkit / forward {kit / alone:.2f}{of_limit}")
    print(f"agreement with the plain script: cosine at least {cosine.min():.6f}")
