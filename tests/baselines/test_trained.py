"""A trained network beside a probe: the same images judged, the same form of result, and what it cost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedkit.baselines import Recipe, train
from embedkit.cache import EmbeddingSet
from embedkit.cost import Cost
from embedkit.datasets import ImageSet, open_dataset
from embedkit.errors import EmbedkitError
from embedkit.extraction.plan import canonical_table
from embedkit.probing import ProbeResult, Settings, probe
from tests.baselines.conftest import with_split, write_set

TINY: dict[str, Any] = {"arch": "test_resnet", "size": 32, "batch": 8, "device": "cpu", "precision": "fp32"}


def _train(dataset: ImageSet, place: Path, test: ImageSet | None = None, **choices: Any) -> ProbeResult:
    settings = {"replicates": 50, **{k: v for k, v in choices.items() if k in vars(Settings())}}
    recipe = {"epochs": 2, **TINY, **{k: v for k, v in choices.items() if k in vars(Recipe())}}
    return train(dataset, test, Recipe(**recipe), Settings(**settings), workspace=place / "work", workers=0)


def _probe(dataset: ImageSet, test: ImageSet | None = None, **settings: Any) -> ProbeResult:
    """Return the probe of meaningless vectors of the same images."""

    def embedded(one: ImageSet, seed: int) -> EmbeddingSet:
        table = canonical_table(one).assign(digest=[f"{one.name}{n}" for n in range(len(one))])
        about = {"targets": one.targets, "facts": one.facts}
        X = np.random.default_rng(seed).normal(size=(len(one), 4)).astype(np.float32)
        return EmbeddingSet(X, table, {"name": one.name, "encoder": "noise", "key": "1", "dataset": about})

    return probe(embedded(dataset, 0), None if test is None else embedded(test, 1), replicates=50, **settings)


@pytest.fixture(scope="module")
def learnt(stripes: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> ProbeResult:
    import torch

    torch.set_num_threads(1)
    return _train(with_split(stripes, 48, 12), tmp_path_factory.mktemp("learnt"), epochs=10)


def test_what_can_be_learnt_is_learnt(learnt: ProbeResult) -> None:
    assert learnt.auc["value"] > 0.9
    assert (learnt.model, learnt.classifier, learnt.n_train, learnt.n_test) == ("timm-test_resnet", "trained", 48, 20)
    assert learnt.selected["parameter"] == "epoch"
    assert learnt.selected["epoch"] == 1 + int(np.argmax(learnt.selected["scores"])) or learnt.auc["value"] == 1
    assert learnt.calibration["temperature"] > 0


def test_validation_images_of_one_class_give_no_temperature(stripes: ImageSet, tmp_path: Path) -> None:
    split = with_split(stripes, 48)
    # The eighth of the training images that chooses has none of the only patient of the other class.
    alone = (split.table["label"] == "class 0") | (split.table["group"] == "patient 1")
    kept = (split.table["split"] == "test") | alone
    found = _train(replace(split, table=split.table[kept].reset_index(drop=True)), tmp_path)
    assert list(found.calibration) == ["uncalibrated"]
    assert found.decision_curve == []
    assert any("no class has both sides in the validation images: their loss chose" in note for note in found.notes)


def test_the_judged_images_are_those_of_the_probe(learnt: ProbeResult, stripes: ImageSet) -> None:
    beside = _probe(with_split(stripes, 48, 12))
    columns = ["id", "group", "fold", "truth"]
    pd.testing.assert_frame_equal(learnt.predictions[columns], beside.predictions[columns])
    # It never learns from the validation images, and the probe does at last.
    assert (learnt.n_train, beside.n_train) == (48, 60)
    assert sum(learnt.protocol["class_counts"]["train"].values()) == 48


def test_the_result_is_saved_and_read_like_a_probe(learnt: ProbeResult, tmp_path: Path) -> None:
    learnt.save(tmp_path / "result.json")
    read = ProbeResult.load(tmp_path / "result.json")
    assert read.to_dict() == learnt.to_dict()
    pd.testing.assert_frame_equal(read.predictions, learnt.predictions, check_dtype=False)


def test_the_cost_is_counted_by_the_formula(learnt: ProbeResult) -> None:
    cost = Cost.from_dict(learnt.cost)
    epochs = len(learnt.selected["scores"])
    # Three passes of 48 images, one of 12, and at last one of 20 and 12; published are 4,194,048 with 1,000 classes.
    passes = epochs * (3 * 48 + 12) + 20 + 12
    assert cost.multiply_adds == passes * (4_194_048 - 96 * 998)
    assert cost.wall_seconds > 0
    assert cost.processor_seconds > 0


def test_the_same_seed_gives_the_same_result_and_another_does_not(stripes: ImageSet, tmp_path: Path) -> None:
    dataset = with_split(stripes, 48, 12)
    one, two, other = (
        _train(dataset, tmp_path / name, seed=seed).predictions for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert not np.array_equal(one.filter(like="score"), other.filter(like="score"))


def test_without_a_split_every_image_is_judged_by_the_folds_of_the_probe(stripes: ImageSet, tmp_path: Path) -> None:
    found = _train(stripes, tmp_path, folds=2, epochs=1)
    beside = _probe(stripes, folds=2)
    columns = ["id", "group", "fold", "truth"]
    pd.testing.assert_frame_equal(found.predictions[columns], beside.predictions[columns])
    assert found.n_test == 80
    assert found.selected["epoch"] == [1, 1]
    assert len(list((tmp_path / "work").rglob("fold-*.safetensors"))) == 2


def test_no_patient_is_on_both_sides_of_the_validation(
    stripes: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedkit.baselines import fold

    seen = []
    original = fold.Trainer

    def spy(network: Any, lesson: Any, *rest: Any, **named: Any) -> Any:
        seen.append(lesson)
        return original(network, lesson, *rest, **named)

    monkeypatch.setattr(fold, "Trainer", spy)
    _train(with_split(stripes, 60), tmp_path, epochs=1)
    groups = stripes.table["group"].to_numpy()
    learnt, held = groups[seen[0].rows], groups[seen[0].val_rows]
    assert len(learnt) + len(held) == 60
    assert 4 <= len(held) <= 12
    assert not set(learnt) & set(held)
    assert not {*learnt, *held} & set(groups[60:])


def test_another_set_is_judged_by_a_network_of_this_one(stripes: ImageSet, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other", "other", 16, first=500)
    found = _train(stripes, tmp_path, other, epochs=8)
    assert (found.data, found.test, found.n_test) == ("stripes", "other", 16)
    assert found.auc["value"] > 0.8
    assert list(found.predictions["id"]) == list(_probe(stripes, other).predictions["id"])


def test_labels_that_hold_together_are_learnt_one_by_one(tmp_path: Path) -> None:
    made = write_set(tmp_path / "images", "labels", 64, classes=4)
    code = made.table["label"].str[-1].astype(int)
    columns = {"low": (code >= 2).astype(float), "odd": (code % 2).astype(float)}
    columns["odd"].iloc[::7] = np.nan
    dataset = replace(made, table=made.table.assign(**columns), targets={"both": ("low", "odd")})
    found = _train(with_split(dataset, 40, 8), tmp_path, epochs=8, class_weight="balanced")
    assert found.classes == ["low", "odd"]
    assert found.per_class[0]["auc"]["value"] > 0.8
    assert found.protocol["multilabel"] is True


def test_weights_are_the_start_and_part_of_the_key(stripes: ImageSet, learnt: ProbeResult, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "start.safetensors")
    found = _train(with_split(stripes, 48, 12), tmp_path, weights=tmp_path / "start.safetensors", epochs=1)
    assert found.classifier == "fine-tuned"
    assert found.key != learnt.key
    assert found.protocol["training"]["weights"] is not None


def test_a_network_that_is_only_judged_otherwise_is_not_trained_again(
    stripes: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = with_split(stripes, 48, 12)
    first = _train(dataset, tmp_path, epochs=1)
    monkeypatch.setattr("embedkit.baselines.training.Trainer._epoch", lambda *_: pytest.fail("it is trained again"))
    again = _train(dataset, tmp_path, epochs=1, replicates=60, specificity=0.8)
    pd.testing.assert_frame_equal(again.predictions, first.predictions)
    per_patient = _train(dataset, tmp_path, epochs=1, level="group")
    assert (first.n_test, per_patient.n_test) == (20, 10)
    assert len({first.key, again.key, per_patient.key}) == 3, "each result has its own file"
    with pytest.raises(pytest.fail.Exception, match="it is trained again"):
        _train(dataset, tmp_path, epochs=1, seed=1)


def test_a_bad_image_is_named_and_not_judged(tmp_path: Path) -> None:
    dataset = with_split(write_set(tmp_path / "images", "bad", 32), 20, 4)
    Path(dataset.addresses()[-1]).write_bytes(b"")
    found = _train(dataset, tmp_path, epochs=1)
    assert found.n_test == 7
    assert [row["id"] for row in found.protocol["training"]["failed"]] == ["0031.png"]
    assert any("1 images of bad could not be" in note for note in found.notes)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"arch": "resnet81"}, "unknown timm model"),
        ({"pool": "embeddings", "level": "group"}, "no embeddings to pool"),
        ({"views": "view", "level": "group"}, "leave out views"),
        ({"shots": (1, 2)}, "learning curve"),
        ({"weights": Path("absent.safetensors")}, "absent.safetensors"),
        ({"target": "tumour"}, "unknown target"),
        ({"group": "hospital"}, "unknown group column"),
        ({"device": "cuda:7"}, "cannot compute on the device"),
    ],
)
def test_what_cannot_be_done_is_said(stripes: ImageSet, tmp_path: Path, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(EmbedkitError, match=said):
        _train(with_split(stripes, 48, 12), tmp_path, **choices)
    assert not list(tmp_path.rglob("*.pixels")), "it is said before anything is decoded"


def test_real_chest_x_rays_are_learnt_from_scratch(data_root: Path, tmp_path: Path) -> None:
    whole = open_dataset("chest-xray", data_root)
    # About one in nine training images and one in six test images, in the order of the files.
    train_rows, test_rows = (
        np.flatnonzero(whole.table["split"] == "train"),
        np.flatnonzero(whole.table["split"] == "test"),
    )
    rows = np.concatenate([train_rows[::9], test_rows[::6]])
    dataset = replace(whole, table=whole.table.iloc[rows].reset_index(drop=True))
    found = _train(dataset, tmp_path, size=48, epochs=4, batch=16, class_weight="balanced")
    print(f"chest X-ray, {found.n_train} + {found.n_test} images of 48 px: AUC {found.auc['value']:.3f}")
    assert found.test == "chest-xray"
    assert found.auc["value"] > 0.8
    assert {row["source"] != "" for row in found.baselines} == {True}
