"""Seconds of embedkit's logistic probe beside scikit-learn's own search over the same grid, on the same vectors.

python benchmarks/probe.py --n 2000 --d 512 --classes 7
"""

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import embedkit as ek
from embedkit.probing import GRIDS

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--n", type=int, default=1200)
parser.add_argument("--d", type=int, default=256)
parser.add_argument("--classes", type=int, default=4)
arguments = parser.parse_args()

rng = np.random.default_rng(0)
y = rng.integers(0, arguments.classes, arguments.n)
X = rng.normal(size=(arguments.n, arguments.d)).astype(np.float32)
X[:, : arguments.classes] += 1.2 * np.eye(arguments.classes)[y]
train = np.arange(arguments.n) < 0.7 * arguments.n

begun = time.perf_counter()
embeddings = ek.EmbeddingSet.from_arrays(X, y.astype(str), split=np.where(train, "train", "test"))
result = ek.probe(embeddings, replicates=2000)
kit = time.perf_counter() - begun

begun = time.perf_counter()
grid = {"logisticregression__C": GRIDS["logistic"]}
pipeline = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6, max_iter=10_000))
search = GridSearchCV(pipeline, grid, scoring="roc_auc_ovr", cv=5).fit(X[train], y[train])
probabilities = search.predict_proba(X[~train])
if arguments.classes == 2:
    reference = roc_auc_score(y[~train], probabilities[:, 1])
else:
    reference = roc_auc_score(y[~train], probabilities, multi_class="ovr")
sklearn = time.perf_counter() - begun

print(f"{arguments.n} x {arguments.d}, {arguments.classes} classes, {len(GRIDS['logistic'])} values of C, 5 folds")
print(f"embedkit      {kit:7.1f} s  AUC {result.auc['value']:.4f}, 2000 bootstrap replicates included")
print(f"scikit-learn  {sklearn:7.1f} s  AUC {reference:.4f}, no interval")
print(f"scikit-learn / embedkit {sklearn / kit:.2f}, AUC differs by {abs(reference - result.auc['value']):.5f}")
