"""A training in a process of its own, to be killed."""

import signal
import sys
from pathlib import Path

import torch

from embedkit.baselines import Recipe, train
from embedkit.extraction import Progress
from embedkit.probing import ProbeResult, Settings
from tests.baselines.conftest import with_split, write_set

EPOCHS = 10


def run(folder: Path, workspace: Path, progress: Progress | None = None) -> ProbeResult:
    """Train a tiny network on forty images, deterministically."""
    dataset = with_split(write_set(folder, "killed", 56), 40, 8)
    recipe = Recipe(
        arch="test_resnet", size=32, epochs=EPOCHS, batch=8, patience=EPOCHS, device="cpu", precision="fp32"
    )
    return train(dataset, None, recipe, Settings(replicates=50), workspace=workspace, workers=0, progress=progress)


if __name__ == "__main__":
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and this process would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), Path(sys.argv[2]))
