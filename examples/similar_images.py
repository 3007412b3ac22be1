"""The images most like one image, of other patients, from a cache alone: no torch, no images, no weights.

python examples/similar_images.py resnet50-v1 ham10000 ISIC_0024306
"""

import argparse

import numpy as np

import embedkit as ek

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("data")
parser.add_argument("id", help="of the image that is asked about")
parser.add_argument("--n", type=int, default=5, help="how many to show")
arguments = parser.parse_args()

try:
    e = ek.load(arguments.model, arguments.data)
except ek.EmbedkitError as error:
    parser.error(str(error))
X = e.X / np.linalg.norm(e.X, axis=1, keepdims=True)
asked = e.table.index[e.table["id"] == arguments.id]
if len(asked) == 0:
    parser.error(f"no image of {e.name} has the id {arguments.id}: the ids begin {', '.join(e.table['id'][:3])}")

similarity = X @ X[asked[0]]
# An image of the same patient is like this one for reasons that teach nothing.
same = e.table["group"] == e.table["group"][asked[0]] if "group" in e.table else e.table.index == asked[0]
similarity[same] = -np.inf
columns = [name for name in ("id", "label", "group") if name in e.table]
best = np.argsort(-similarity)[: arguments.n]
print(e.table.loc[asked, columns].to_string(index=False))
print(e.table.loc[best, columns].assign(cosine=similarity[best].round(3)).to_string(index=False))
