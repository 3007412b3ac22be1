"""Seconds of embedkit's logistic solver beside scikit-learn's, on the same vectors, folds and values of C.

python benchmarks/solver.py --data ham10000 --cache CACHE --weights WEIGHTS
python benchmarks/solver.py --n 3000 --d 512 --classes 7
python benchmarks/solver.py --n 112000 --d 768 --labels 14 --folds 1 --cs 1
python benchmarks/solver.py --n 112000 --d 768 --labels 14 --fitted-folds 1 --sklearn-labels 2
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

import embedkit as ek
from embedkit.probing.heads.classifiers import SEARCH_ACCURACY
from embedkit.probing.solver.logistic import ACCURACY, solve, solve_folds
from embedkit.probing.solver.rotation import Ready

# The C that is fitted on all rows after a search.
REFIT = 0.01


def synthetic(n: int, d: int, columns: int, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors whose variances fall as 1 / j, as a network's do, and classes or labels that lie in them."""
    rng = np.random.default_rng(0)
    spectrum = np.arange(1, d + 1, dtype=np.float32) ** -0.5
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)
    Z = rng.standard_normal((n, d), dtype=np.float32)
    margin = 3 * (Z * spectrum) @ rng.standard_normal((d, columns), dtype=np.float32) / np.linalg.norm(spectrum)
    noisy = margin + rng.logistic(size=margin.shape)
    truth = np.eye(columns)[noisy.argmax(axis=1)] if exclusive else (noisy > np.linspace(0, 6, columns)).astype(float)
    return np.asarray((Z * spectrum) @ axes), truth


