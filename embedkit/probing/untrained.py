"""The plan of who learns nothing: the test images of a set are judged as a probe of it judges them."""

import numpy as np

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.judgeable import notes_on_judged
from embedkit.probing.plan import Plan, columns_of, pooled
from embedkit.probing.sample import read_sample
from embedkit.probing.settings import Settings
from embedkit.probing.splits import Fold
from embedkit.probing.target import choose_target

UNTRAINED = "untrained"


def plan_untrained(data: EmbeddingSet, settings: Settings) -> Plan:
    """Return the plan that judges the test images where the split names some, else all labelled images.

    These are the images that `make_plan` has judged too, with one fold, because scores that nobody fitted can be
    compared across all of them.

    Raises:
        EmbedkitError: as `make_plan`; settings of training, which there is none of.
    """
    given = [name for name in ("sites", "fractions", "shots", "class_weight", "views") if getattr(settings, name)]
    if given:
        raise EmbedkitError(f"nothing is learnt here, so there is no {given[0]} to choose: leave it out")
    name = choose_target(settings.target, data.targets, data.name)
    extra = columns_of(settings, judged=True)
    sample = read_sample(data, name, data.targets[name], settings.group, extra=extra, level=settings.level)
    sample = pooled(sample, settings, None)
    test = np.flatnonzero(sample.split == "test")
    judged = test if len(test) else np.arange(len(sample))
    notes = notes_on_judged(sample.labels, sample.labels.truth[judged])
    fold = Fold(np.empty(0, np.int64), None, judged)
    return Plan(UNTRAINED, sample, sample, (fold,), (*sample.notes, *notes))
