"""Images/s of forward passes alone at several sizes of batch, in each engine.

python benchmarks/batch.py --model resnet50-v1 --model vit-ti16 --engine torch --engine openvino
"""

import argparse

import numpy as np

from embedkit import api, encoders
from embedkit.encoders import Occasion, engines
from embedkit.encoders.engines.running import rate_of

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--engine", action="append", required=True)
    parser.add_argument("--batches", default="8,16,32,64,128")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each")
    arguments = parser.parse_args()
    batches = [int(size) for size in arguments.batches.split(",")]
    for model in arguments.model:
        card, job = encoders.resolve(model), api.job_for(model)
        found = encoders.find_weights(card, None)
        precision, device = job.configuration["encoder"]["precision"], job.device()
        print(f"{model} in {precision} on {device}: images/s at batches of {', '.join(map(str, batches))}")
        for engine in arguments.engine:
            if missing := engines.lacks(engine, precision, device):
                print(f"  {engine:9} it lacks {missing}")
                continue
            pixels = np.random.default_rng(0).integers(0, 256, (max(batches), *job.preprocessing.shape), np.uint8)
            occasion = Occasion(pixels[: min(batches)], 0, print)
            encoder = encoders.load_encoder(card, found, precision, device, engine, occasion)
            how = encoder.encode, encoder.threads, encoder.streams
            rates = [rate_of(*how, pixels[:size], arguments.seconds) for size in batches]
            print(f"  {engine:9} " + "  ".join(f"{rate:7.1f}" for rate in rates))