def cached(name: str, model: str, cache: str | None, weights: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of a cached set and its classes, one column each."""
    embeddings = ek.load(model, name, cache=cache, weights=weights)
    names, codes = np.unique(embeddings.table["label"].to_numpy(str), return_inverse=True)
    return np.asarray(embeddings.X, np.float32), np.eye(len(names))[codes]


def objective(X: np.ndarray, truth: np.ndarray, w: np.ndarray, b: np.ndarray, C: float) -> float:
    """Return scikit-learn's objective of a softmax, or of one sigmoid where w has one row."""
    scores = X @ w.T.astype(np.float64) + b
    if len(w) == 1:
        losses = np.logaddexp(0, np.where(truth[:, -1:] == 1, -scores, scores))
    else:
        losses = np.logaddexp.reduce(scores, axis=1) - scores[truth == 1]
    return float(C * losses.sum() + (w**2).sum() / 2)


def refit() -> float:
    """Return the seconds of scikit-learn's fit of one C on all rows."""
    begun = time.perf_counter()
    LogisticRegression(C=REFIT, tol=arguments.tol, max_iter=arguments.max_iter).fit(X, truth.argmax(axis=1))
    return time.perf_counter() - begun


def reference(X: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return scikit-learn's solutions, (C, classes, d + 1): its search over C on one fold, or one fit of one C."""
    how = {"tol": arguments.tol, "max_iter": arguments.max_iter}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(Cs) == 1:
            one = LogisticRegression(C=Cs[0], **how).fit(X[rows], y[rows])
            return np.column_stack([one.coef_, one.intercept_])[None]
        cut = [(np.flatnonzero(rows), np.flatnonzero(~rows))]
        search = LogisticRegressionCV(
            Cs=Cs, cv=cut, refit=False, scoring="neg_log_loss", use_legacy_attributes=True, l1_ratios=(0,), **how
        ).fit(X, y)
    paths = [np.squeeze(search.coefs_paths_[name], axis=0) for name in sorted(search.coefs_paths_)]
    return np.stack([path.reshape(len(Cs), -1) for path in paths], axis=1)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="a cached data set; made-up vectors without it")
parser.add_argument("--model", default="resnet50-v1")
parser.add_argument("--cache")
parser.add_argument("--weights")
parser.add_argument("--n", type=int, default=2000)
parser.add_argument("--d", type=int, default=256)
parser.add_argument("--classes", type=int, default=4)
parser.add_argument("--labels", type=int, help="so many labels in the place of classes")
parser.add_argument("--folds", type=int, default=5)
parser.add_argument("--cs", type=int, default=45, help="values of C from 1e-6 to 1e5; .01 if 1")
parser.add_argument("--fitted-folds", type=int, help="so many of the folds are fitted: 1 is a split of its own")
parser.add_argument("--sklearn-labels", type=int, help="scikit-learn's time for all is scaled from so many labels")
parser.add_argument("--sklearn-folds", type=int, default=1, help="scikit-learn's time for all is scaled from so many")
parser.add_argument("--device", default="cpu", help="where embedkit fits: cpu or cuda")
parser.add_argument("--max-iter", type=int, default=100)
parser.add_argument("--tol", type=float, default=1e-4)
arguments = parser.parse_args()

exclusive = arguments.labels is None
if arguments.data:
    X, truth = cached(arguments.data, arguments.model, arguments.cache, arguments.weights)
else:
    X, truth = synthetic(arguments.n, arguments.d, arguments.labels or arguments.classes, exclusive)
X = ((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12)).astype(np.float32)
Cs = np.logspace(-6, 5, arguments.cs) if arguments.cs > 1 else np.array([0.01])
fold = np.random.default_rng(0).permutation(len(X)) % arguments.folds
kept = (
    np.stack([fold != number for number in range(arguments.folds)])
    if arguments.folds > 1
    else np.ones((1, len(X)), bool)
)
kept = kept[: arguments.fitted_folds]
print(f"{len(X)} x {X.shape[1]}, {truth.shape[1]} {'classes' if exclusive else 'labels'}, ", end="")
print(f"{len(Cs)} values of C, {len(kept)} folds", flush=True)

begun, processor = time.perf_counter(), time.process_time()
searching, ready = len(Cs) > 1, Ready(X, arguments.device)
found = solve_folds(ready, truth, exclusive, Cs, kept.astype(float), SEARCH_ACCURACY if searching else ACCURACY)
if searching:
    solve(ready, truth, exclusive, [REFIT])
kit, kit_processor = time.perf_counter() - begun, time.process_time() - processor
print(f"embedkit      {kit:8.1f} s ({kit_processor:.1f} s of processors), ", end="")
print(f"{found.multiply_adds / 1e12:.2f} T multiply-adds, {found.converged.mean():.1%} converged", flush=True)

fits = min(arguments.sklearn_folds, len(kept))
columns = [truth] if exclusive else [truth[:, [k]] for k in range(truth.shape[1])]
# Rare and frequent ones alike.
chosen = np.linspace(0, len(columns) - 1, arguments.sklearn_labels or len(columns)).round().astype(int).tolist()
ratios, seconds, spent = np.ones((len(Cs), fits, len(chosen))), 0.0, 0.0
for number in range(fits):
    rows = kept[number]
    for place, k in enumerate(chosen):
        column = columns[k]
        begun, processor = time.perf_counter(), time.process_time()
        theirs = reference(X, column.argmax(axis=1) if exclusive else column[:, 0], rows)
        seconds += time.perf_counter() - begun
        spent += time.process_time() - processor
        for c, C in enumerate(Cs):
            w, b = found.coef[number, c], found.intercept[number, c]
            if not exclusive:
                w, b = w[[k]], b[[k]]
            elif truth.shape[1] == 2:
                w, b = w[1:], b[1:]
            ours = objective(X[rows], column[rows], w, b, C)
            ratios[c, number, place] = ours / objective(X[rows], column[rows], theirs[c, :, :-1], theirs[c, :, -1], C)
scale = len(kept) / fits * len(columns) / len(chosen)
whole = seconds * scale + (refit() if searching and exclusive else 0)
print(f"scikit-learn  {whole:8.1f} s ({spent * scale:.1f} s of processors), ", end="")
print(f"from {fits} of {len(kept)} folds, {len(chosen)} of {len(columns)} problems, ", end="")
print(f"tol {arguments.tol:g}, max_iter {arguments.max_iter}")
print(f"scikit-learn / embedkit {whole / kit:.1f}")
for C, ratio in zip(Cs, ratios, strict=True):
    print(f"C {C:8.2g}  objective embedkit / scikit-learn {ratio.min():.9f} to {ratio.max():.9f}")
