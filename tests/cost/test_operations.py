"""Counted multiply-adds against the formula and published figures."""

import numpy as np
import pytest
import torch
from torch import nn

from embedkit.cost import count_multiply_adds


def test_a_convolution_and_a_matrix_by_the_formula() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, 10))
    images = torch.zeros(2, 3, 16, 16)
    assert count_multiply_adds(lambda: layers(images)) == 2 * (8 * 8 * 8 * 3 * 5 * 5 + 8 * 8 * 8 * 10)


def test_attention_by_the_formula() -> None:
    q = torch.zeros(1, 4, 10, 16)
    # Scores and the mean of the values: 4 heads, 10 x 10, 16 each.
    assert count_multiply_adds(lambda: nn.functional.scaled_dot_product_attention(q, q, q)) == 2 * 4 * 10 * 10 * 16


def test_resnet18_has_its_published_1_8_billion() -> None:
    import timm

    network = timm.create_model("resnet18").eval()
    with torch.inference_mode():
        counted = count_multiply_adds(lambda: network(torch.zeros(1, 3, 224, 224)))
    assert counted == pytest.approx(1.82e9, rel=0.005)


def test_what_torch_does_not_compute_is_not_known() -> None:
    assert count_multiply_adds(lambda: np.ones((3, 3)) @ np.ones((3, 3))) is None
