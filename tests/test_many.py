"""Several encoders, sets and classifiers in one call: done cells are read, and each stands beside the best."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit import many
from embedkit.cache import EmbeddingSet
from embedkit.extraction.progress import Silent
from embedkit.probing import Kept, ProbeResult, Settings
from tests.probing.making import Counted, clustered

SETTINGS = Settings(classifier="lda", replicates=100, folds=3)


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def a_set(encoder: str = "enc", name: str = "here", noise: float = 0.0) -> EmbeddingSet:
    X, y, groups = clustered(n=120, classes=2, patients=60, signal=2)
    X = X + noise * np.random.default_rng(0).normal(size=X.shape)
    made = EmbeddingSet.from_arrays(X, y, groups=groups, name=name, encoder=encoder)
    made.provenance["key"] = "0123"
    return made


def cell(train: EmbeddingSet | None = None, settings: Settings = SETTINGS) -> many.Cell:
    return many.Cell(train or a_set(), None, settings)


def test_a_done_cell_is_read_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    first = many.probe_cell(cell(), tmp_path, told)
    monkeypatch.setattr("embedkit.many.api.probe", lambda *_, **__: pytest.fail("it is made again"))
    second = many.probe_cell(cell(), tmp_path, told)
    assert second.to_dict() == first.to_dict()
    assert told.lines[1].startswith("here: lda on enc: done before, read from ")


def test_a_cell_that_is_only_judged_otherwise_takes_the_fits_of_the_one_before(tmp_path: Path) -> None:
    train, kept, told = a_set(), Kept(), [Counted(), Counted(), Counted()]
    choices = [SETTINGS, replace(SETTINGS, specificity=0.8), replace(SETTINGS, seed=1)]
    for settings, one in zip(choices, told, strict=True):
        many.probe_cell(cell(train, settings), tmp_path, one, kept=kept)
    assert [(one.total, one.fits, one.over) for one in told] == [(3, 3, True), (0, 0, True), (3, 3, True)]


@pytest.mark.parametrize("change", ["vectors", "labels", "groups", "settings", "damage", "again"])
def test_what_changes_a_result_makes_it_anew(tmp_path: Path, change: str) -> None:
    told = Told()
    many.probe_cell(cell(), tmp_path, told)
    train, settings = a_set(), SETTINGS
    if change == "vectors":
        train.X[0, 0] += 1
    elif change == "labels":
        train.table.loc[0, "label"] = 1 - train.table.loc[0, "label"]
    elif change == "groups":
        train.table.loc[0, "group"] = 999
    elif change == "settings":
        settings = replace(SETTINGS, seed=1)
    elif change == "damage":
        cell().place(tmp_path).write_text("{")
    many.probe_cell(cell(train, settings), tmp_path, told, again=change == "again")
    assert told.lines == ["here: lda on enc"] * 2
    assert ProbeResult.load(cell(train, settings).place(tmp_path)).auc["value"] > 0.5


def test_other_choices_have_files_of_their_own(tmp_path: Path) -> None:
    usual = cell(settings=Settings()).place(tmp_path)
    assert usual == tmp_path / "here" / "enc.0123.logistic.label.json"
    other = cell(settings=Settings(level="group")).place(tmp_path)
    assert other.parent == usual.parent
    assert other.name.startswith("enc.0123.logistic.label.")
    assert other != usual
    assert cell(settings=Settings(classifier="knn")).place(tmp_path).name == "enc.0123.knn.label.json"
    elsewhere = many.Cell(a_set(), a_set(name="there"), Settings()).place(tmp_path)
    assert elsewhere.parent.name == "here--there"


def test_each_set_is_read_once_per_encoder() -> None:
    asked: list[tuple[str, str]] = []

    def read(model: str, data: str) -> EmbeddingSet:
        asked.append((model, data))
        return a_set(model, data)

    choices = [Settings(), Settings(classifier="knn")]
    found = list(many.cells(["a", "b", "a"], ["x", "y"], "t", choices, read))
    assert asked == [("a", "t"), ("a", "x"), ("a", "y"), ("b", "t"), ("b", "x"), ("b", "y")]
    assert [(one.train.encoder, one.train.name, one.settings.classifier) for one in found[:3]] == [
        ("a", "x", "logistic"),
        ("a", "x", "knn"),
        ("a", "y", "logistic"),
    ]
    assert all(one.test is not None and one.test.name == "t" for one in found)


def test_the_table_is_sorted_set_by_set_and_compared_to_the_best(tmp_path: Path) -> None:
    sets = [a_set("noisy", noise=4.0), a_set("noisy", "there", noise=4.0), a_set("good"), a_set("good", "there")]
    found = many.ranked([many.probe_cell(cell(one), tmp_path, Told()) for one in sets])
    assert [(one.data, one.model) for one in found] == [
        ("here", "good"),
        ("here", "noisy"),
        ("there", "good"),
        ("there", "noisy"),
    ]
    assert [one.comparison["best"] for one in found] == [True, False, True, False]
    assert found[1].comparison["difference"]["value"] == pytest.approx(found[1].auc["value"] - found[0].auc["value"])
    assert found[1].comparison["p_adjusted"] >= found[1].comparison["p"]
