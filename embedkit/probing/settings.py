"""Settings: every choice of a probe, checked once, so that a result can be repeated from what it says of itself."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from embedkit.encoders import check_device
from embedkit.errors import EmbedkitError, refuse_too_small, unknown_name
from embedkit.probing.heads.grids import GRIDS
from embedkit.probing.plain import plain

# numpy's generators take 32 bits, and the folds need a few seeds behind the one given.
MAX_SEED = 2**31

_CHOICES = {
    "split": ("published", "folds"),
    "pool": ("probabilities", "embeddings", "embeddings-max"),
    "class_weight": (None, "balanced"),
}
# What is chosen of the judgement alone.
_JUDGED = ("replicates", "by", "specificity", "sensitivity", "fractions", "shots", "draws")
_LEAST = {"seed": 0, "folds": 2, "repeats": 1, "replicates": 1, "draws": 2}


@dataclass(frozen=True)
class Settings:
    """The choices of a probe. Numbers may be numpy's; what holds several may be any sequence, an array, or one value.

    Attributes:
        classifier: a name of `embedkit.probing.GRIDS`. target: what to predict, by default the set's first target.
        group: the column of patients or lesions, by default ``group``. split: ``published`` (where there is one, else
            folds) or ``folds``. sites: a column; each of its values is held out in turn.
        folds, repeats: of cross-validation; each repeat cuts anew. seed: of folds, draws and bootstrap.
        replicates: of the bootstrap. standardise: features to mean 0 and deviation 1 over the training rows.
        class_weight: ``balanced`` weighs each class alike.
        level: ``image``, ``group``, or a column (eye, lesion, study) whose images are judged as one; several columns by
            plus, as in ``group+laterality``.
        pool: of them: the mean of ``probabilities`` or ``embeddings``, or ``embeddings-max``, of each dimension.
        views: a column, or ``view:CC,MLO``: the embeddings of the views of each unit of the level are put side by side.
        by: columns of subgroups; ``age:40,60`` cuts numbers at 40 and 60.
        specificity, sensitivity: of the operating points, in 0..1.
        fractions: of the training groups, in percent, and shots: images per class, of the learning curve.
        draws: of each of its points. device: where the logistic classifier is fitted, ``cpu`` or ``cuda``.

    Raises:
        EmbedkitError: a choice that makes no sense.
    """

    classifier: str = "logistic"
    target: str | None = None
    group: str | None = None
    split: str = "published"
    sites: str | None = None
    folds: int = 5
    repeats: int = 1
    seed: int = 0
    replicates: int = 2000
    standardise: bool = True
    class_weight: str | None = None
    level: str = "image"
    pool: str = "probabilities"
    views: str | None = None
    by: tuple[str, ...] = ()
    specificity: float = 0.9
    sensitivity: float = 0.9
    fractions: tuple[float, ...] = ()
    shots: tuple[int, ...] = ()
    draws: int = 5
    device: str = "cpu"

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, plain(field.name, getattr(self, field.name), field.type))
        check_classifier(self.classifier)
        check_device(self.device)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                known = [choice for choice in choices if choice]
                raise unknown_name(name, str(getattr(self, name)), known, f"There are {', '.join(known)}.")
        refuse_too_small(self, _LEAST)
        if self.seed > MAX_SEED:
            raise EmbedkitError(f"seed = {self.seed} is too large: give {MAX_SEED} or less")
        parts = self.level.split("+")
        if not all(parts) or (len(parts) > 1 and "image" in parts):
            raise EmbedkitError(
                f"level = {self.level} is no level: give 'image', 'group', a column, or several as in "
                "'group+laterality' (an image alone is a unit, and stands with no other)"
            )
        if self.views is not None and self.level == "image":
            raise EmbedkitError(
                f"views = {self.views} are joined over the images of a case: say which are one by the level (--level), "
                "'group' or a column"
            )
        for name in ("specificity", "sensitivity"):
            if not 0 < getattr(self, name) < 1:
                raise EmbedkitError(f"{name} = {getattr(self, name)} is no proportion: give one between 0 and 1")
        if not all(0 < share <= 100 for share in self.fractions):
            raise EmbedkitError(f"fractions = {list(self.fractions)}: each is a percentage above 0 and up to 100")
        if not all(shots >= 1 for shots in self.shots):
            raise EmbedkitError(f"shots = {list(self.shots)}: each is a number of images per class, 1 or more")

    @property
    def judged_level(self) -> str:
        """What a row that a classifier meets stands for: an image, unless the images of a unit were pooled before."""
        return self.level if self.pool == "probabilities" and self.views is None else "image"

    def of_fits(self) -> "Settings":
        """Return the choices that fits depend on: how they are judged is as by default."""
        level = "image" if self.judged_level == self.level else self.level
        judged = {name: getattr(type(self)(), name) for name in _JUDGED}
        return replace(self, level=level, **judged)

    @classmethod
    def of(cls, **choices: Any) -> Self:
        """Build settings from keywords.

        Raises:
            EmbedkitError: a keyword that no setting has.
        """
        names = [field.name for field in fields(cls)]
        for name in choices:
            if name not in names:
                raise unknown_name("setting", name, names, f"There are {', '.join(names)}.")
        return cls(**choices)

    def unusual(self) -> dict[str, Any]:
        """Return what differs from the defaults, of all but the classifier and the target."""
        usual = replace(type(self)(), classifier=self.classifier, target=self.target)
        return {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}

    def digest(self) -> str:
        """Return 8 hexadecimal digits that tell these choices from others."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]

    def to_dict(self) -> dict[str, Any]:
        """Return every choice in the types of JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def check_classifier(classifier: str) -> None:
    """Refuse a classifier that does not exist.

    Raises:
        EmbedkitError: with the closest names and all of them.
    """
    if classifier not in GRIDS:
        raise unknown_name("classifier", classifier, GRIDS, f"There are {', '.join(GRIDS)}.")
