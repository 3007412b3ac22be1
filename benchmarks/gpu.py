"""What a GPU does with embedkit: end to end from JPEG files, forward passes alone, shares of its peak, what limits.

    python benchmarks/gpu.py                     # for 8 minutes on one GPU with 16 cores; needs no data
    python benchmarks/gpu.py --data ham10000     # its JPEGs in the place of made-up ones
    python benchmarks/gpu.py --device cpu --images 64 --batch 8 --seconds 0.2 --model timm:test_vit   # tries the script

Networks have random weights, which are as fast as others, and compute in bf16. Made-up JPEGs are smooth noise of the
size of photographs, all different. What is begun later than --minutes after the start is left out, and that is said.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file

from embedkit import encoders, images
from embedkit.cache import read
from embedkit.datasets import ImageSet, open_dataset
from embedkit.encoders import Occasion, OnDevice, engines, kind_of
from embedkit.encoders.engines import eager
from embedkit.encoders.engines.running import rate_of
from embedkit.extraction import Job, Report, SeveralDevices, extract, prepare
from embedkit.extraction.decode import decoded
from embedkit.machine import cores
from embedkit.probing.heads.classifiers import SEARCH_ACCURACY
from embedkit.probing.solver.logistic import ACCURACY, solve_folds
from embedkit.probing.solver.rotation import Ready

# Dense bf16 of the makers' data sheets, in 1e12 operations a second (a multiply-add is two).
PEAKS = {
    "B200": 2250.0,
    "H200": 989.4,
    "H100 NVL": 835.0,
    "H100 PCIe": 756.0,
    "H100": 989.4,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
    "4090": 165.2,
}
DECODED_TOGETHER = 32


@dataclass
class Watch:
    """Notes when how many images were done, and prints notes."""

    done: list[tuple[float, int]] = field(default_factory=list)

    def start(self, what: str, total: int, unit: str = "images") -> None:
        """Nothing is done yet."""
        self.done = [(time.perf_counter(), 0)]

    def advance(self, count: int) -> None:
        """Note the time."""
        self.done.append((time.perf_counter(), self.done[-1][1] + count))

    def note(self, text: str) -> None:
        """Print it."""
        print(f"    {text}")

    def stop(self) -> None:
        """It is over."""

    def rate(self) -> float:
        """Return images/s after the start: from a fifth of the images on, where they came in more than one piece."""
        times, counts = np.array(self.done).T
        first = int(np.searchsorted(counts, counts[-1] / 5))
        first = first if counts[first] < counts[-1] else 0
        return float((counts[-1] - counts[first]) / (times[-1] - times[first]))


def write_jpegs(folder: Path, n: int, width: int, height: int) -> ImageSet:
    """Write n JPEGs of 32 pictures; a comment makes the bytes of each its own, so that none is taken for another."""
    noise = np.random.default_rng(0)
    pictures = []
    for _ in range(32):
        small = Image.fromarray(noise.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8))
        buffer = BytesIO()
        small.resize((width, height)).filter(ImageFilter.GaussianBlur(1)).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    for number in range(n):
        data, comment = pictures[number % len(pictures)], f"{number:08}".encode()
        place = folder / ("a", "b")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        marked = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        (place / f"{number:08}.jpg").write_bytes(marked)
    size = len(pictures[0]) / 1e3
    print(f"{n} made-up JPEGs of {width} x {height} pixels, {size:.0f} kB each")
    return open_dataset(f"folder:{folder}")


def random_weights(spec: str, folder: Path) -> Path:
    """Write random weights of a model of timm."""
    torch.manual_seed(0)
    path = folder / f"{spec.removeprefix('timm:')}.safetensors"
    save_file(timm.create_model(spec.removeprefix("timm:")).state_dict(), path)
    return path


def share_of_peak(rate: float, multiply_adds: int | None) -> str:
    """Return in words which share of the chip's matrix peak so many images/s are."""
    if PEAK is None or multiply_adds is None:
        return "share of the peak unknown"
    return f"{2 * multiply_adds * rate / PEAK / 1e12:.1%} of the matrix peak"


