"""What the table says of the difference to the best, however few images two results have in common."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from embedkit.cli.results import draw, print_results, write_tables
from embedkit.many import ranked
from embedkit.probing import probe
from tests.probing.making import QUICK, a_set, split_of


@pytest.mark.parametrize(
    ("common", "pattern"),
    [
        (lambda rows: rows, r"[+-]0\.\d{3} \([+-]\d\.\d{3} to [+-]\d\.\d{3}\) p [=<] \d\.\d{3}"),
        (lambda rows: rows[rows["group"] == rows["group"].mode()[0]], r"[+-]\d\.\d{3}"),
        (lambda rows: rows.iloc[:1], "-"),
        (lambda rows: rows.assign(id="other " + rows["id"]), "no image in common"),
        (lambda rows: rows.assign(truth=rows["truth"].iloc[::-1].to_numpy()), "not comparable"),
    ],
)
def test_the_difference_to_the_best(
    common: Callable[[pd.DataFrame], pd.DataFrame], pattern: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = a_set()
    best, other = ranked([probe(source, classifier=name, **QUICK) for name in ("lda", "centroid")])
    results = ranked([best, replace(other, predictions=common(other.predictions))])
    write_tables(results, [tmp_path / "table.csv"])
    said = pd.read_csv(tmp_path / "table.csv")["to the best"]
    assert said[0] == "best"
    assert pd.Series(said[1]).str.fullmatch(pattern).all(), said[1]
    print_results(results)
    printed = capsys.readouterr().out
    assert said[1] in printed
    assert ("is not compared with the best: " in printed) == (said[1] == "not comparable")


def test_results_that_differ_in_the_protocol_or_a_choice_alone_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = a_set(classes=2, split=split_of(240))
    asked: list[dict[str, Any]] = [{}, {"class_weight": "balanced"}, {"split": "folds"}]
    made = [probe(source, classifier="lda", **QUICK, **how) for how in asked]
    moved = replace(made[2], key="0123")
    results = ranked([*made, moved])
    write_tables(results, [tmp_path / "table.csv"])
    said = pd.read_csv(tmp_path / "table.csv")["protocol"].tolist()
    usual, balanced = "published split; class_weight None", "published split; class_weight balanced"
    assert sorted(said) == sorted(["3 folds; key 0123", "3 folds; key ", usual, balanced])
    print_results(results)
    assert balanced in capsys.readouterr().out
    files = draw(results, tmp_path)
    assert len(set(files)) == len(files)
    assert (tmp_path / "arrays.label.3 folds.roc.png").exists()
    print_results(made[:1])
    assert "protocol" not in capsys.readouterr().out
