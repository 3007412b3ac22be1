"""``ek.load`` by name never returns a stale vector, and ``ek.probe`` takes names and anybody's vectors."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import embedkit as ek
from embedkit import api
from embedkit.cache import DamagedCache, NotCached, Store, cache_key
from tests.cache.conftest import PROVENANCE, digest_of, no_failures, stamps, table_of, vectors


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("EMBEDKIT_WEIGHTS", raising=False)
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "resnet18.safetensors").write_bytes(b"first weights")
    return folder


def _cached(cache: Path, weights: Path, precision: str, number: int) -> Store:
    job = api.job_for("resnet18", weights=weights, precision=precision)
    store = job.store(cache, "hei-med")
    provenance = {**PROVENANCE, "name": "hei-med", "encoder": "resnet18", "key": job.key}
    with store.lock():
        sources = [store.add_shard(vectors([number]), [digest_of(number)])]
        table = table_of([number])
        store.commit(table, no_failures(), stamps(1), sources, {**provenance, "configuration": job.configuration})
    return store


def _first(e: ek.EmbeddingSet) -> float:
    return float(e.X[0, 0])


def test_load_finds_the_vectors_of_todays_weights(tmp_path: Path, weights: Path) -> None:
    _cached(tmp_path, weights, "fp32", 1)
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights)) == 1
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path)) == 1


def test_vectors_of_other_weights_are_refused_with_the_difference(tmp_path: Path, weights: Path) -> None:
    store = _cached(tmp_path, weights, "fp32", 1)
    (weights / "resnet18.safetensors").write_bytes(b"other weights")
    with pytest.raises(NotCached, match=r"encoder\.weights: then .* now .*embedkit extract --model resnet18"):
        ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights)
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights, key=store.key)) == 1
    _cached(tmp_path, weights, "fp32", 2)
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights)) == 2


def test_precision_picks_between_files(tmp_path: Path, weights: Path) -> None:
    for number, precision in enumerate(("bf16", "fp32")):
        _cached(tmp_path, weights, precision, number)
    for number, precision in enumerate(("bf16", "fp32")):
        for where in (weights, None):
            e = ek.load("resnet18", "hei-med", cache=tmp_path, weights=where, precision=precision)
            assert _first(e) == number


@pytest.mark.parametrize("key", [None, "given"])
def test_a_precision_that_there_is_not_is_refused(tmp_path: Path, weights: Path, key: str | None) -> None:
    store = _cached(tmp_path, weights, "fp32", 1)
    with pytest.raises(ek.EmbedkitError, match="unknown precision 'bogus': choose fp32 or bf16, or int8"):
        ek.load("resnet18", "hei-med", cache=tmp_path, precision="bogus", key=key and store.key)


def test_vectors_of_another_precision_are_better_than_none(tmp_path: Path, weights: Path) -> None:
    _cached(tmp_path, weights, "bf16", 5)
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights)) == 5
    with pytest.raises(NotCached, match="precision: then bf16, now fp32"):
        ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights, precision="fp32")


def test_without_weights_several_files_are_a_question(tmp_path: Path, weights: Path) -> None:
    one = _cached(tmp_path, weights, "fp32", 1)
    (weights / "resnet18.safetensors").write_bytes(b"other weights")
    _cached(tmp_path, weights, "fp32", 2)
    with pytest.raises(ek.EmbedkitError, match=r"not clear.*key="):
        ek.load("resnet18", "hei-med", cache=tmp_path)
    assert _first(ek.load("resnet18", "hei-med", cache=tmp_path, key=one.key)) == 1


def test_load_of_what_was_never_extracted_says_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotCached, match="embedkit extract --model resnet18 --data hei-med"):
        ek.load("resnet18", "hei-med", cache=tmp_path)


def test_load_takes_the_names_that_are_listed(tmp_path: Path) -> None:
    for number, precision in enumerate(("bf16", "fp32")):
        names = {"name": "folder-mine-0a1b2c", "encoder": "onnx-own"}
        configuration = {"encoder": {"precision": precision}}
        key = cache_key(configuration)
        store = Store(tmp_path, *names.values(), key)
        with store.lock():
            rows = store.add_shard(vectors([number]), [digest_of(number)])
            provenance = {**PROVENANCE, **names, "key": key, "configuration": configuration}
            store.commit(table_of([number]), no_failures(), stamps(1), [rows], provenance)
        how = {"cache": tmp_path}
        assert _first(ek.load("onnx-own", "folder-mine-0a1b2c", precision=precision, **how)) == number
        assert _first(ek.load("onnx-own", "folder-mine-0a1b2c", key=key, **how)) == number
    with pytest.raises(ek.EmbedkitError, match="which embeddings are meant is not clear"):
        ek.load("onnx-own", "folder-mine-0a1b2c", **how)
    for model, data, message in (
        ("onnx-other", "folder-mine-0a1b2c", "unknown model 'onnx-other'"),
        ("onnx-own", "folder-mine-000000", "unknown dataset 'folder-mine-000000'"),
    ):
        with pytest.raises(ek.EmbedkitError, match=message):
            ek.load(model, data, **how)


@pytest.mark.parametrize("key", ["*", "", "0" * 16])
def test_load_of_a_key_that_there_is_not(tmp_path: Path, weights: Path, key: str) -> None:
    _cached(tmp_path, weights, "fp32", 1)
    with pytest.raises(NotCached, match="embedkit extract --model resnet18 --data hei-med"):
        ek.load("resnet18", "hei-med", cache=tmp_path, weights=weights, key=key)


def test_load_verifies_if_asked(tmp_path: Path, weights: Path) -> None:
    path = _cached(tmp_path, weights, "fp32", 1).path
    with h5py.File(path) as file:
        at = file["X"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    how = {"cache": tmp_path, "weights": weights}
    assert _first(ek.load("resnet18", "hei-med", **how)) != 1
    with pytest.raises(DamagedCache, match="checksum"):
        ek.load("resnet18", "hei-med", **how, verify=True)


def test_load_imports_no_torch(tmp_path: Path, weights: Path) -> None:
    import subprocess
    import sys

    _cached(tmp_path, weights, "fp32", 1)
    script = (
        "import sys, embedkit as ek\n"
        f"e = ek.load('resnet18', 'hei-med', cache={str(tmp_path)!r}, weights={str(weights)!r})\n"
        "assert len(e) == 1 and not {'torch', 'timm', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_probe_runs_on_anybodys_vectors() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["ill", "well"], 30)
    X = rng.normal(size=(60, 4)) + 2 * (y == "ill")[:, None]
    result = ek.probe(ek.EmbeddingSet.from_arrays(X, y, groups=np.arange(60) // 2))
    assert result.auc["value"] > 0.9
    assert result.n_groups == 30
    assert result.baselines == []


def test_a_probe_of_sets_with_images_in_common_says_so() -> None:
    sets = []
    for seed, (name, related) in enumerate({"busi": ["breastmnist"], "breastmnist": []}.items()):
        X = np.random.default_rng(seed).normal(size=(60, 4))
        one = ek.EmbeddingSet.from_arrays(X, np.arange(60) % 2)
        about = {"targets": {"label": ["label"]}, "facts": {"related": related}}
        sets.append(replace(one, provenance={"name": name, "dataset": about}))
    note = ek.probe(sets[0], test=sets[1], replicates=20).notes[0]
    assert "BreastMNIST is made of the images of BUSI" in note


def test_probe_of_a_name_needs_a_model() -> None:
    with pytest.raises(ek.EmbedkitError, match="model="):
        ek.probe("hei-med")


def test_choices_that_make_no_sense_are_told_before_anything_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "embeddings", lambda *_, **__: pytest.fail("embeddings were asked for"))
    for wrong in ({"seed": 1.5}, {"folds": 1}, {"classifier": "forest"}, {"fold": 5}, {"draws": "many"}):
        with pytest.raises(ek.EmbedkitError, match=next(iter(wrong))):
            ek.probe("hei-med", model="resnet18", cache=tmp_path, **wrong)


def test_probe_refuses_vectors_that_are_not_finite() -> None:
    X = np.zeros((20, 2))
    X[3, 1] = np.nan
    with pytest.raises(ek.EmbedkitError, match=r"NaN"):
        ek.probe(ek.EmbeddingSet.from_arrays(X, ["a", "b"] * 10))


def test_the_public_names_are_all_there() -> None:
    assert set(dir(ek)) == set(ek.__all__)
    for name in ek.__all__:
        assert getattr(ek, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = ek.nothing  # type: ignore[attr-defined]


def test_a_network_is_trained_from_python_on_the_images_of_a_probe(tmp_path: Path) -> None:
    from tests.cli.conftest import RED_AND_GREEN, write_images

    write_images(tmp_path / "images", RED_AND_GREEN, patients=4)
    recipe = {"size": 32, "epochs": 1, "batch": 8}
    how = {"cache": tmp_path, "workers": 0, "folds": 2, "replicates": 50}
    result = ek.train_baseline("test_resnet", f"folder:{tmp_path / 'images'}", recipe=recipe, **how)
    assert (result.classifier, result.n_test, result.n_groups) == ("trained", 16, 8)
    with pytest.raises(ek.EmbedkitError, match="epochs = 0 is too small"):
        ek.train_baseline("test_resnet", "folder:nowhere", recipe={"epochs": 0})
