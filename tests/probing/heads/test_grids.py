"""The catalog of classifiers and of the values they are tried with."""

import numpy as np
import pytest

from embedkit.probing.heads.classifiers import make_head
from embedkit.probing.heads.grids import GRIDS


def test_the_values_of_c_are_those_of_dinov2() -> None:
    np.testing.assert_allclose(GRIDS["logistic"].values, np.logspace(-6, 5, 45), rtol=1e-12)


@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_every_classifier_has_a_head_with_the_parameter_and_values_it_takes(classifier: str) -> None:
    grid, head = GRIDS[classifier], make_head(classifier)
    assert head.parameter == grid.parameter
    assert list(grid.values) == sorted(set(grid.values))
    if not grid.parameter:
        assert len(grid.values) == 1
        return
    assert grid.values[0] < getattr(head, grid.parameter) < grid.values[-1]
    assert head.limits[0] <= grid.values[0]
    assert grid.values[-1] <= head.limits[1]