def decoding_alone(job: Job, addresses: Sequence[str]) -> float:
    """Return images/s of all decoding processes, with nothing encoded; on the device, of that alone too."""
    watch, rows = Watch(), np.arange(len(addresses))
    watch.start("", len(rows))
    kept: list[Any] = []
    for stretch in decoded(rows, addresses, [job.way], workers=cores(), batch=DECODED_TOGETHER):
        watch.advance(len(stretch.rows))
        kept += list(stretch.pixels[0])[: arguments.batch - len(kept)]
    if not job.way.on_device:
        return watch.rate()
    device = OnDevice(job.preprocessing, arguments.device)

    def once(_: int) -> int:
        return len(device.pixels(kept, len(kept))[0])

    with ThreadPoolExecutor(2) as pool:
        once(0)
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < arguments.seconds:
            done += sum(pool.map(once, range(4)))
        alone = done / (time.perf_counter() - begun)
    print(f"    reading and hashing {watch.rate():.0f} images/s, decoding on {arguments.device} {alone:.0f}")
    return min(watch.rate(), alone)


@dataclass(frozen=True)
class Loaded:
    """A network that was built once for all runs of an engine."""

    spec: str
    engine: str
    weights: Path
    encoder: encoders.Encoder
    forward: float

    def job(self, decoder: str) -> Job:
        """Return the job of this network with a decoder."""
        made = prepare(self.spec, **HOW, weights=self.weights, engine=self.engine, decoder=decoder)
        assert isinstance(made, Job)
        return replace(made, load=lambda *_: self.encoder, multiply_adds=lambda _: None)


def load(spec: str, engine: str, weights: Path) -> Loaded:
    """Build a network and time its forward pass alone, from pixels in the memory of the machine."""
    job = prepare(spec, **HOW, weights=weights, engine=engine)
    assert isinstance(job, Job)
    pixels = np.random.default_rng(0).integers(0, 256, (arguments.batch, *job.preprocessing.shape), np.uint8)
    begun = time.perf_counter()
    encoder = job.load(Occasion(pixels, 0, print), arguments.device)
    encoder.encode(pixels)
    started = time.perf_counter() - begun
    forward = rate_of(encoder.encode, encoder.threads, encoder.streams, pixels, arguments.seconds)
    counted = multiply_adds(job, spec)
    print(f"{spec}, {engine}: first batch after {started:.1f} s; forward pass alone {forward:.1f} images/s, ", end="")
    print(share_of_peak(forward, counted), flush=True)
    return Loaded(spec, engine, weights, encoder, forward)


def multiply_adds(job: Job, spec: str) -> int | None:
    """Return those of one image, counted once for each network."""
    if spec not in COUNTED:
        card = encoders.resolve(spec)
        plain = encoders.load_encoder(card, encoders.find_weights(card, WEIGHTS[spec]), "fp32", "cpu", engines.DEFAULT)
        COUNTED[spec] = job.multiply_adds(plain)
    return COUNTED[spec]


def end_to_end(loaded: Loaded, dataset: ImageSet, folder: Path) -> None:
    """Print images/s from files to a cache file with each decoder, what limits, and how far vectors turn."""
    vectors: dict[str, np.ndarray] = {}
    for decoder in images.DECODERS:
        job, watch = loaded.job(decoder), Watch()
        report = extract(dataset, job, folder / f"{loaded.engine}-{decoder}", batch=arguments.batch, progress=watch)
        vectors[decoder] = np.asarray(read(report.path).X, np.float64)
        rate = watch.rate()
        share = rate / loaded.forward
        print(f"  {decoder:7} {rate:8.1f} images/s end to end, {share:.2f} of the forward pass, ", end="")
        print(share_of_peak(rate, COUNTED[loaded.spec]), end="")
        print(f" ({report.embedded / report.seconds:.1f} images/s with start and merge){_turned(vectors, decoder)}")
        if (loaded.spec, decoder) not in DECODING:
            DECODING[loaded.spec, decoder] = decoding_alone(job, list(dataset.addresses()))
        alone = DECODING[loaded.spec, decoder]
        # On a processor both share the cores.
        on_gpu = kind_of(arguments.device) == "cuda"
        limit = min(loaded.forward, alone) if on_gpu else 1 / (1 / loaded.forward + 1 / alone)
        which = "the forward pass" if loaded.forward <= alone else "decoding"
        print(f"          decoding alone {alone:8.1f} images/s on {cores()} cores: {which} limits, ", end="")
        print(f"{rate / limit:.2f} of the limit reached", flush=True)


def _turned(vectors: dict[str, np.ndarray], decoder: str) -> str:
    if decoder == "full":
        return ""
    X, Y = vectors["full"], vectors[decoder]
    cosine = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    return f"; cosine to full {cosine.mean():.5f} in the mean, {cosine.min():.5f} at least"


