"""``--precision int8`` as a user types it, with a small network of random weights."""

import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import embedkit as ek
from embedkit.cache import EmbeddingSet, read
from embedkit.extraction import appraised
from tests.cli.conftest import Done, Run, write_checkpoint, write_images

pytestmark = pytest.mark.skipif(
    not (find_spec("nncf") and find_spec("openvino")), reason="nncf is not installed: pip install 'embedkit[int8]'"
)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr(appraised, "_SECONDS", 0.01)
    monkeypatch.setattr(appraised, "_ROUNDS", 1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), "test_resnet")


Extract = Callable[..., Done]


@pytest.fixture
def extract(embedkit: Run, checkpoint: Path, images: Path) -> Extract:
    def run(*words: object, data: Path = images) -> Done:
        model = ("--model", "timm:test_resnet", "--weights", checkpoint)
        return embedkit("extract", *model, "--data", f"folder:{data}", "--workers", 0, *words)

    return run


def _result(done: Done) -> dict[str, Any]:
    assert done.status == 0, done.err
    [result] = done.results
    return result


def _vectors(done: Done) -> EmbeddingSet:
    return read(Path(_result(done)["path"]))


def test_int8_from_the_first_run_to_the_repair(
    extract: Extract, embedkit: Run, place: Path, images: Path, checkpoint: Path
) -> None:
    first = extract("--precision", "int8", "--json")
    result, whole = _result(first), _vectors(first)
    assert (result["embedded"], result["engine"]) == (32, "openvino")
    measured = result["int8"]

    # What is said to be the drift is the drift, and is kept.
    exact = _vectors(extract("--precision", "fp32", "--json"))
    X, Y = whole.X.astype(float), exact.X.astype(float)
    cosines = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    assert cosines.min() < 1 - 1e-6
    assert measured["cosine"]["least"] == pytest.approx(cosines.min(), abs=1e-5)
    assert measured["cosine"]["mean"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert (measured["images"], measured["held_out"]) == (32, False)
    assert measured["auc"]["why"].startswith("too few of these 32 images")
    assert f"{measured['cosine']['least']:.4f} at least" in first.err
    assert json.loads(whole.provenance["int8"]) == measured
    described = embedkit("cache", "info", result["path"], "--json").results[0]
    assert (described["int8"], described["precision"]) == (measured, "int8")

    # A key of its own, and never by itself.
    half = _result(extract("--precision", "bf16", "--json"))
    usual = _result(extract("--json"))
    assert len({result["key"], half["key"], exact.key}) == 3
    assert usual["key"] in (half["key"], exact.key)
    assert usual["int8"] is None
    folder, weights = f"folder:{images}", {"weights": checkpoint}
    assert ek.load("timm:test_resnet", folder, **weights).key == usual["key"]
    assert ek.load("timm:test_resnet", folder, precision="int8", **weights).key == result["key"]

    # Nothing to do, from the receipt and without it.
    again = _result(extract("--precision", "int8", "--json"))
    assert (again["embedded"], again["key"], again["int8"]) == (0, result["key"], measured)

    # A run that goes on, here from a half that a shard has made, has the same network and the same bits.
    path = Path(result["path"])
    path.unlink()
    assert extract("--precision", "int8", "--shard", "1/2").status == 0
    rest = _result(extract("--precision", "int8", "--json"))
    assert (rest["embedded"], rest["reused"], rest["key"]) == (16, 16, result["key"])
    assert read(path).X.tobytes() == whole.X.tobytes()
    assert json.loads(read(path).provenance["int8"]) == measured

    # Another set shares it by name, where its own would not be comparable.
    write_images(place / "others", {"blue": (90, 90, 200), "red": (150, 100, 100)}, patients=2)
    other = _result(extract("--precision", f"int8:{folder}", "--json", data=place / "others"))
    assert other["key"] == result["key"]
    assert other["int8"]["calibrated_on"] == measured["calibrated_on"]

    # A network that is lost is made again as it was.
    for kept in (place / "cache").glob("*/.int8"):
        shutil.rmtree(kept)
    path.unlink()
    Path(other["path"]).unlink()
    once_more = _result(extract("--precision", "int8", "--json"))
    assert (once_more["key"], once_more["embedded"]) == (result["key"], 32)

    # A damaged file is repaired with the network that has made it.
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    repair = ("cache", "verify", "--repair", "--model", "timm:test_resnet", "--data", folder, "--weights", checkpoint)
    assert embedkit(*repair, path).status == 0
    assert read(path).X.tobytes() == whole.X.tobytes()


def test_a_probe_names_the_set_that_calibrates(embedkit: Run, place: Path, images: Path, checkpoint: Path) -> None:
    words = ("--model", "timm:test_resnet", "--weights", checkpoint, "--data", f"folder:{images}", "--workers", 0)
    refused = embedkit("probe", *words, "--precision", "int8")
    assert refused.status == 2
    assert "--precision int8:SET" in refused.err
    write_images(place / "others", {"red": (140, 100, 100), "green": (100, 140, 100)})
    both = ("--test", f"folder:{place / 'others'}", "--precision", f"int8:folder:{images}", "--replicates", 100)
    [result] = embedkit("probe", *words, *both, "--json").results
    assert result["n_test"] == 32


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "torch"), "int8 is computed by the engine openvino alone, not by torch"),
        (("--engine", "onnx"), "int8 is computed by the engine openvino alone, not by onnx"),
        (("--data", "folder:."), "say which, as in --precision int8:folder:"),
    ],
)
def test_what_int8_cannot_be_is_refused(extract: Extract, words: tuple[str, ...], said: str) -> None:
    done = extract("--precision", "int8", *words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_the_engine_of_the_environment_is_refused_too(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDKIT_ENGINE", "compile")
    done = extract("--precision", "int8")
    assert done.status == 2
    assert "EMBEDKIT_ENGINE" in done.err


def test_a_graph_is_refused(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--precision", "int8")
    assert done.status == 2
    assert "is an ONNX graph" in done.err


def test_where_nncf_is_missing_the_command_is_said(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "nncf"]:
        monkeypatch.delitem(sys.modules, name)
    seen = find_spec
    monkeypatch.setattr("embedkit.encoders.engines.int8.find_spec", lambda name: None if name == "nncf" else seen(name))
    done = extract("--precision", "int8")
    assert (done.status, done.out) == (2, "")
    assert "pip install 'embedkit[int8]'" in done.err


def test_a_merge_embeds_nothing_and_makes_no_network(embedkit: Run, images: Path, checkpoint: Path) -> None:
    words = ("--model", "timm:test_resnet", "--weights", checkpoint, "--data", f"folder:{images}")
    done = embedkit("cache", "merge", *words, "--precision", f"int8:folder:{images}")
    assert done.status == 2
    assert "there is no network of timm:test_resnet in int8" in done.err
