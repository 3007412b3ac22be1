"""Which epoch is kept and when a training stops, against a loop that looks at everything."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from embedkit.baselines import Recipe
from embedkit.baselines.course import Course
from embedkit.cost import Cost

entries = st.lists(
    st.tuples(st.sampled_from([None, 0.5, 0.7, 0.9]), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=12
)


@given(entries, st.integers(1, 4))
def test_the_best_epoch_is_the_first_of_the_highest_auc_and_lowest_loss(
    given_entries: list[tuple[float | None, float]], patience: int
) -> None:
    recipe, course, kept = Recipe(epochs=len(given_entries), patience=patience), Course(), 0
    for number, (auc, loss) in enumerate(given_entries, start=1):
        better = course.add({"loss": 1.0, "auc": auc, "val_loss": loss}, recipe)
        kept = number if better else kept
        if course.finished:
            break
    seen = given_entries[: len(course.history)]
    ranks = [(-math.inf if auc is None else auc, -loss) for auc, loss in seen]
    assert course.best == kept == 1 + ranks.index(max(ranks))
    assert course.finished
    assert len(seen) == len(given_entries) or len(seen) - course.best == patience


def test_without_validation_images_the_last_epoch_is_kept_and_none_is_saved() -> None:
    recipe, course = Recipe(epochs=3, patience=1), Course()
    entry = {"loss": 1.0, "auc": None, "val_loss": None}
    assert [course.add(dict(entry), recipe) for _ in range(3)] == [True] * 3
    assert (course.best, course.finished) == (3, True)


def test_a_record_gives_the_course_back_through_json() -> None:
    course = Course([{"loss": 0.5, "auc": None, "val_loss": 0.25}], 1, False, Cost(1.0, 2.0, None, 5, None))
    assert Course.of(json.loads(json.dumps(course.record()))) == course


def test_words_say_epoch_loss_and_why_it_stopped() -> None:
    recipe, course = Recipe(epochs=9, patience=1), Course()
    course.add({"loss": 0.5, "auc": 0.9, "val_loss": 0.2}, recipe)
    assert course.in_words(recipe) == "epoch 1 of 9: loss 0.500, validation AUC 0.900, best in epoch 1"
    course.add({"loss": 0.4, "auc": 0.8, "val_loss": 0.2}, recipe)
    assert "stopped after 1 without a better one" in course.in_words(recipe)
