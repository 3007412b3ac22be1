"""Class texts: every class of a target in the words of a prompt set, embedded, per template and as their ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from embedkit.cache import cache_key
from embedkit.encoders import TextTower, unit
from embedkit.errors import EmbedkitError
from embedkit.text.prompts import ClassWords, PromptSet, fill
from embedkit.text.similarity import ensemble
from embedkit.text.vectors import embed_texts


@dataclass(frozen=True)
class ClassTexts:
    """The classes of a target as texts, for T templates, K classes and d dimensions; all vectors have length 1.

    Attributes:
        labels: the K classes. templates: the T that could be filled. prompts: the name of their set.
        texts: (T, K), what was embedded.
        per_template: (T, K, d) float64. absent_per_template: the same of the texts that say that a label does not
            hold, None where they were not asked for.
        logit_scale, logit_bias: of the tower, or of the pair that images were aligned with its texts by; a sentence
            encoder alone, trained without images, has 1 and 0.
        space: the space the vectors lie in. tower: the name of the text tower. key: of the tower and of what is said of
            each class.
        context: tokens that the tower reads. cut: each text that is longer, with its tokens that were not read.
        left_out: templates that could not be filled, because they need a description and a class has none.
    """

    labels: tuple[str, ...]
    templates: tuple[str, ...]
    prompts: str
    texts: tuple[tuple[str, ...], ...]
    per_template: np.ndarray
    absent_per_template: np.ndarray | None
    logit_scale: float
    logit_bias: float
    space: str
    tower: str
    key: str
    context: int
    cut: dict[str, int]
    left_out: tuple[str, ...]

    @cached_property
    def W(self) -> np.ndarray:  # noqa: N802 - as the formulas have it
        """The ensemble of the templates, (K, d) unit vectors."""
        return ensemble(self.per_template)

    @cached_property
    def absent(self) -> np.ndarray | None:
        """The ensemble of the absent labels' texts, (K, d) unit vectors, None where they were not asked for."""
        return None if self.absent_per_template is None else ensemble(self.absent_per_template)


def embed_classes(
    tower: TextTower,
    classes: Sequence[str],
    prompts: PromptSet,
    *,
    target: str = "",
    absent: bool = False,
    cache: Path | None = None,
) -> ClassTexts:
    """Say every class in the words of a prompt set, and embed what is said, or read what was embedded before.

    Args:
        tower: from `embedkit.encoders.text_tower`. classes: the K labels, as the data set has them.
        prompts: from `choose_prompts`. target: what the classes are of, where the prompts tell targets apart.
        absent: whether to embed for each class, too, that it does not hold.
        cache: the folder of all caches; without it nothing is kept.

    Raises:
        EmbedkitError: a class the prompts say nothing of, two classes with the same text, and as `embed_texts`.
    """
    words = prompts.words(classes, target)
    templates = prompts.usable(words, absent)
    texts = [[fill(template, each.name, each.description) for each in words] for template in templates]
    _refuse_same(classes, texts, prompts.name)
    negatives = [[fill(template, each.negative, "") for each in words] for template in templates] if absent else []
    if absent:
        _refuse_no_difference(classes, words, prompts.name)
    found = embed_texts(tower, [text for row in (*texts, *negatives) for text in row], cache)
    vectors = unit(found.X).reshape(-1, len(classes), found.X.shape[1])
    return ClassTexts(
        labels=tuple(classes),
        templates=templates,
        prompts=prompts.name,
        texts=tuple(map(tuple, texts)),
        per_template=vectors[: len(templates)],
        absent_per_template=vectors[len(templates) :] if absent else None,
        logit_scale=found.logit_scale if tower.logit_scale is None else tower.logit_scale,
        logit_bias=found.logit_bias,
        space=tower.space,
        tower=tower.name,
        key=cache_key(
            {"vectors": found.key, "said": dict(zip(classes, zip(*texts, *negatives, strict=True), strict=True))}
        ),
        context=found.context,
        cut=found.cut,
        left_out=tuple(template for template in prompts.templates if template not in templates),
    )


def _refuse_same(classes: Sequence[str], texts: Sequence[Sequence[str]], name: str) -> None:
    for row in texts:
        first: dict[str, str] = {}
        for label, text in zip(classes, row, strict=True):
            other = first.setdefault(text, label)
            if other != label:
                raise EmbedkitError(
                    f"the classes '{other}' and '{label}' have the same text {text!r} in {name}: no image can tell "
                    "them apart. Give each its own words"
                )


def _refuse_no_difference(classes: Sequence[str], words: Sequence[ClassWords], name: str) -> None:
    for label, each in zip(classes, words, strict=True):
        if each.negative == each.name:
            raise EmbedkitError(f"the class '{label}' has the same text where it is absent in {name}: mend `absent`")
