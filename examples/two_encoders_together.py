"""Do the vectors of two encoders, side by side, tell more than each alone? Any vectors can be probed like this.

python examples/two_encoders_together.py hei-med resnet50-v1 efficientnet-lite0
"""

import argparse

import numpy as np

import embedkit as ek

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data")
parser.add_argument("models", nargs=2)
arguments = parser.parse_args()

try:
    one, two = (ek.load(model, arguments.data) for model in arguments.models)
except ek.EmbedkitError as error:
    parser.error(str(error))
# Each cache lists the images that could be read with that encoder: keep those of both, in one order.
rows = one.table.reset_index().merge(two.table.reset_index()[["index", "id"]], on="id", suffixes=("_one", "_two"))
both = ek.EmbeddingSet.from_arrays(
    np.hstack([one.X[rows["index_one"]], two.X[rows["index_two"]]]),
    rows["label"],
    groups=rows.get("group"),
    split=rows.get("split"),
    ids=rows["id"],
    name=one.name,
    encoder=f"{one.encoder} + {two.encoder}",
)
for embeddings in (one, two, both):
    auc = ek.probe(embeddings).auc
    print(f"{embeddings.encoder:40} AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})")
