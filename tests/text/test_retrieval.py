"""Retrieval by hand, and on published image and text embeddings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedkit.errors import EmbedkitError
from embedkit.text import ranks, top

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "find_captions.py"


def test_ranks_by_hand() -> None:
    texts = np.eye(4)
    images = np.array([[0.9, 0.3, 0.2, 0.1], [0.9, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.9]])
    found = ranks(images, texts, [[0], [2], [0, 3]])
    assert found.tolist() == [0, 2, 0]
    assert top(found, 1) == pytest.approx(2 / 3)
    assert top(found, 3) == 1


def test_a_wrong_text_as_near_as_the_right_one_is_no_hit() -> None:
    assert ranks(np.ones((1, 2)), np.eye(2), [[1]]).tolist() == [1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(EmbedkitError, match="the spaces differ"):
        ranks(np.ones((1, 3)), np.eye(2), [[1]])
    with pytest.raises(EmbedkitError, match="at least one right text"):
        ranks(np.ones((1, 2)), np.eye(2), [[]])


def test_real_embeddings_find_their_captions(data_root: Path) -> None:
    folder = data_root / "lit-embeddings"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    done = subprocess.run([sys.executable, EXAMPLE, folder], capture_output=True, text=True, check=True)
    # Counted by hand: 30 and 48, 45 and 52 of 55 images.
    assert done.stdout.splitlines() == [
        f"the first caption of its five: top-1 {30 / 55:.3f}, top-5 {48 / 55:.3f} (55 images, 267 captions)",
        f"any of its five captions: top-1 {45 / 55:.3f}, top-5 {52 / 55:.3f} (55 images, 267 captions)",
    ]
