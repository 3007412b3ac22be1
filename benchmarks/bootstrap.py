"""Time of the cluster bootstrap of a macro AUC beside a loop over scikit-learn, on the same resamples.

python benchmarks/bootstrap.py --n 2003 --classes 7 --replicates 2000 --looped 2000
"""

import argparse
import time

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from embedkit.probing.measures.bootstrap import replicates_of, resamples
from embedkit.probing.measures.metrics import Judged, class_aucs, mean_of_defined

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--n", type=int, default=2003)
parser.add_argument("--groups", type=int, default=1500)
parser.add_argument("--classes", type=int, default=7)
parser.add_argument("--replicates", type=int, default=2000)
parser.add_argument("--looped", type=int, default=200, help="replicates of the loop, which is slow")
arguments = parser.parse_args()

rng = np.random.default_rng(0)
shares = 0.6 ** np.arange(arguments.classes)
y = rng.choice(arguments.classes, arguments.n, p=shares / shares.sum())
scores = softmax(rng.normal(size=(arguments.n, arguments.classes)) + 1.5 * np.eye(arguments.classes)[y], axis=1)
groups = np.unique(rng.integers(arguments.groups, size=arguments.n), return_inverse=True)[1]
classes = np.arange(arguments.classes)


def embedkit() -> np.ndarray:
    """Return the macro AUC of each replicate; sorting and resampling are included."""
    judged = Judged(np.eye(arguments.classes)[y], scores, np.zeros(arguments.n, int), exclusive=True)
    aucs = replicates_of(lambda W: mean_of_defined(class_aucs(judged, W))[:, None], groups, arguments.replicates, 0)[1]
    return aucs[:, 0]


def looped(weights: np.ndarray) -> float:
    """Return the macro AUC of one replicate as scikit-learn computes it; NaN where it lost a class."""
    rows = np.repeat(np.arange(arguments.n), weights)
    if len(np.unique(y[rows])) < arguments.classes:
        return np.nan
    return float(roc_auc_score(y[rows], scores[rows], multi_class="ovr", average="macro", labels=classes))


embedkit()
seconds = []
for _ in range(5):
    begun = time.perf_counter()
    kit = embedkit()
    seconds.append((time.perf_counter() - begun) / arguments.replicates)

W = np.concatenate(list(resamples(groups, arguments.replicates, 0)))[: arguments.looped]
begun = time.perf_counter()
reference = np.array([looped(weights) for weights in W])
loop = (time.perf_counter() - begun) / len(W)

print(f"{arguments.n} images of {groups.max() + 1} groups, {arguments.classes} classes, macro AUC per replicate")
print(f"embedkit      {np.median(seconds) * 1e3:9.4f} ms, median of 5 runs of {arguments.replicates} replicates")
print(f"scikit-learn  {loop * 1e3:9.4f} ms, {len(W)} replicates")
print(f"scikit-learn / embedkit  {loop / np.median(seconds):.0f}")
lost = int(np.isnan(reference).sum())
print(
    f"agreement     differ by {np.nanmax(np.abs(kit[: len(W)] - reference)):.1e} at most; {lost} lost a class, left out"
)
