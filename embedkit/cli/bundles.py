"""Options that several verbs share, each bundle as one value that a verb hands on as it is."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any

from embedkit.cli import options


@dataclass(frozen=True)
class Places:
    """Where caches, images and weights are, and what computes."""

    cache: options.Cache = None
    root: options.Root = None
    weights: options.Weights = None
    precision: options.Precision = None
    devices: options.Devices = None
    workers: options.Workers = None

    @property
    def device(self) -> str | None:
        """The devices as one text, as functions take them."""
        return ",".join(self.devices) if self.devices else None

    def given(self) -> dict[str, Any]:
        """Return them under the names that the functions of Python have for them."""
        return {name: value for name, value in vars(self).items() if name != "devices"} | {"device": self.device}


@dataclass(frozen=True)
class Protocol:
    """What is predicted, and how it is judged."""

    target: options.Target = None
    group: options.Group = None
    folds: options.Folds = 5
    seed: options.Seed = 0
    replicates: options.Replicates = 2000


@dataclass(frozen=True)
class Words:
    """Where the texts of the classes come from."""

    text_encoder: options.TextEncoder = None
    text_weights: options.TextWeights = None
    prompts: options.Prompts = None


def bundled(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb whose parameters that are bundles have become the options in them, for typer to see."""
    plain = signature(verb)
    bundles: dict[str, Any] = {p.name: p.annotation for p in plain.parameters.values() if is_dataclass(p.annotation)}
    seen: list[Parameter] = []
    for parameter in plain.parameters.values():
        if parameter.name not in bundles:
            seen.append(parameter)
            continue
        for one in fields(bundles[parameter.name]):
            seen.append(Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type))

    @wraps(verb)
    def called(**given: Any) -> None:
        made = {name: kind(**{one.name: given.pop(one.name) for one in fields(kind)}) for name, kind in bundles.items()}
        verb(**given, **made)

    called.__signature__ = plain.replace(parameters=seen)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in seen}
    return called
