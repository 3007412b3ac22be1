"""Seconds of a shots x draws table of Tip-Adapter-F, LP++ and alignment beside a plain torch loop over every run.

python benchmarks/fewshot.py --data ham10000 --cache CACHE --weights WEIGHTS
python benchmarks/fewshot.py --data ham10000 --cache CACHE --weights WEIGHTS --shots "" --fractions 50,100
python benchmarks/fewshot.py --n 2000 --d 512
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

import embedkit as ek
from embedkit.encoders import text_tower
from embedkit.probing import Settings, make_plan
from embedkit.probing.learning_curve import amounts_of
from embedkit.text import choose_prompts, embed_classes
from embedkit.text.aligning import projection
from embedkit.text.fewshot import lp_plus_plus, prepare, tip_adapter, tip_adapter_f
from embedkit.text.fewshot.course import batches
from embedkit.text.fewshot.draws import draws_of, together
from embedkit.text.fewshot.shots import Shots


def quality(logits: Tensor, y: Tensor) -> tuple[float, float]:
    """Return what a choice goes by: the macro AUC (rounded, so that ties are ties), then the log loss."""
    p, truth = torch.softmax(logits.double(), dim=-1).numpy(), y.numpy()
    aucs = [roc_auc_score(truth == k, np.log(p[:, k] + 1e-300)) for k in range(p.shape[1])]
    return round(float(np.mean(aucs)), 9), -float(log_loss(truth, p, labels=range(p.shape[1])))


def tip_f(shots: Shots, b: int) -> Tensor:
    """Return the judged scores of one run of Tip-Adapter-F."""
    F, F_val, F_test = (part.F[b] for part in (shots.train, shots.val, shots.test))
    text, text_val, text_test = (
        shots.scale[b] * part.Z[b] @ shots.W.T for part in (shots.train, shots.val, shots.test)
    )
    y, y_val = shots.train.y[b], shots.val.y[b]
    V, K = one_hot(y, len(shots.W)).float(), torch.nn.Parameter(F.clone())
    optimizer = torch.optim.AdamW([K], tip_adapter_f.LEARNING_RATE, eps=1e-4)
    order = list(batches(len(F), tip_adapter_f.EPOCHS, 0))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
    alpha, beta = tip_adapter.ALPHA, tip_adapter.BETA

    def logits(images: Tensor, words: Tensor, keys: Tensor, alpha: float, beta: float) -> Tensor:
        return words + alpha * torch.exp(-beta * (1 - images @ keys.T)) @ V

    kept, best = K.detach().clone(), quality(logits(F_val, text_val, K.detach(), alpha, beta), y_val)
    for _, last, rows in order:
        optimizer.zero_grad()
        cross_entropy(logits(F[rows], text[rows], K, alpha, beta), y[rows]).backward()
        optimizer.step()
        schedule.step()
        if last and (now := quality(logits(F_val, text_val, K.detach(), alpha, beta), y_val)) > best:
            kept, best = K.detach().clone(), now
    grid = [(alpha, beta) for alpha in tip_adapter.ALPHAS for beta in tip_adapter.BETAS]
    alpha, beta = max(grid, key=lambda one: quality(logits(F_val, text_val, kept, *one), y_val))
    return logits(F_test, text_test, kept, alpha, beta)


def lp(shots: Shots, b: int) -> Tensor:
    """Return the judged scores of one run of LP++, in all dimensions."""
    mean = shots.train.F[b].mean(dim=0)
    F, F_val, F_test = (part.F[b] - mean for part in (shots.train, shots.val, shots.test))
    words, words_val, words_test = (part.Z[b] @ shots.W.T for part in (shots.train, shots.val, shots.test))
    y, y_val = shots.train.y[b], shots.val.y[b]
    w = torch.stack([F[y == k].mean(dim=0) for k in range(len(shots.W))]).requires_grad_()
    alpha = torch.full((len(shots.W),), float(shots.scale[b])).requires_grad_()
    step_w = 2 * len(F) / torch.linalg.eigvalsh(F @ F.T)[-1]
    step_alpha = 2 * len(F) / words.square().sum(dim=0).max()
    kept, best = (w, alpha), (-1.0, 0.0)
    for iteration in range(lp_plus_plus.STOPS[-1] + 1):
        if iteration in lp_plus_plus.STOPS:
            with torch.no_grad():
                now = quality(F_val @ w.T + alpha * words_val, y_val)
            if now > best:
                kept, best = (w.detach().clone(), alpha.detach().clone()), now
        for block, size in ((w, step_w), (alpha, step_alpha)):
            (gradient,) = torch.autograd.grad(cross_entropy(F @ w.T + alpha * words, y), [block])
            with torch.no_grad():
                block.sub_(size * gradient)
    return F_test @ kept[0].T + kept[1] * words_test


def align(shots: Shots, b: int) -> Tensor:
    """Return the judged scores of one alignment: one penalty after the other, in all dimensions of images and texts."""
    F, F_val, F_test = (part.F[b] for part in (shots.train, shots.val, shots.test))
    y, y_val, W = shots.train.y[b], shots.val.y[b], shots.W
    found: list[tuple[tuple[float, float], tuple[Tensor, ...]]] = []
    for penalty in projection.PENALTIES:
        A = torch.zeros(1, W.shape[1], F.shape[1], requires_grad=True)
        bias = W.mean(dim=0)[None].clone().requires_grad_()
        log_scale = torch.full((1,), projection.SCALE).log().requires_grad_()
        descent = projection._Descent([A, bias, log_scale], projection.STEPS)

        def logits(images: Tensor, A: Tensor, bias: Tensor, log_scale: Tensor) -> Tensor:
            return log_scale.exp().clamp(max=projection.MOST) * normalize(images @ A[0].T + bias, dim=-1) @ W.T

        for number in range(projection.STEPS + 1):
            if number and number % projection.LOOK_EVERY == 0:
                now = tuple(one.detach().clone() for one in (A, bias, log_scale))
                found.append((quality(logits(F_val, *now), y_val), now))
            descent.step(cross_entropy(logits(F, A, bias, log_scale), y) + penalty * A.square().sum())
    return logits(F_test, *max(found, key=lambda one: one[0])[1])


def timed(work: Callable[[], list[Tensor]]) -> tuple[list[Tensor], float, float]:
    """Return what the work gives, and its seconds on the clock and of processors."""
    begun, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - begun, time.process_time() - processor


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="a cached data set; made-up vectors without it")
parser.add_argument("--model", default="resnet50-v1")
parser.add_argument("--cache")
parser.add_argument("--weights")
parser.add_argument("--n", type=int, default=5984)
parser.add_argument("--d", type=int, default=2048)
parser.add_argument("--classes", type=int, default=7)
parser.add_argument("--text", type=int, default=384, help="dimensions of the made-up class texts")
parser.add_argument("--text-encoder", default="minilm", help="of the class texts of --data")
parser.add_argument("--shots", default="1,2,4,8,16")
parser.add_argument("--fractions", default="", help="of the training images, in percent")
parser.add_argument("--draws", type=int, default=5)
parser.add_argument("--plain-draws", type=int, default=5, help="the plain loop's time for all is scaled from so many")
arguments = parser.parse_args()

rng = np.random.default_rng(0)
if arguments.data:
    images = ek.load(arguments.model, arguments.data, cache=arguments.cache, weights=arguments.weights)
else:
    y = rng.integers(arguments.classes, size=arguments.n)
    X = rng.normal(size=(arguments.n, arguments.d)) + rng.normal(size=(arguments.classes, arguments.d))[y] / 2
    images = ek.EmbeddingSet.from_arrays(X.astype(np.float32), y)
split = np.where(np.arange(len(images)) % 4 == 0, "test", "train")
images = ek.EmbeddingSet(images.X, images.table.assign(split=split), images.provenance)
settings = Settings.of(
    shots=[int(one) for one in arguments.shots.split(",") if one],
    fractions=[float(one) for one in arguments.fractions.split(",") if one],
    draws=arguments.draws,
)
plan = make_plan(images, None, settings)
labels = plan.train.labels
if arguments.data:
    prompts = choose_prompts(None, str(images.facts.get("modality", "")))
    W = torch.from_numpy(embed_classes(text_tower(arguments.text_encoder), labels.classes, prompts).W).float()
else:
    W = normalize(torch.from_numpy(rng.normal(size=(len(labels.classes), arguments.text))).float(), dim=-1)
amounts = ", ".join(f"{one.size:g} {'%' if one.kind == 'fraction' else 'shots'}" for one in amounts_of(plan, settings))
print(f"{len(images)} x {images.X.shape[1]}, {len(W)} classes; {amounts}, {arguments.draws} draws")

drawn = [
    some
    for amount in amounts_of(plan, settings)
    for some in together(draws_of(plan, amount, settings.draws, settings.seed), images.X.shape[1])
]
aligned, *spent = timed(lambda: [prepare.aligned(plan, draws, W, "cross-entropy") for draws in drawn])
methods = {
    "alignment": (align, None, lambda shots: shots.zero_shot(shots.test)),
    "tip-adapter-f": (tip_f, tip_adapter_f.tip_adapter_f, None),
    "lp++": (lp, lp_plus_plus.lp_plus_plus, None),
}
whole = [0.0, 0.0]
for name, (plain, method, scores_of) in methods.items():
    if method is None:
        ours, seconds, processor = [scores_of(shots) for shots in aligned], *spent
    else:
        ours, seconds, processor = timed(lambda method=method: [method(shots).scores for shots in aligned])
    gaps, plain_seconds, plain_processor = [], 0.0, 0.0
    for shots, scores in zip(aligned, ours, strict=True):
        some = min(arguments.plain_draws, len(scores))
        theirs, *cost = timed(lambda plain=plain, shots=shots, some=some: [plain(shots, b) for b in range(some)])
        plain_seconds += cost[0] * len(scores) / some
        plain_processor += cost[1] * len(scores) / some
        other = torch.stack(theirs)
        gaps.append((torch.softmax(scores[:some], dim=-1) - torch.softmax(other, dim=-1)).abs().amax(dim=(1, 2)))
    gap = torch.cat(gaps)
    whole[0] += seconds
    whole[1] += plain_seconds
    print(
        f"{name:14} embedkit {seconds:7.1f} s ({processor:.1f} s of processors), plain loop "
        f"{plain_seconds:7.1f} s ({plain_processor:.1f} s), "
        f"ratio {plain_seconds / seconds:.1f}; "
        f"probabilities differ by {gap.median():.1e} (median run), in {(gap > 1e-2).sum()} of {len(gap)} runs by more "
        "than .01",
        flush=True,
    )
print(f"all            embedkit {whole[0]:7.1f} s, plain loop {whole[1]:7.1f} s, ratio {whole[1] / whole[0]:.1f}")
