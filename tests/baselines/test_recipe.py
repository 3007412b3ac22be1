"""A recipe that makes no sense is refused with the name of the choice."""

from pathlib import Path
from typing import Any

import pytest

from embedkit.baselines import Recipe
from embedkit.errors import EmbedkitError


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"patience": 0}, "patience = 0"),
        ({"size": 8}, "size = 8"),
        ({"batch": 1}, "batch = 1"),
        ({"lr": 0.0}, "lr = 0.0"),
        ({"lr": 3.0}, "lr = 3.0"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"precision": "fp16"}, "bf16 or fp32"),
    ],
)
def test_what_makes_no_sense_is_refused(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(EmbedkitError, match=said):
        Recipe(**choice)


def test_the_learning_rate_is_lower_from_weights_unless_it_is_given() -> None:
    assert Recipe().learning_rate > Recipe(weights=Path("some.safetensors")).learning_rate
    assert Recipe(weights=Path("some.safetensors"), lr=0.1).learning_rate == 0.1
