"""What training costs more and what it buys, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedkit.baselines import exchange
from embedkit.baselines.exchange import spent
from embedkit.cache import EmbeddingSet
from embedkit.cost import Cost
from embedkit.errors import EmbedkitError
from embedkit.extraction import Embedded
from embedkit.probing import ProbeResult, probe
from embedkit.probing.contest import on_common_rows
from embedkit.probing.measures.compare import paired


def _result(noise: float, **changes: Any) -> ProbeResult:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = np.column_stack([y + rng.normal(scale=noise, size=120), rng.normal(size=120)])
    made = EmbeddingSet.from_arrays(
        X, y.astype(str), groups=(np.arange(120) // 4).astype(str), split=np.where(np.arange(120) < 60, "train", "test")
    )
    return replace(probe(made, replicates=200), **changes)


def _trained(noise: float = 0.6) -> ProbeResult:
    made = _result(noise)
    cost = Cost(1000.0, 2000.0, 10, 5 * 10**12, None)
    protocol = {**made.protocol, "training": {"epochs": 3}}
    return replace(made, model="resnet18", classifier="trained", protocol=protocol, cost=cost.to_dict())


@pytest.fixture(scope="module")
def frozen() -> ProbeResult:
    embedding = Embedded(120, Cost(8.0, 14.0, 20, 10**11, None)).to_dict()
    return _result(0.9, cost={**Cost(2.0, 6.0, 5, None, None).to_dict(), "embedding": embedding})


def test_ratios_are_training_over_embedding_and_fit(frozen: ProbeResult) -> None:
    found = exchange(frozen, _trained())
    assert found["ratios"] == {
        "wall_seconds": 1000 / (8 + 2),
        "processor_seconds": 2000 / (14 + 6),
        "multiply_adds": 50.0,
        "energy_kwh": None,
    }
    assert found["probe"]["cost"]["peak_memory_bytes"] == 20
    assert len(found["notes"]) == 1


def test_the_difference_is_the_paired_one_on_the_same_images(frozen: ProbeResult) -> None:
    trained = _trained()
    found = exchange(frozen, trained)
    a, b, groups = on_common_rows(trained, frozen)
    assert found["auc_difference"] == paired(a, b, groups, 200, 0, ["auc"])["auc"]
    expected = trained.auc["value"] - frozen.auc["value"]
    assert found["auc_difference"]["value"] == pytest.approx(expected)
    assert expected > 0
    assert found["n"] == 60


def test_what_is_not_known_is_said_and_no_ratio(frozen: ProbeResult) -> None:
    bare = replace(frozen, cost=Cost(2.0, 6.0, 5, None, None).to_dict())
    found = exchange(bare, _trained())
    assert found["ratios"]["multiply_adds"] is None
    assert found["ratios"]["wall_seconds"] == 500
    assert "not recorded" in found["notes"][0]
    few = replace(frozen, cost={**frozen.cost, "embedding": Embedded(30, Cost()).to_dict()})
    assert "30 embeddings" in exchange(few, _trained())["notes"][1]


def test_what_a_solver_counted_is_added(frozen: ProbeResult) -> None:
    fit, embedding = Cost(1.0, 2.0, 3, 4, 0.5), Cost(10.0, 20.0, 30, 40, 5.0)
    result = replace(frozen, cost={**fit.to_dict(), "embedding": Embedded(1, embedding).to_dict()})
    assert spent(result) == fit + embedding


def test_other_questions_and_other_images_are_refused(frozen: ProbeResult) -> None:
    with pytest.raises(EmbedkitError, match="compare results on the same sets"):
        exchange(frozen, replace(_trained(), target="grade"))
    folded = {**_trained().protocol, "split": "folds", "folds": 5}
    with pytest.raises(EmbedkitError, match=r"published split.*5 folds.*the same sets, target, level and protocol"):
        exchange(frozen, replace(_trained(), protocol=folded))
    elsewhere = _trained()
    moved = elsewhere.predictions.assign(id="x" + elsewhere.predictions["id"].astype(str))
    with pytest.raises(EmbedkitError, match="no image"):
        exchange(frozen, replace(elsewhere, predictions=moved))
