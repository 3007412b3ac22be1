"""The loop: epochs of training, each judged on validation images and written down before the next begins."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.baselines import batches, checkpoint
from embedkit.baselines.course import Course
from embedkit.baselines.objective import mean_loss, schedule, to_scores
from embedkit.baselines.recipe import Recipe
from embedkit.cost import count_multiply_adds, measured
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.extraction import Interrupted, Progress
from embedkit.probing.measures.metrics import NAMES, Judged, measure

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# A training step is a forward pass and a backward pass for the inputs and one for the weights of each layer.
_PASSES_OF_A_STEP = 3
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Lesson:
    """What a network learns from.

    Attributes:
        pixels: (N, size, size, 3) uint8. rows: (n,) the images to learn. truth: (n, K) of 1, 0 or NaN (not judged).
        weights: (n,) or (n, K), what each counts in the loss; None where all count 1.
        val_rows, val_truth: the images that choose the epoch, (v,) and (v, K); none where v is 0.
        exclusive: classes, not labels. seed, fold: what chance depends on.
    """

    pixels: np.ndarray
    rows: np.ndarray
    truth: np.ndarray
    weights: np.ndarray | None
    val_rows: np.ndarray
    val_truth: np.ndarray
    exclusive: bool
    seed: int
    fold: int


class Trainer:
    """Trains one network in its place on the disk, from where an earlier run left it."""

    def __init__(
        self,
        network: "nn.Module",
        lesson: Lesson,
        recipe: Recipe,
        preprocessing: Preprocessing,
        *,
        device: str,
        precision: str,
        place: Path,
    ) -> None:
        import torch

        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.lesson, self.recipe, self.place = lesson, recipe, place
        self.device, self.precision = torch.device(device), precision
        self.mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
        self.optimiser = torch.optim.AdamW(_parameter_groups(self.network, recipe), lr=recipe.learning_rate)
        self.best: dict[str, Tensor] = {}
        self.course = Course()
        self.steps = -(-len(lesson.rows) // recipe.batch)
        with torch.inference_mode():
            one = torch.zeros(1, 3, preprocessing.size, preprocessing.size, device=self.device)
            self.multiply_adds = count_multiply_adds(lambda: self.network.eval()(one))
        self._resume()
        # An epoch counts as kept once it is on the disk: Ctrl-C may come while it is written.
        self.kept = len(self.course.history)

    def run(self, what: str, progress: Progress) -> Course:
        """Train until the recipe says so, and leave the network with the weights of its best epoch.

        Raises:
            Interrupted: Ctrl-C; the epochs that were finished are kept.
            EmbedkitError: the loss is not finite; the disk is full.
        """
        course, left = self.course, self.recipe.epochs - len(self.course.history)
        if not course.finished:
            progress.start(what, left * len(self.lesson.rows))
        try:
            while not course.finished:
                self._epoch(progress)
                progress.note(f"{what}: {course.in_words(self.recipe)}")
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"stopped. The {self.kept} finished epochs of {what} are kept: run the same command again to go on"
            ) from error
        finally:
            progress.stop()
        self.network.load_state_dict(self.best)
        return course

    def scores(self, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the scores (m, K) of images: of two classes -s and s, of more log-probabilities, of labels logits."""
        return to_scores(self._logits(pixels, rows), self.lesson.exclusive)

    def passes(self, count: int) -> int | None:
        """Return the multiply-adds of so many images seen once, forward."""
        return None if self.multiply_adds is None else self.multiply_adds * count

    def _epoch(self, progress: Progress) -> None:
        lesson, course, number = self.lesson, self.course, len(self.course.history) + 1
        with measured() as meter, _chance(lesson, number, self.device):
            loss = self._learn(number, progress)
            better = course.add({"loss": loss, **self._validate()}, self.recipe)
            meter.multiply_adds = self.passes(_PASSES_OF_A_STEP * len(lesson.rows) + len(lesson.val_rows))
        course.cost += meter.cost
        if better:
            self.best = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        checkpoint.save(self.place, self._state(), course.record())
        self.kept = number

    def _learn(self, number: int, progress: Progress) -> float:
        lesson, recipe = self.lesson, self.recipe
        order, generator = batches.shuffled(len(lesson.rows), recipe.batch, lesson.seed, lesson.fold, number)
        self.network.train()
        total = 0.0
        for step, chosen in enumerate(order):
            pictures = batches.to_images(lesson.pixels[lesson.rows[chosen]], self.device)
            logits = self._forward(batches.varied(pictures, generator, recipe.flip))
            weights = None if lesson.weights is None else lesson.weights[chosen]
            loss = mean_loss(logits, lesson.truth[chosen], lesson.exclusive, weights)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise EmbedkitError(
                    f"the loss is no longer finite in epoch {number}: choose a lower learning rate than "
                    f"{recipe.learning_rate:g} (--lr), or --precision fp32"
                )
            self._step(loss, (number - 1) * self.steps + step)
            total += value * len(chosen)
            progress.advance(len(chosen))
        return total / len(lesson.rows)

    def _step(self, loss: "Tensor", step: int) -> None:
        from torch.nn.utils import clip_grad_norm_

        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * schedule(step, self.steps, self.recipe.epochs)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()

    def _validate(self) -> dict[str, float | None]:
        lesson = self.lesson
        if not len(lesson.val_rows):
            return {"auc": None, "val_loss": None}
        logits = self._logits(lesson.pixels, lesson.val_rows)
        judged = Judged(
            lesson.val_truth, to_scores(logits, lesson.exclusive), np.zeros(len(logits), np.int64), lesson.exclusive
        )
        auc = float(measure(judged, np.ones((1, len(logits)), np.int64))[0, NAMES.index("auc")])
        loss = float(mean_loss(logits, lesson.val_truth, lesson.exclusive, None))
        return {"auc": None if math.isnan(auc) else auc, "val_loss": loss}

    def _logits(self, pixels: np.ndarray, rows: np.ndarray) -> "Tensor":
        import torch

        self.network.eval()
        with torch.inference_mode(), _exact(self.device):
            parts = batches.in_order(len(rows), self.recipe.batch)
            return torch.cat(
                [self._forward(batches.to_images(pixels[rows[part]], self.device)).cpu() for part in parts]
            )

    def _forward(self, pictures: "Tensor") -> "Tensor":
        import torch

        images = pictures.sub(self.mean).div(self.std)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits: Tensor = self.network(images)
        return logits.float()

    def _state(self) -> "dict[str, Tensor]":
        # A finished training needs no more than the weights it is judged by.
        kept = {f"best.{name}": tensor for name, tensor in self.best.items()}
        if self.course.finished:
            return kept
        kept |= {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for number, entries in self.optimiser.state_dict()["state"].items():
            kept |= {f"optimiser.{number}.{name}": tensor for name, tensor in entries.items()}
        return kept

    def _resume(self) -> None:
        found = checkpoint.load(self.place)
        if found is None:
            return
        tensors, record = found
        self.course = Course.of(record)
        self.best = _under("best.", tensors)
        if self.course.finished:
            return
        self.network.load_state_dict(_under("network.", tensors))
        entries: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser.", tensors).items():
            number, _, entry = name.partition(".")
            entries.setdefault(int(number), {})[entry] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": entries, "param_groups": groups})


def _under(prefix: str, tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _parameter_groups(network: "nn.Module", recipe: Recipe) -> list[dict[str, Any]]:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _chance(lesson: Lesson, epoch: int, device: "torch.device") -> Iterator[None]:
    """Let what draws from torch's own generator (dropout) depend on seed, fold and epoch, and leave no trace of it."""
    import torch

    state = np.random.SeedSequence([lesson.seed, lesson.fold, epoch, 1]).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _exact(device):
        torch.manual_seed(int(state) >> 1)
        yield


def _exact(device: "torch.device") -> Any:
    import torch

    # TF32 would make fp32 on a GPU a third precision, and kernels chosen by a race would make runs differ.
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
