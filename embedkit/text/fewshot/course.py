"""The course of a training of several draws at once: its batches, and each draw's best epoch on validation."""

from collections.abc import Callable, Iterator, Sequence
from math import inf

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from embedkit.text.fewshot import choice

BATCH = 256


def batches(rows: int, epochs: int, seed: int) -> Iterator[tuple[int, bool, Tensor]]:
    """Yield the epoch (from 1), whether it ends here, and the rows of each batch, in a new order in every epoch."""
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(1, epochs + 1):
        parts = torch.split(torch.randperm(rows, generator=generator), BATCH)
        for number, part in enumerate(parts, start=1):
            yield epoch, number == len(parts), part


class Course:
    """Keeps the parameters of each draw's best epoch.

    Args:
        y: (B, m), the classes of the validation shots.
        patience: a draw that has not become better for more epochs than that is taken as it is; by default none is.
    """

    def __init__(self, y: Tensor, patience: float = inf) -> None:
        self.y, self.patience = y, patience
        self.epochs = [0] * len(y)
        self.kept: list[Tensor] = []
        self._best: Tensor | None = None

    @torch.no_grad()
    def keep(self, epoch: int, known: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
        """Take over the draws whose validation shots are ranked better than ever, or as well with a lower log loss.

        Args:
            epoch: its number. known: gives the scores of the validation shots, (B, m, K).
            parameters: each (B, ...).
        """
        scores = known().clone()
        if self._best is None:
            self.epochs = [epoch] * len(self.y)
            self._best, self.kept = scores, [one.detach().clone() for one in parameters]
            return
        for b, y in enumerate(self.y):
            # Whatever other draws still do: none depends on another one.
            if not self._over(b, epoch) and choice.best(torch.stack([self._best[b], scores[b]]), y):
                self.epochs[b], self._best[b] = epoch, scores[b]
                for kept, now in zip(self.kept, parameters, strict=True):
                    kept[b] = now[b]

    def _over(self, b: int, epoch: int) -> bool:
        return epoch - self.epochs[b] > self.patience

    def train(
        self,
        optimizer: Optimizer,
        y: Tensor,
        epochs: int,
        seed: int,
        logits: Callable[[Tensor], Tensor],
        known: Callable[[], Tensor],
    ) -> None:
        """Lower the mean log loss of the training shots in steps that shrink as a cosine, and keep the best epochs.

        Args:
            optimizer: of the parameters, each (B, ...). y: (B, n), the classes of the training shots.
            logits: gives those of some training shots, (B, b, K), by their rows. known: as in `keep`.
        """
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        order = list(batches(y.shape[1], epochs, seed))
        schedule = CosineAnnealingLR(optimizer, len(order))
        for epoch, last, rows in order:
            # Summed over draws, so that no draw's step depends on another one.
            loss = cross_entropy(logits(rows).flatten(0, 1), y[:, rows].flatten(), reduction="sum") / len(rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if last:
                self.keep(epoch, known, parameters)
                if all(self._over(b, epoch + 1) for b in range(len(self.y))):
                    break

    def best_of(self, several: int) -> list[int]:
        """Return which draw is best of each ``several`` that follow each other and share their validation shots."""
        assert self._best is not None
        stretches = self._best.reshape(-1, several, *self._best.shape[1:])
        return [i * several + choice.best(one, self.y[i * several]) for i, one in enumerate(stretches)]
