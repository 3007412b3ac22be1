"""The scaled JPEG decoder beside the full one: milliseconds of a processor an image, and how far vectors turn.

    python benchmarks/decoders.py --data hei-med --model resnet50-v1 --model vit-ti16 --sides 1024,2048,4096

Images of the set are enlarged to the given shorter sides and saved as JPEG: published sets of that size are not small.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from embedkit import api, encoders, images
from embedkit.datasets import open_dataset
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
    begun = time.process_time()
    pixels = decode_rows(range(len(paths)), paths, [way]).pixels[0]
    return (time.process_time() - begun) / len(paths) * 1e3, pixels


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", default="hei-med")
parser.add_argument("--model", action="append", required=True)
parser.add_argument("--sides", default="1024,2048,4096")
parser.add_argument("--n", type=int, default=24)
arguments = parser.parse_args()

addresses = open_dataset(arguments.data).addresses()[: arguments.n]
for model in arguments.model:
    card = encoders.resolve(model)
    encoder = encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu")
    for side in map(int, arguments.sides.split(",")):
        with tempfile.TemporaryDirectory() as name:
            paths = saved(addresses, side, Path(name))
            scaled = api.job_for(model, decoder="scaled").way
            slow, whole = decoded(paths, Way(card.preprocessing))
            fast, part = decoded(paths, scaled)
        X, Y = encoder.encode(whole).astype(float), encoder.encode(part).astype(float)
        cosine = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
        apart = np.abs(whole.astype(float) - part).mean()
        print(
            f"{model}, shorter side {side}: full {slow:6.1f} ms, scaled {fast:6.1f} ms (ratio {slow / fast:.1f}); "
            f"pixels {apart:.2f} of 255 apart; 1 - cosine at most {1 - cosine.min():.6f}, mean {1 - cosine.mean():.6f}"
        )