def by_processes(spec: str, weights: Path, dataset: ImageSet, folder: Path) -> None:
    """Print images/s of one process of its own for the device, and of two on the same one; both give the same bits."""
    job = prepare(spec, **HOW, weights=weights, engine="torch")
    assert isinstance(job, Job)
    found: dict[int, Report] = {}
    for processes in (0, 1, 2):
        cluster = SeveralDevices((arguments.device,) * processes) if processes else None
        watch = Watch()
        options: dict[str, Any] = {"batch": arguments.batch, "progress": watch, "cluster": cluster}
        found[processes] = extract(dataset, job, folder / f"processes-{processes}", **options)
        same = read(found[processes].path).X.tobytes() == read(found[0].path).X.tobytes()
        what = f"{processes} processes beside this one" if processes else "in this process"
        print(f"  {what}: {watch.rate():.1f} images/s, {'the same' if same else 'OTHER'} bits", flush=True)


def cuda_graphs(spec: str, weights: Path) -> None:
    """Print milliseconds of a batch that lies on the device: torch, compiled, and compiled with CUDA graphs."""
    if kind_of(arguments.device) != "cuda":
        print("  CUDA graphs: not on this device")
        return
    card = encoders.resolve(spec)
    found = encoders.find_weights(card, weights)
    backend = __import__(f"embedkit.encoders.backends.{card.backend}", fromlist=["build"])
    shape = (arguments.batch, *card.preprocessing.shape)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=arguments.device)
    for mode in (None, "default", "reduce-overhead"):
        model = eager.prepared(backend.build(card, found.path), card.preprocessing, "bf16", arguments.device)
        compute: Callable[..., Any] = torch.compile(model, dynamic=False, mode=mode) if mode else model
        with torch.inference_mode():
            for _ in range(5):
                compute(pixels)
            torch.cuda.synchronize()
            begun, passes = time.perf_counter(), 0
            while time.perf_counter() - begun < arguments.seconds:
                compute(pixels)
                torch.cuda.synchronize()
                passes += 1
        each = (time.perf_counter() - begun) / passes
        rate = arguments.batch / each
        print(f"  {spec}, {mode or 'not compiled':15} {each * 1e3:8.2f} ms a batch, {rate:.1f} images/s")


def batches(loaded: Loaded) -> None:
    """Print images/s of the forward pass at each size of batch that the search would try."""
    sample = np.random.default_rng(0).integers(0, 256, (arguments.batch, *loaded.encoder.shape), np.uint8)
    found = encoders.best_batch(loaded.encoder, {}, arguments.device, Occasion(sample, 10**7, print))
    print(f"  {loaded.spec}: the search takes batches of {found}")


def halving(spec: str, weights: Path, dataset: ImageSet, folder: Path) -> None:
    """Give a run too little memory of the GPU for its batches, and see that it goes on with smaller ones."""
    if kind_of(arguments.device) != "cuda":
        print("  too little memory: not on this device")
        return
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    whole = torch.cuda.get_device_properties(arguments.device).total_memory
    torch.cuda.set_per_process_memory_fraction((held + 1.5e9) / whole)
    some = replace(dataset, table=dataset.table.head(1024))
    try:
        job = prepare(spec, **HOW, weights=weights, engine="torch")
        assert isinstance(job, Job)
        report = extract(some, job, folder / "halved", batch=1024, progress=Watch())
        print(f"  1.5 GB of memory for batches of 1,024: {report.embedded} of {report.total} embedded")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def solver() -> None:
    """Print seconds of the logistic solver on the device beside the processor."""
    small = arguments.images < 1000
    for n, d, columns, exclusive, Cs, folds in (
        (600 if small else 5984, 64 if small else 2048, 7, True, np.logspace(-6, 5, 45), 5),
        (1000 if small else 112_000, 64 if small else 768, 14, False, np.array([0.01]), 1),
    ):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, d), dtype=np.float32)
        margin = 3 * X @ rng.standard_normal((d, columns), dtype=np.float32) / d**0.5 + rng.logistic(size=(n, columns))
        truth = np.eye(columns)[margin.argmax(1)] if exclusive else (margin > 2).astype(float)
        fold = rng.permutation(n) % 5
        kept = np.stack([fold != number for number in range(folds)]).astype(float)
        accuracy, solutions, told = SEARCH_ACCURACY if len(Cs) > 1 else ACCURACY, [], []
        for device in dict.fromkeys(["cpu", arguments.device]):
            solve_folds(Ready(X[:200], device), truth[:200], exclusive, Cs[:1], kept[:, :200], accuracy)
            begun = time.perf_counter()
            found = solve_folds(Ready(X, device), truth, exclusive, Cs, kept, accuracy)
            told.append(f"{device} {time.perf_counter() - begun:.2f} s, {found.converged.mean():.1%} converged")
            solutions.append(found.coef)
        apart = np.abs(solutions[0] - solutions[-1]).max() / np.abs(solutions[0]).max()
        print(f"  {n} x {d}, {columns} columns, {len(Cs)} C, {folds} folds: {'; '.join(told)}; ", end="")
        print(f"solutions {apart:.1e} apart", flush=True)


