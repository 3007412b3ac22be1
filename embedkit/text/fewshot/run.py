"""`few_shot`: every method at every amount, on several draws, judged on the same images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedkit._version import __version__
from embedkit.cache import EmbeddingSet, cache_key
from embedkit.encoders import TextTower
from embedkit.errors import EmbedkitError, unknown_name
from embedkit.probing import Settings, fingerprint, ledger_of, make_plan
from embedkit.probing.learning_curve import Amount, amounts_of
from embedkit.probing.plan import Plan
from embedkit.text.aligning.losses import check_loss
from embedkit.text.classes import ClassTexts, embed_classes
from embedkit.text.fewshot import prepare
from embedkit.text.fewshot.draws import Draw, draws_of, together, words_of
from embedkit.text.fewshot.methods import METHODS
from embedkit.text.fewshot.shots import Shots
from embedkit.text.fewshot.table import FewShotResult, Outcome, points_of
from embedkit.text.prompts import PromptSet
from embedkit.text.similarity import as_scores
from embedkit.text.zeroshot import notes_on, space_of

Tell = Callable[[str], None]
MOST_OPERATIONS = 3e13
"""Of all draws of an amount by a method that was not asked for by name: some twelve minutes on two busy cores."""


def few_shot(
    train: EmbeddingSet,
    test: EmbeddingSet | None,
    tower: TextTower | None = None,
    prompts: PromptSet | None = None,
    *,
    methods: Sequence[str] = (),
    loss: str = "cross-entropy",
    met: str | None = None,
    cache: Path | None = None,
    tell: Tell | None = None,
    known: Callable[[str], FewShotResult | None] | None = None,
    **choices: Any,
) -> FewShotResult:
    """Learn from a few images per class, or a part of them, with several methods, and judge all on the same images.

    Everything is tuned on validation shots, of groups that are not learnt from. Where the tower's texts lie in another
    space than the images, a projection to them is learnt from the shots of each draw alone; the method ``text`` is
    then the aligned pair, else it is zero-shot.

    Args:
        train: embeddings to learn from. test: another set to judge on, None for the published split or folds.
        tower, prompts: of the class texts; without them the methods that read no text are compared.
        methods: names of `METHODS`, by default all that can be had. loss: of the projection, a name of
            `embedkit.text.aligning.LOSSES`. cache: of the text embeddings. tell: told in words what is being done.
        known: gives the saved table of a fingerprint, where there is one; it is then not made again.
        choices: as in `Settings`; shots and fractions say how much is learnt from.

    Raises:
        EmbedkitError: unknown names; a target of labels; more shots than images; nothing left to tune on; what
            `make_plan` and `embed_classes` refuse.
    """
    settings, wanted = what_is_asked(methods, tower is not None, loss, **choices)
    say = tell or (lambda _: None)
    plan = make_plan(train, test, settings)
    labels = plan.train.labels
    if not labels.exclusive:
        raise EmbedkitError(
            f"the target '{labels.name}' has labels that may hold together, and shots are images of one class each: "
            "choose a target of classes"
        )
    drawn = {amount: draws_of(plan, amount, settings.draws, settings.seed) for amount in amounts_of(plan, settings)}
    texts = None
    if tower is not None and prompts is not None:
        texts = embed_classes(tower, labels.classes, prompts, target=labels.name, cache=cache)
    apart = texts is not None and texts.space != space_of(train)
    of_texts = None if texts is None else [texts.key, texts.logit_scale, loss if apart else None]
    made_of = {"probe": fingerprint(train, test, settings), "methods": [list(methods), wanted], "texts": of_texts}
    mark = cache_key({**made_of, "met": met})
    if known is not None and (saved := known(mark)) is not None:
        return saved
    shots_of = _preparation(plan, texts, apart, loss)
    points, left_out, width = [], [], train.X.shape[1]
    for amount, draws in drawn.items():
        work = {name: sum(METHODS[name].operations(len(one.train), width) for one in draws) for name in wanted}
        some = [name for name in wanted if name in methods or work[name] <= MOST_OPERATIONS]
        left_out += [_left_out(name, amount, draws, work[name]) for name in wanted if name not in some]
        say(f"{words_of(amount)}: {', '.join(some)}")
        points += points_of(plan, settings, amount, draws, _outcomes(draws, shots_of, some, width))
    judged = np.unique(np.concatenate([fold.test for fold in plan.folds]))
    return FewShotResult(
        data=train.name,
        test=(test or train).name,
        model=train.encoder,
        text_encoder=None if texts is None else texts.tower,
        target=labels.name,
        classes=list(labels.classes),
        n_test=len(judged),
        n_groups=len(np.unique(plan.test.groups[judged])),
        points=points,
        protocol={
            "split": plan.kind,
            "fingerprint": mark,
            "key": train.key,
            "text_key": None if texts is None else texts.key,
            "prompts": None if texts is None else texts.prompts,
            "projection": f"learnt from the shots of each draw, {loss}" if apart else None,
            "settings": settings.to_dict(),
            "version": __version__,
        },
        failed=ledger_of(train, test),
        notes=[
            *plan.notes,
            *(notes_on(texts) if texts else []),
            *left_out,
            *([_met(train.name)] if met == train.name else []),
        ],
    )


def _left_out(name: str, amount: Amount, draws: Sequence[Draw], work: float) -> str:
    most = max(len(one.train) for one in draws)
    return (
        f"{name} was left out at {words_of(amount)}: with {most:,} images it takes {work:.0e} operations, growing with "
        f"their square, and more than {MOST_OPERATIONS:.0e} are done only where it is asked "
        f"for by name (--method {name})"
    )


def _met(name: str) -> str:
    return (
        f"the pair was aligned with all labels of {name}, which its shots are drawn from: this does not tell "
        "what a few labels are worth"
    )


def what_is_asked(
    methods: Sequence[str], with_text: bool, loss: str = "cross-entropy", **choices: Any
) -> tuple[Settings, list[str]]:
    """Return the settings and the methods, by default all that can be had; no image is needed to say so.

    Args:
        methods, loss, choices: as in `few_shot`. with_text: whether there are texts of the classes.

    Raises:
        EmbedkitError: an unknown name; a choice that makes no sense; neither shots nor fractions; a method that reads
            texts where there are none.
    """
    settings = Settings.of(**choices)
    if not settings.shots and not settings.fractions:
        raise EmbedkitError("nothing to learn from: give shots or fractions")
    check_loss(loss)
    for name in methods:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS, f"There are {', '.join(METHODS)}.")
        if METHODS[name].reads_text and not with_text:
            raise EmbedkitError(f"the method '{name}' reads texts of the classes: give a text encoder too")
    wanted = list(methods) or [name for name, method in METHODS.items() if with_text or not method.reads_text]
    return settings, wanted


def _preparation(plan: Plan, texts: ClassTexts | None, apart: bool, loss: str) -> Callable[[Sequence[Draw]], Shots]:
    if texts is None:
        return lambda draws: prepare.without_text(plan, draws)
    W = torch.from_numpy(texts.W.astype(np.float32))
    if apart:
        return lambda draws: prepare.aligned(plan, draws, W, loss)
    return lambda draws: prepare.in_one_space(plan, draws, W, texts.logit_scale)


def _outcomes(
    draws: Sequence[Draw], shots_of: Callable[[Sequence[Draw]], Shots], methods: Sequence[str], width: int
) -> dict[str, dict[Draw, Outcome]]:
    found: dict[str, dict[Draw, Outcome]] = {name: {} for name in methods}
    for some in together(draws, width):
        shots = shots_of(some)
        for name in methods:
            fitted = METHODS[name].fit(shots)
            found[name] |= {
                draw: Outcome(as_scores(scores.double().numpy()), chosen)
                for draw, scores, chosen in zip(some, fitted.scores, fitted.chosen, strict=True)
            }
    return found
