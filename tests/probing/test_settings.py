"""Every choice is checked once, and the same choices are known again."""

from typing import Any

import pytest

from embedkit.errors import EmbedkitError
from embedkit.probing.settings import Settings


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"classifier": "svm-rfb"}, "unknown classifier 'svm-rfb'. Did you mean svm-rbf"),
        ({"folds": 1}, "folds = 1 is too small: give 2 or more"),
        ({"replicates": 0}, "replicates = 0 is too small"),
        ({"repeats": 0}, "repeats = 0 is too small"),
        ({"draws": 1}, "draws = 1 is too small: give 2 or more"),
        ({"seed": -1}, "seed = -1 is too small"),
        ({"seed": 2**31 + 1}, "seed = 2147483649 is too large"),
        ({"split": "publishd"}, "unknown split 'publishd'. Did you mean published? There are published, folds."),
        ({"pool": "max"}, "unknown pool 'max'"),
        ({"views": "view"}, "views = view are joined over the images of a case"),
        ({"class_weight": "equal"}, "unknown class_weight 'equal'"),
        ({"specificity": 1.0}, "specificity = 1.0 is no proportion"),
        ({"sensitivity": 90}, "sensitivity = 90 is no proportion"),
        ({"fractions": [0, 10]}, "each is a percentage above 0 and up to 100"),
        ({"fractions": [101]}, "each is a percentage above 0 and up to 100"),
        ({"shots": [0]}, "each is a number of images per class, 1 or more"),
        ({"fold": 5}, "unknown setting 'fold'. Did you mean folds"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(EmbedkitError) as refused:
        Settings.of(**choices)
    assert message in str(refused.value)


def test_what_is_unusual_is_told_apart() -> None:
    assert Settings(classifier="knn", target="dx").unusual() == {}
    assert Settings(seed=1, by=("sex",)).unusual() == {"seed": 1, "by": ("sex",)}
    assert Settings.of(by=["sex"]) == Settings(by=("sex",))
    assert Settings(seed=1).digest() == Settings(seed=1).digest() != Settings(seed=2).digest()
    assert Settings(by=("sex",)).to_dict()["by"] == ["sex"]
