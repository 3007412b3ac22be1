"""Bundles are seen as their options and arrive as values."""

from dataclasses import fields
from inspect import signature
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from embedkit.cli import options
from embedkit.cli.bundles import Places, Protocol, Words, bundled


def heard(*words: str) -> dict[str, Any]:
    """Return what reaches a verb that is called with these words."""
    got: dict[str, Any] = {}

    @bundled
    def verb(*, words: Words, target: str = "", places: Places, as_json: options.Json = False) -> None:
        """Do nothing."""
        got.update(words=words, target=target, places=places, as_json=as_json)

    app = typer.Typer()
    app.command()(verb)
    assert CliRunner().invoke(app, list(words)).exit_code == 0
    return got


def test_what_is_not_given_is_the_default_of_the_bundle() -> None:
    assert heard() == {"words": Words(), "target": "", "places": Places(), "as_json": False}


def test_each_option_lands_in_its_bundle() -> None:
    got = heard("--text-encoder", "minilm", "--workers", "3", "--json", "--device", "cpu", "--target", "grade")
    assert got["words"] == Words(text_encoder="minilm")
    assert got["places"] == Places(workers=3, devices=["cpu"])
    assert got["places"].device == "cpu"
    assert heard("--device", "cuda:0", "--device", "cuda:1,cuda:2")["places"].device == "cuda:0,cuda:1,cuda:2"
    assert heard()["places"].device is None
    assert (got["target"], got["as_json"]) == ("grade", True)


@pytest.mark.parametrize("kind", [Places, Protocol, Words])
def test_options_stand_where_the_bundle_stood(kind: type) -> None:
    def verb(*, first: int, bundle: Any, last: int) -> None:
        """Do nothing."""

    verb.__annotations__["bundle"] = kind
    inside = [one.name for one in fields(kind)]
    assert list(signature(bundled(verb)).parameters) == ["first", *inside, "last"]
