"""The loop on a network with dropout: resumed to the bit, counted by the formula, stopped where it must."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from embedkit.baselines import Recipe
from embedkit.baselines.training import Lesson, Trainer
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.extraction import Interrupted, Silent

PREPROCESSING = Preprocessing(16, 16, "squash", "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
PER_IMAGE = 16 * 16 * 4 * 3 * 9 + 4 * 2


class StopAfter(Silent):
    """Presses Ctrl-C in an epoch."""

    def __init__(self, images: int) -> None:
        self.left = images

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


def _lesson(n: int = 40, val: int = 10, exclusive: bool = True) -> Lesson:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (n + val, 16, 16, 3), dtype=np.uint8)
    label = rng.integers(2, size=n + val)
    pixels[label == 1] += 50
    truth = np.eye(2)[label]
    if not exclusive:
        truth = np.column_stack([label, rng.integers(2, size=n + val)]).astype(float)
        truth[::4, 1] = np.nan
    rows = np.arange(n + val)
    return Lesson(pixels, rows[:n], truth[:n], None, rows[n:], truth[n:], exclusive, 0, 0)


def _trainer(place: Path, lesson: Lesson | None = None, precision: str = "fp32", **choices: Any) -> Trainer:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(4, 2),
    )
    recipe = Recipe(**{"size": 16, "epochs": 5, "batch": 8, "lr": 0.05, "patience": 5, **choices})
    place = place / "state.safetensors"
    return Trainer(network, lesson or _lesson(), recipe, PREPROCESSING, device="cpu", precision=precision, place=place)


def _weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}


def test_a_resumed_training_has_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "a")
    whole.run("whole", Silent())
    with pytest.raises(Interrupted, match="The 2 finished epochs"):
        _trainer(tmp_path / "b").run("part", StopAfter(2 * 40 + 10))
    torch.manual_seed(77)
    resumed = _trainer(tmp_path / "b")
    assert len(resumed.course.history) == 2
    resumed.run("rest", Silent())
    assert resumed.course.history == whole.course.history
    assert all(torch.equal(tensor, _weights(whole)[name]) for name, tensor in _weights(resumed).items())


def test_dropout_draws_anew_in_each_epoch_and_leaves_no_trace(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trainer.run("one", Silent())
    assert torch.equal(torch.rand(3), expected)
    losses = [entry["loss"] for entry in trainer.course.history]
    assert len(set(losses)) == len(losses)


def test_multiply_adds_are_three_passes_of_train_and_one_of_validation(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, epochs=3)
    assert trainer.multiply_adds == PER_IMAGE
    course = trainer.run("count", Silent())
    assert course.cost.multiply_adds == 3 * PER_IMAGE * (3 * 40 + 10)


def test_the_network_ends_with_its_best_epoch(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, epochs=8)
    course = trainer.run("best", Silent())
    judged = trainer._validate()
    best = course.history[course.best - 1]
    assert (judged["auc"], judged["val_loss"]) == (best["auc"], best["val_loss"])


def test_a_training_that_brings_nothing_stops_early(tmp_path: Path) -> None:
    course = _trainer(tmp_path, epochs=30, patience=2, lr=1e-8).run("stuck", Silent())
    assert len(course.history) == course.best + 2 < 30


def test_labels_that_are_not_judged_are_learnt_around(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, _lesson(exclusive=False), epochs=12)
    course = trainer.run("labels", Silent())
    first, last = course.history[0]["loss"], course.history[-1]["loss"]
    assert first is not None
    assert last is not None
    assert np.isfinite(last)
    assert last < first
    assert trainer.scores(trainer.lesson.pixels, trainer.lesson.val_rows).shape == (10, 2)


def test_no_validation_images_keep_the_last_epoch(tmp_path: Path) -> None:
    course = _trainer(tmp_path, _lesson(val=0), epochs=3).run("none", Silent())
    assert (course.best, [entry["auc"] for entry in course.history]) == (3, [None] * 3)


def test_a_loss_that_is_lost_says_what_to_do(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    with torch.no_grad():
        trainer.network[6].bias.fill_(float("nan"))  # type: ignore[index]
    with pytest.raises(EmbedkitError, match="lower learning rate"):
        trainer.run("lost", Silent())


def test_bf16_gives_nearly_the_scores_of_fp32(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, epochs=2)
    trainer.run("fp32", Silent())
    lesson = trainer.lesson
    exact = trainer.scores(lesson.pixels, lesson.val_rows)
    trainer.precision = "bf16"
    rough = trainer.scores(lesson.pixels, lesson.val_rows)
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_bf16_learns_in_steps_of_its_own(tmp_path: Path) -> None:
    rough = _trainer(tmp_path / "a", precision="bf16").run("bf16", Silent())
    exact = _trainer(tmp_path / "b").run("fp32", Silent())
    for one, two in zip(rough.history, exact.history, strict=True):
        assert one["loss"] != two["loss"]
        assert one["loss"] == pytest.approx(two["loss"], abs=0.05)
