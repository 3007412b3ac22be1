"""What the table says of the difference to the best, however few images two results have in common."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from embedkit.cli.results import print_results, write_tables
from embedkit.many import ranked
from embedkit.probing import probe
from tests.probing.making import QUICK, a_set


@pytest.mark.parametrize(
    ("common", "pattern"),
    [
        (lambda rows: rows, r"[+-]0\.\d{3} \([+-]\d\.\d{3} to [+-]\d\.\d{3}\) p [=<] \d\.\d{3}"),
        (lambda rows: rows[rows["group"] == rows["group"].mode()[0]], r"[+-]\d\.\d{3}"),
        (lambda rows: rows.iloc[:1], "-"),
        (lambda rows: rows.assign(id="other " + rows["id"]), "no image in common"),
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
    assert said[1] in capsys.readouterr().out
