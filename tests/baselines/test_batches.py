"""Order and variation: nobody is left out, nothing depends on what ran before, and harm is done to no image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from embedkit.baselines import batches


@given(st.integers(2, 300), st.integers(2, 64), st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_every_image_once_and_none_alone(count: int, batch: int, seed: int, fold: int, epoch: int) -> None:
    order, _ = batches.shuffled(count, batch, seed, fold, epoch)
    assert sorted(np.concatenate(order).tolist()) == list(range(count))
    sizes = [len(part) for part in order]
    assert max(sizes) <= batch
    assert min(sizes) >= 2 or batch < 4
    assert max(sizes) - min(sizes) <= 1


def test_order_and_generator_depend_on_seed_fold_and_epoch() -> None:
    def drawn(*key: int) -> tuple[list[int], float]:
        order, generator = batches.shuffled(50, 8, *key)
        return np.concatenate(order).tolist(), float(torch.rand(1, generator=generator))

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert drawn(*other)[0] != drawn(1, 2, 3)[0]
        assert drawn(*other)[1] != drawn(1, 2, 3)[1]


@pytest.mark.parametrize("count", [1, 7, 8, 9])
def test_in_order_covers_all(count: int) -> None:
    found = np.concatenate([np.arange(count)[part] for part in batches.in_order(count, 8)])
    assert found.tolist() == list(range(count))


def _pictures(n: int = 6) -> torch.Tensor:
    return batches.to_images(np.random.default_rng(0).integers(0, 256, (n, 20, 24, 3), dtype=np.uint8))


def test_pixels_become_channels_in_0_to_1() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(batches.to_images(pixels).numpy(), pixels.transpose(0, 3, 1, 2).astype("f4") / 255)


def _still(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    for name in ("DEGREES", "SCALE", "SHIFT", "LIGHT"):
        monkeypatch.setattr(batches, name, limits.get(name, 0.0))


def test_without_limits_an_image_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _still(monkeypatch)
    found = batches.varied(_pictures(), torch.Generator().manual_seed(0), flip=False)
    np.testing.assert_allclose(found.numpy(), _pictures().numpy(), atol=1e-5)


def test_a_flip_mirrors_some_images_left_to_right_and_no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    _still(monkeypatch)
    before = _pictures(40).numpy()
    after = batches.varied(_pictures(40), torch.Generator().manual_seed(0), flip=True).numpy()
    mirrored = [bool(np.allclose(a, b[..., ::-1], atol=1e-5)) for a, b in zip(after, before, strict=True)]
    kept = [bool(np.allclose(a, b, atol=1e-5)) for a, b in zip(after, before, strict=True)]
    assert [m != k for m, k in zip(mirrored, kept, strict=True)] == [True] * 40
    assert 8 < sum(mirrored) < 32


def test_a_turn_is_the_turn_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    _still(monkeypatch, DEGREES=10.0)
    square = np.zeros((1, 41, 41, 3), np.uint8)
    square[0, 12:29, 16:25] = 200
    after = batches.varied(batches.to_images(square), torch.Generator().manual_seed(3), flip=False)[0, 0].numpy()
    angle = float((2 * torch.rand(1, generator=torch.Generator().manual_seed(3)) - 1) * 10)
    assert abs(angle) > 2
    turned = ndimage.rotate(square[0, ..., 0] / 255.0, angle, reshape=False, order=1)
    np.testing.assert_allclose(after, turned, atol=0.02)


def test_variation_is_small_reproducible_and_keeps_the_light(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (batches.varied(_pictures(), torch.Generator().manual_seed(3), flip=False) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, batches.varied(_pictures(), torch.Generator().manual_seed(4), flip=False))
    middles = (one - _pictures()).mean(dim=(1, 2, 3)).abs()
    assert float(middles.max()) <= batches.LIGHT + 0.05
