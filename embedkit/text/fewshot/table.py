"""The table of few-shot methods: the mean AUC over draws with its interval, and the difference to the linear probe."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from embedkit.cache.whole import saved
from embedkit.errors import EmbedkitError
from embedkit.probing import Evidence, Settings
from embedkit.probing.learning_curve import Amount, of_draws, over_draws
from embedkit.probing.measures.bootstrap import replicates_of
from embedkit.probing.measures.metrics import class_aucs
from embedkit.probing.measures.ranking import mean_of_defined
from embedkit.probing.plan import Plan
from embedkit.text.fewshot.draws import Draw
from embedkit.text.fewshot.methods import REFERENCE

_KINDS = {"points": list, "protocol": dict, "failed": list, "notes": list, "classes": list}
_OF_A_POINT = ("method", "kind", "amount", "n_train", "n_val", "auc", "deviation", "difference")


def _wrong(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield what in a file is not as every reader of a table takes it."""
    for name, kind in _KINDS.items():
        if not isinstance(value[name], kind):
            yield name
    for point in value["points"]:
        yield from (name for name in _OF_A_POINT if name not in point)
        if not {"value", "low", "high"} <= set(point["auc"]):
            yield "auc"


@dataclass(frozen=True)
class FewShotResult:
    """A table of methods and amounts.

    Attributes:
        data, test, model: as in `ProbeResult`. text_encoder: None where no text is read.
        points: of each method and amount: ``method``, ``kind``, ``amount``, ``n_train`` and ``n_val`` (means over
            draws), ``auc`` (mean over draws, an interval), ``deviation`` of the draws, ``each``, ``difference`` (to the
            linear probe on the same draws and resamples, an interval; None without one), ``chosen`` of each draw.
        protocol: all that is needed to repeat the run. failed: the images that could not be embedded: path, reason and
            message of each. notes: sentences a reader must know.
    """

    data: str
    test: str
    model: str
    text_encoder: str | None
    target: str
    classes: list[str]
    n_test: int
    n_groups: int
    points: list[dict[str, Any]]
    protocol: dict[str, Any]
    failed: list[dict[str, Any]]
    notes: list[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            EmbedkitError: there is no such file, or it is no whole table.
        """
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            wrong = next(_wrong(value), None)
            if wrong:
                raise ValueError(f"'{wrong}' is not what it should be")  # noqa: TRY301
            return cls(**{item.name: value[item.name] for item in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmbedkitError(f"{path} is no whole table of few-shot methods ({error}): make it anew") from error

    def to_dict(self) -> dict[str, Any]:
        """Return everything in the types of JSON."""
        return dict(vars(self))

    def curves(self, kind: str) -> dict[str, list[dict[str, Any]]]:
        """Return the points of each method, of ``shots`` or ``fraction``, as a figure takes them."""
        names = dict.fromkeys(point["method"] for point in self.points if point["kind"] == kind)
        return {
            name: [point for point in self.points if (point["method"], point["kind"]) == (name, kind)] for name in names
        }

    def save(self, path: Path) -> None:
        """Write the table as JSON; the file is complete or not there.

        Raises:
            EmbedkitError: the file can't be written.
        """
        text = json.dumps({"embedkit": "few-shot", **self.to_dict()}, ensure_ascii=False, allow_nan=False, indent=1)
        with saved("the table", path) as temporary:
            temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Outcome:
    """What a method made of one draw: scores (T, K) as the measures take them, and what it chose."""

    scores: np.ndarray
    chosen: dict[str, Any]


def points_of(
    plan: Plan, settings: Settings, amount: Amount, draws: Sequence[Draw], found: Mapping[str, Mapping[Draw, Outcome]]
) -> list[dict[str, Any]]:
    """Judge what all methods made of all draws of an amount on the same resamples, and return their points."""
    numbers, level = sorted({draw.number for draw in draws}), settings.judged_level
    evidence = [
        Evidence(plan, [outcomes[one].scores for one in draws if one.number == number], [None], True, level)
        for outcomes in found.values()
        for number in numbers
    ]
    judged = [one.judged for one in evidence]

    def statistic(W: np.ndarray) -> np.ndarray:
        return np.column_stack([mean_of_defined(class_aucs(one, W)) for one in judged])

    values, replicates = replicates_of(statistic, evidence[0].groups, settings.replicates, settings.seed)
    shape = (len(found), len(numbers))
    value = dict(zip(found, values.reshape(shape), strict=True))
    replicate = dict(zip(found, replicates.T.reshape(*shape, -1), strict=True))
    points = []
    for name, outcomes in found.items():
        compared = name != REFERENCE and REFERENCE in found
        points.append(
            {
                "method": name,
                "kind": amount.kind,
                "amount": amount.size,
                "n_train": round(float(np.mean([len(one.train) for one in draws])), 1),
                "n_val": round(float(np.mean([len(one.val) for one in draws])), 1),
                **of_draws(value[name].tolist(), replicate[name], settings.seed),
                # The same resamples of groups and of draws, so that the two are paired.
                "difference": over_draws(
                    (value[name] - value[REFERENCE]).tolist(), replicate[name] - replicate[REFERENCE], settings.seed
                )
                if compared
                else None,
                "chosen": [outcomes[one].chosen for one in draws],
            }
        )
    return points