def step(what: str, does: Callable[[], None]) -> None:
    """Do one step and say how long it took, unless the time is over."""
    spent = time.perf_counter() - BEGUN
    if spent > arguments.minutes * 60:
        print(f"LEFT OUT after {spent / 60:.1f} minutes: {what}")
        return
    print(f"\n{what} (after {spent:.0f} s)", flush=True)
    try:
        does()
    except Exception as error:
        print(f"  FAILED: {type(error).__name__}: {str(error)[:500]}", flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--device", default="cuda:0")
parser.add_argument("--model", action="append", help="timm:NAME; by default a ResNet-50 and a ViT-B/16")
parser.add_argument("--engine", action="append", help="torch and compile by default")
parser.add_argument("--data", help="a set of JPEGs; made up without it")
parser.add_argument("--images", type=int, default=12_000)
parser.add_argument("--size", default="500x375", help="width and height of made-up JPEGs")
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--seconds", type=float, default=3.0, help="for each rate that is measured alone")
parser.add_argument("--peak", type=float, help="of the chip, in 1e12 bf16 operations a second")
parser.add_argument("--minutes", type=float, default=7.0, help="no step is begun after so many")

if __name__ == "__main__":
    arguments = parser.parse_args()
    BEGUN = time.perf_counter()
    HOW: dict[str, Any] = {"precision": "bf16", "device": arguments.device}
    COUNTED: dict[str, int | None] = {}
    DECODING: dict[tuple[str, str], float] = {}
    chip = torch.cuda.get_device_name(arguments.device) if kind_of(arguments.device) == "cuda" else "a processor"
    PEAK = arguments.peak or next((peak for name, peak in PEAKS.items() if name in chip), None)
    print(f"{chip}, {cores()} cores, torch {torch.__version__}, batches of {arguments.batch}; peak {PEAK or 'unknown'}")
    specs = arguments.model or ["timm:resnet50", "timm:vit_base_patch16_224"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # What is measured here is no memory of the user's.
        os.environ["EMBEDKIT_HOME"] = str(folder / "home")
        width, height = map(int, arguments.size.split("x"))
        if arguments.data:
            dataset = open_dataset(arguments.data)
            dataset = replace(dataset, table=dataset.table.head(arguments.images))
        else:
            dataset = write_jpegs(folder / "jpegs", arguments.images, width, height)
        WEIGHTS = {spec: random_weights(spec, folder) for spec in specs}
        ready: list[Loaded] = []

        def measure(spec: str, engine: str) -> None:
            """Time a network in an engine, alone and end to end."""
            if missing := engines.lacks(engine, "bf16", arguments.device):
                print(f"  it lacks {missing}")
                return
            ready.append(load(spec, engine, WEIGHTS[spec]))
            end_to_end(ready[-1], dataset, folder)

        for engine in arguments.engine or ["torch", "compile"]:
            for spec in specs:
                step(f"{spec} in {engine}", lambda spec=spec, engine=engine: measure(spec, engine))
        step("one process for each device", lambda: by_processes(specs[0], WEIGHTS[specs[0]], dataset, folder))
        step("the logistic solver", solver)
        step("batches", lambda: batches(ready[0]))
        step("memory that runs out", lambda: halving(specs[0], WEIGHTS[specs[0]], dataset, folder))
        for spec in specs:
            step(f"CUDA graphs, {spec}", lambda spec=spec: cuda_graphs(spec, WEIGHTS[spec]))
        print(f"\n{time.perf_counter() - BEGUN:.0f} s")
