"""Another JPEG decoder beside the full one: milliseconds of a processor an image, and how far vectors turn.

    python benchmarks/decoders.py --data hei-med --model resnet50-v1 --model vit-ti16 --sides 1024,2048,4096
    python benchmarks/decoders.py --data chest-xray --model resnet50-v1 --decoder device --sides 0 --n 500

Images of the set are enlarged to the given shorter sides and saved as JPEG: published sets of that size are not small.
Of 0 they are taken as they are. ``device`` is decoded and resized by torch, here on the processor: a GPU has another
decoder, whose pixels `benchmarks/gpu.py` compares.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from embedkit import api, encoders, images
from embedkit.datasets import open_dataset
from embedkit.encoders import OnDevice
from embedkit.extraction.decode import Way, decode_rows


def saved(addresses: list[str], side: int, folder: Path) -> list[str]:
    """Write the images with a shorter side of so many pixels; return their paths."""
    paths = []
    for number, address in enumerate(addresses):
        image = Image.fromarray(images.load(address)[0])
        scale = side / min(image.size)
        paths.append(str(folder / f"{side}-{number}.jpg"))
        image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC).save(
            paths[-1], quality=92
        )
    return paths


def decoded(paths: list[str], way: Way) -> tuple[float, np.ndarray]:
    """Return milliseconds an image, and what the encoder sees."""
    device = OnDevice(way.preprocessing, "cpu") if way.on_device else None
    begun = time.process_time()
    pixels = decode_rows(range(len(paths)), paths, [way]).pixels[0]
    if device is not None:
        pixels = device.pixels(pixels, len(paths))[0].numpy()
    return (time.process_time() - begun) / len(paths) * 1e3, pixels


def embedded(encoder: encoders.Encoder, pixels: np.ndarray) -> np.ndarray:
    """Return vectors, a few images at a time."""
    parts = np.array_split(pixels, -(-len(pixels) // 32))
    return np.concatenate([encoder.encode(part) for part in parts]).astype(float)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="hei-med")
parser.add_argument("--model", action="append", required=True)
parser.add_argument("--sides", default="1024,2048,4096")
parser.add_argument("--n", type=int, default=24)
parser.add_argument("--decoder", default="scaled", help="scaled or device")
arguments = parser.parse_args()

everything = open_dataset(arguments.data).addresses()
addresses = [everything[row] for row in np.linspace(0, len(everything) - 1, arguments.n).astype(int)]
for model in arguments.model:
    card = encoders.resolve(model)
    encoder = encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu")
    for side in map(int, arguments.sides.split(",")):
        with tempfile.TemporaryDirectory() as name:
            paths = saved(addresses, side, Path(name)) if side else addresses
            slow, whole = decoded(paths, Way(card.preprocessing))
            fast, part = decoded(paths, api.job_for(model, decoder=arguments.decoder).way)
        X, Y = embedded(encoder, whole), embedded(encoder, part)
        cosine = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
        apart = np.abs(whole.astype(float) - part).mean()
        print(
            f"{model}, shorter side {side or 'as it is'}: full {slow:6.1f} ms, {arguments.decoder} {fast:6.1f} ms "
            f"(ratio {slow / fast:.1f}); "
            f"pixels {apart:.2f} of 255 apart; 1 - cosine at most {1 - cosine.min():.6f}, mean {1 - cosine.mean():.6f}"
        )
