"""A few images of a set: the same ones each time, of all classes, and only such as can be read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.datasets import ImageSet, open_dataset
from embedkit.extraction.decode import Way
from embedkit.extraction.drawn import draw, in_drawn_order
from tests.extraction.fake import PREPROCESSING, write_images, write_odd_images

WAY = Way(PREPROCESSING)


def _set(n: int, **columns: object) -> ImageSet:
    ids = [f"{'ab'[i >= n // 2]}/{i}.png" for i in range(n)]
    return ImageSet("set", Path(), pd.DataFrame({"id": ids, "path": ids, **columns}), {})


def test_the_order_is_that_of_the_ids_and_of_nothing_else() -> None:
    order = in_drawn_order(_set(400))
    assert sorted(order) == list(range(400))
    assert order == in_drawn_order(_set(400, label=["x"] * 400))
    # Classes follow each other in the table, and not in the order: about half of the first hundred are of each.
    assert 30 < sum(row < 200 for row in order[:100]) < 70
    shorter = _set(400)
    kept = shorter.table.iloc[100:].reset_index(drop=True)
    assert in_drawn_order(ImageSet("set", Path(), kept, {})) == [row - 100 for row in order if row >= 100]


def test_a_split_is_taken_where_the_set_has_it() -> None:
    assert set(in_drawn_order(_set(6, split=["train", "test"] * 3), "train")) == {0, 2, 4}
    assert len(in_drawn_order(_set(6, split=["test"] * 6), "train")) == 6
    assert len(in_drawn_order(_set(6), "train")) == 6


@pytest.mark.parametrize("workers", [0, 1])
def test_what_cannot_be_read_is_passed_over_and_nothing_is_taken_twice(folder: Path, workers: int) -> None:
    write_odd_images(folder, 80)
    dataset = open_dataset(f"folder:{folder}")
    order = in_drawn_order(dataset)
    found = draw(dataset, order, 70, WAY, workers)
    assert len(found.rows) == len(set(found.digests)) == len(found.pixels) == 70
    everything = draw(dataset, order, 1000, WAY, workers)
    assert len(everything.rows) == 80
    assert everything.rows[:70] == found.rows
    assert "broken.png" not in " ".join(dataset.table["path"][everything.rows])
    rest = draw(dataset, order, 1000, WAY, workers, without=set(found.digests))
    assert set(rest.digests) == set(everything.digests) - set(found.digests)
    number = found.rows[3]
    alone = draw(dataset, [number], 1, WAY, 0)
    assert (alone.pixels[0] == found.pixels[3]).all()


def test_of_no_image_nothing_is_drawn(tmp_path: Path) -> None:
    write_images(tmp_path, 2)
    for path in tmp_path.rglob("*.png"):
        path.write_text("no image")
    dataset = open_dataset(f"folder:{tmp_path}")
    found = draw(dataset, in_drawn_order(dataset), 5, WAY, 0)
    assert (found.rows, found.digests, found.pixels.shape) == ([], [], (0, *WAY.shape))
    assert found.pixels.dtype == np.uint8
