"""Forward passes alone in int8, the default precision and fp32, in turns, and cosines of cached vectors to fp32.

    python benchmarks/int8.py --data chest-xray --model resnet50-v1 --model vit-ti16 --cache CACHE

The cosines are of all images that CACHE holds in int8 and in fp32: `embedkit extract --precision int8`, and `fp32`.
"""

import argparse

import numpy as np

import embedkit as ek
from embedkit import api, encoders
from embedkit.cache import NotCached
from embedkit.encoders import Occasion
from embedkit.encoders.engines.running import rate_of

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", default="chest-xray")
parser.add_argument("--model", action="append", required=True)
parser.add_argument("--cache", default=None)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--rounds", type=int, default=5)
arguments = parser.parse_args()

for model in arguments.model:
    names = ["int8", encoders.default_precision(encoders.resolve(model)), "fp32"]
    quantised = f"int8:{arguments.data}"
    rivals = []
    for name in dict.fromkeys(names):
        job = api.job_for(
            model, precision=quantised if name == "int8" else name, engine="openvino", cache=arguments.cache
        )
        pixels = np.random.default_rng(0).integers(0, 256, (arguments.batch, *job.preprocessing.shape), np.uint8)
        rivals.append((name, job.load(Occasion(pixels, 0, print), job.device())))
    rounds = [
        [rate_of(e.encode, e.threads, e.streams, pixels, 1.0) for _, e in rivals] for _ in range(arguments.rounds)
    ]
    rates = np.median(rounds, axis=0)
    told = ", ".join(f"{name} {rate:.1f}" for (name, _), rate in zip(rivals, rates, strict=True))
    print(
        f"{model}, images/s of the forward pass by OpenVINO: {told} "
        f"(ratios {rates[0] / rates[1]:.2f}, {rates[0] / rates[-1]:.2f})"
    )
    try:
        X, Y = (ek.load(model, arguments.data, precision=p, cache=arguments.cache) for p in (quantised, "fp32"))
    except NotCached as error:
        print(f"no cosines: {error}")
        continue
    dots = (X.X * Y.X).sum(1, dtype=np.float64)
    cosine = dots / np.linalg.norm(X.X, axis=1) / np.linalg.norm(Y.X, axis=1)
    print(
        f"  cosine to fp32 of {len(X)} images of {arguments.data}: mean {cosine.mean():.4f}, least {cosine.min():.4f}"
    )
