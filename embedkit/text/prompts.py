"""What is said of the images and of their classes: prompt sets as data, shipped per modality or a user's own file."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from embedkit.errors import EmbedkitError, unknown_name

NAME, DESCRIPTION = "{}", "{description}"
FIELDS = ("templates", "classes", "targets", "modalities")
WORDS = ("name", "description", "absent", "also")
SHAPE = 'templates = ["a photo of {}."] and [classes] with LABEL = "text" or { name, description, absent, also }'


@dataclass(frozen=True)
class ClassWords:
    """What is said of one class.

    Attributes:
        name: stands for ``{}`` in a template. description: for ``{description}``; empty where there is none.
        absent: stands for ``{}`` where the class is a label that an image does not have; by default "no NAME".
    """

    name: str
    description: str = ""
    absent: str = ""

    @property
    def negative(self) -> str:
        """What stands for ``{}`` where the label does not hold."""
        return self.absent or f"no {re.sub('^(an?|the) ', '', self.name)}"


@dataclass(frozen=True)
class PromptSet:
    """Templates, and what is said of each class.

    Attributes:
        name: of the shipped set, or the file. templates: each with ``{}``, ``{description}`` or both.
        classes: of each target (the key "" is for all targets), what is said of each label.
        modalities: of data sets that it is for.
    """

    name: str
    templates: tuple[str, ...]
    classes: Mapping[str, Mapping[str, ClassWords]]
    modalities: tuple[str, ...] = field(default=())

    @classmethod
    def from_table(cls, table: Mapping[str, Any], name: str) -> Self:
        """Build it from a TOML or JSON table; ``name`` is the file's, for messages.

        Raises:
            EmbedkitError: an unknown field, no template, or a template that says nothing of a class.
        """
        for key in table:
            if key not in FIELDS:
                raise unknown_name("field", key, FIELDS, f"{name} must have {SHAPE}.")
        templates = table.get("templates")
        if not _texts(templates) or not templates:
            raise EmbedkitError(f"{name} has no templates, a list of texts: it must have {SHAPE}")
        for template in templates:
            _check(template, name)
        by_target = {"": table.get("classes", {}), **table.get("targets", {})}
        classes = {target: _classes(rows, name) for target, rows in by_target.items()}
        return cls(name, tuple(dict.fromkeys(templates)), classes, tuple(table.get("modalities", ())))

    def words(self, labels: Sequence[str], target: str = "") -> list[ClassWords]:
        """Return what is said of each label of a target.

        Raises:
            EmbedkitError: a label that the set does not have, with all such labels and how to add them.
        """
        known = {**self.classes.get("", {}), **self.classes.get(target, {})}
        absent = [label for label in labels if plain(label) not in known]
        if absent:
            raise EmbedkitError(
                f"the prompts of {self.name} say nothing of {', '.join(map(repr, absent))}"
                f"{f', classes of the target {target!r}' if target else ''}: write a file with {SHAPE}, "
                "and give it with --prompts"
            )
        return [known[plain(label)] for label in labels]

    def usable(self, words: Sequence[ClassWords], negative: bool = False) -> tuple[str, ...]:
        """Return the templates that can be filled: those with a description need one of every class.

        Args:
            words: of the classes. negative: whether absent labels are to be described too, which have none.

        Raises:
            EmbedkitError: none is left.
        """
        described = not negative and all(each.description for each in words)
        left = tuple(template for template in self.templates if described or DESCRIPTION not in template)
        if not left:
            lacking = ", ".join(repr(each.name) for each in words if not each.description)
            why = f"and {lacking} have none" if lacking and not negative else "and an absent label has none"
            raise EmbedkitError(
                f"every template of {self.name} needs a {DESCRIPTION}, {why}: add a template with {NAME}"
            )
        return left


def fill(template: str, name: str, description: str) -> str:
    """Return a template with the words of a class."""
    return template.replace(DESCRIPTION, description).replace(NAME, name)


def plain(label: str) -> str:
    """Return a label as it is looked up: case, underscores and a policy for uncertain labels, "(u=1)", mean nothing."""
    return re.sub(r" \(u=[01]\)$", "", label.strip()).casefold().replace("_", " ")


@cache
def shipped() -> dict[str, PromptSet]:
    """Return the prompt sets that embedkit brings, by name."""
    table = tomllib.loads((files("embedkit.text") / "prompts.toml").read_text(encoding="utf-8"))
    return {name: PromptSet.from_table(rows, name) for name, rows in table.items()}


def read_prompts(path: Path) -> PromptSet:
    """Read a user's own file, TOML or JSON by its ending.

    Raises:
        EmbedkitError: it can't be read, or is no prompt set.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise EmbedkitError(f"cannot read the prompts {path}: {error}") from error
    if not isinstance(table, dict):
        raise EmbedkitError(f"{path} is no prompt set: it must have {SHAPE}")
    return PromptSet.from_table(table, str(path))


def choose_prompts(given: str | Path | None, modality: str = "") -> PromptSet:
    """Return the prompts of a file, of a shipped set by its name, or by default of the data set's modality.

    Raises:
        EmbedkitError: no such file or set, or no shipped set for the modality.
    """
    if given is not None:
        path = Path(given)
        if path.suffix in (".toml", ".json") or path.is_file():
            return read_prompts(path)
        if str(given) not in shipped():
            raise unknown_name(
                "prompt set", str(given), shipped(), f"There are {', '.join(shipped())}; or give a FILE."
            )
        return shipped()[str(given)]
    fits = [one for one in shipped().values() if modality in one.modalities]
    if not fits:
        what = f"for images of the modality '{modality}'" if modality else "for images whose modality is not known"
        raise EmbedkitError(
            f"there are no prompts {what}: give --prompts with one of {', '.join(shipped())}, or a FILE with {SHAPE}"
        )
    return fits[0]


def _check(template: str, name: str) -> None:
    if NAME not in template and DESCRIPTION not in template:
        raise EmbedkitError(
            f"the template {template!r} of {name} is the same text for all classes: put {NAME} where the name goes"
        )
    if strange := re.findall(r"\{[^}]*\}", fill(template, "", "")):
        raise EmbedkitError(
            f"the template {template!r} of {name} has {strange[0]}: only {NAME} and {DESCRIPTION} are filled"
        )


def _classes(rows: Any, name: str) -> dict[str, ClassWords]:
    if not isinstance(rows, Mapping):
        raise EmbedkitError(f"the classes of {name} must be a table: {SHAPE}")
    found: dict[str, ClassWords] = {}
    for label, row in rows.items():
        said = {"name": row} if isinstance(row, str) else row
        if not isinstance(said, Mapping) or not isinstance(said.get("name"), str) or not said["name"].strip():
            raise EmbedkitError(f"the class '{label}' of {name} has no text: {SHAPE}")
        for key in said:
            if key not in WORDS:
                raise unknown_name(f"field of the class '{label}'", key, WORDS, f"{name} must have {SHAPE}.")
        words = ClassWords(said["name"], said.get("description", ""), said.get("absent", ""))
        if not _texts([words.description, words.absent]) or not _texts(said.get("also", [])):
            raise EmbedkitError(f"the class '{label}' of {name} holds something other than text: {SHAPE}")
        for spelling in (label, *said.get("also", [])):
            if found.setdefault(plain(spelling), words) != words:
                raise EmbedkitError(
                    f"the class '{spelling}' stands twice in {name}, with different words: leave one out"
                )
    return found


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
