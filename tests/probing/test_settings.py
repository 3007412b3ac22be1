"""Every choice is checked once, and the same choices are known again."""

import json
from typing import Any

import numpy as np
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
        (
            {"level": "image+group"},
            "level = image+group is no level: give 'image', 'group', a column, or several as in",
        ),
        ({"level": "group+"}, "level = group+ is no level"),
        ({"views": "view"}, "views = view are joined over the images of a case"),
        ({"class_weight": "equal"}, "unknown class_weight 'equal'"),
        ({"specificity": 1.0}, "specificity = 1.0 is no proportion"),
        ({"sensitivity": 90}, "sensitivity = 90.0 is no proportion"),
        ({"fractions": [0, 10]}, "each is a percentage above 0 and up to 100"),
        ({"fractions": [101]}, "each is a percentage above 0 and up to 100"),
        ({"shots": [0]}, "each is a number of images per class, 1 or more"),
        ({"seed": 1.5}, "seed = 1.5 can't be used: it must be a whole number"),
        ({"seed": None}, "seed = None can't be used"),
        ({"folds": "5"}, "folds = '5' can't be used: it must be a whole number"),
        ({"draws": 2.5}, "draws = 2.5 can't be used"),
        ({"replicates": True}, "replicates = True can't be used"),
        ({"standardise": "no"}, "standardise = 'no' can't be used: it must be True or False"),
        ({"specificity": "0.9"}, "specificity = '0.9' can't be used: it must be a number"),
        ({"shots": (1.5,)}, "shots = 1.5 can't be used: it must be a whole number"),
        ({"fractions": None}, "fractions = None can't be used"),
        ({"by": [3]}, "by = 3 can't be used: it must be text"),
        ({"group": 3}, "group = 3 can't be used: it must be text"),
        ({"target": 5}, "target = 5 can't be used"),
        ({"level": None}, "level = None can't be used"),
        ({"classifier": 1}, "classifier = 1 can't be used"),
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


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"seed": np.int64(3), "folds": np.int8(4), "replicates": 100.0}, {"seed": 3, "folds": 4, "replicates": 100}),
        ({"specificity": np.float32(0.9), "sensitivity": np.float64(0.8)}, {"specificity": 0.9, "sensitivity": 0.8}),
        ({"standardise": np.False_}, {"standardise": False}),
        ({"target": np.str_("dx")}, {"target": "dx"}),
        ({"by": "sex"}, {"by": ("sex",)}),
        ({"by": np.array(["sex", "age"])}, {"by": ("sex", "age")}),
        ({"shots": 4, "fractions": 10}, {"shots": (4,), "fractions": (10.0,)}),
        ({"shots": np.array([2, 1]), "fractions": np.array(5)}, {"shots": (2, 1), "fractions": (5.0,)}),
        ({"shots": {8, 1, 16}, "fractions": range(5, 20, 5)}, {"shots": (1, 8, 16), "fractions": (5.0, 10.0, 15.0)}),
    ],
)
def test_numbers_of_numpy_and_single_values_are_the_same_choice(given: dict[str, Any], same: dict[str, Any]) -> None:
    asked = Settings.of(**given)
    assert asked == Settings(**same)
    assert json.dumps(asked.to_dict()) == json.dumps(Settings(**same).to_dict())
    assert asked.digest() == Settings(**same).digest()
