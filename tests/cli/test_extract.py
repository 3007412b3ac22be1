"""``embedkit extract`` as a user types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit import api
from embedkit import images as image_room
from embedkit.cache import read
from embedkit.extraction import extract_named
from tests.cli.conftest import Run
from tests.extraction.fake import FakeEncoder


@pytest.mark.parametrize("verb", ["extract", "probe"])
def test_an_image_that_fails_for_several_encoders_is_counted_once(
    embedkit: Run, tiny_model: str, images: Path, place: Path, verb: str
) -> None:
    shutil.copy(tiny_model.removeprefix("onnx:"), place / "second.onnx")
    words = (verb, "-m", tiny_model, "-m", f"onnx:{place / 'second.onnx'}", "-d", f"folder:{images}")
    for name, status in (("one.png", 0), ("two.png", 1)):
        (images / "red" / "red-p0" / name).write_bytes(b"no image")
        assert embedkit(*words, "--allow-failed", 1).status == status
    assert embedkit(*words, "--allow-failed", 2).status == 0


def test_extract_then_again(embedkit: Run, tiny_model: str, images: Path) -> None:
    first = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}")
    assert first.status == 0
    assert "32 images, 32 embedded" in first.out
    again = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    [result] = again.results
    assert (result["n"], result["embedded"], result["reused"], result["failed"]) == (32, 0, 32, [])
    assert read(Path(result["path"])).X.shape == (32, 8)


def test_failed_images_are_printed_and_counted(embedkit: Run, tiny_model: str, images: Path) -> None:
    (images / "red" / "red-p0" / "broken\nname.png").write_bytes(b"no image")
    words = ("extract", "--model", tiny_model, "--data", f"folder:{images}")
    done = embedkit(*words)
    assert done.status == 1
    assert "1 failed" in done.out
    assert "broken\\nname.png" in done.err
    assert embedkit(*words, "--allow-failed", 1).status == 0
    as_json = embedkit(*words, "--json")
    assert as_json.status == 1
    assert [row["path"] for row in as_json.results[0]["failed"]] == ["red/red-p0/broken\nname.png"]


def test_several_models_and_sets_in_one_call(embedkit: Run, tiny_model: str, images: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(Path(tiny_model.removeprefix("onnx:")).read_bytes())
    other = tmp_path / "other"
    images.joinpath("red").rename(tmp_path / "moved")
    (tmp_path / "moved").rename(other)
    done = embedkit(
        "extract", "--model", tiny_model, "--model", f"onnx:{copy}",
        "--data", f"folder:{images}", "--data", f"folder:{other}", "--json",
    )  # fmt: skip
    assert [result["n"] for result in done.results] == [16, 16, 16, 16]
    assert len({result["path"] for result in done.results}) == 4


@pytest.mark.parametrize("verb", ["extract", "probe"])
def test_several_models_read_each_image_once(
    verb: str, embedkit: Run, tiny_model: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(Path(tiny_model.removeprefix("onnx:")).read_bytes())
    loaded = []
    real = image_room.read
    monkeypatch.setattr(image_room, "read", lambda address: loaded.append(address) or real(address))
    done = embedkit(verb, "--model", tiny_model, "--model", f"onnx:{copy}", "--data", f"folder:{images}", "--json")
    assert [result.get("embedded", 32) for result in done.results] == [32, 32]
    assert len(loaded) == len(set(loaded)) == 32


def test_the_slurm_example_makes_the_file_of_one_run(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    data = f"folder:{images}"
    [whole] = embedkit("extract", "--model", tiny_model, "--data", data, "--json").results
    folder = Path(sys.executable).parent
    given = {"MODEL": tiny_model, "DATA": data, "PRECISION": "fp32", "EMBEDKIT_CACHE": str(place / "parts")}
    given |= {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_COUNT": "2"}
    script = Path(__file__).resolve().parents[2] / "examples" / "slurm_array.sh"

    def run(task: int, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **given, "SLURM_ARRAY_TASK_ID": str(task)}
        return subprocess.run([script, *words], env=environment, capture_output=True, text=True, check=False)

    second = run(2).stdout
    assert "16 images, 16 embedded" in second
    assert "-> part 2/2 of " in second
    early = run(1, "merge")
    assert (early.returncode, early.stdout) == (2, "")
    assert "--shard that is missing" in early.stderr
    assert run(1).returncode == 0
    assert "32 images, nothing was left to embed, all 32 had their embedding" in run(1, "merge").stdout
    merged = place / "parts" / Path(whole["path"]).parent.name / Path(whole["path"]).name
    assert read(merged).X.tobytes() == read(Path(whole["path"])).X.tobytes()


def test_a_shard_that_means_nothing(embedkit: Run, tiny_model: str, images: Path) -> None:
    for shard in ("0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/2/3"):
        done = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", f"--shard={shard}")
        assert done.status == 2
        assert "--shard" in done.err


def test_json_is_all_there_is_on_standard_output(tiny_model: str, images: Path) -> None:
    words = ["extract", "--model", tiny_model, "--data", f"folder:{images}", "--json"]
    done = subprocess.run([sys.executable, "-m", "embedkit", *words], capture_output=True, check=True)
    assert json.loads(done.stdout)["results"][0]["embedded"] == 32


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_a_sentence_and_status_130(
    tiny_model: str, images: Path, place: Path, how: signal.Signals
) -> None:
    rng = np.random.default_rng(1)
    from PIL import Image

    folder = place / "many" / "a"
    folder.mkdir(parents=True)
    for number in range(400):
        Image.fromarray(rng.integers(0, 255, (700, 700, 3), dtype=np.uint8)).save(
            folder / f"{number}.png", compress_level=0
        )
    words = ["extract", "--model", tiny_model, "--data", f"folder:{place / 'many'}", "--batch", "8"]
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and a child would inherit that.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; from embedkit.cli import main; main()", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if list(place.glob("cache/*/.shards/*/*.h5")) or process.poll() is not None:
            break
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be stopped"
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "are kept: run the same command again" in err
    assert "Traceback" not in err


def test_the_extraction_of_ten_more_embeds_ten(embedkit: Run, tiny_model: str, images: Path) -> None:
    from PIL import Image

    words = ("extract", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    embedkit(*words)
    for number in range(10):
        Image.new("RGB", (30, 30), (number, 0, 0)).save(images / "red" / "red-p0" / f"new{number}.png")
    [result] = embedkit(*words).results
    assert (result["n"], result["embedded"]) == (42, 10)


# What takes longer to import than to do nothing. (typer brings pydantic, if it brings it.)
HEAVY = {"torch", "torchvision", "timm", "sklearn", "scipy", "loky", "joblib", "pandas", "h5py", "rich"}


def test_nothing_to_do_is_said_without_a_heavy_import(data_root: Path, weights_root: Path, place: Path) -> None:
    job = api.job_for("vit-ti16", weights=weights_root, precision="fp32")
    job = replace(job, load=lambda *_: FakeEncoder(), multiply_adds=lambda _: None)
    first = extract_named("hei-med", job, place / "cache", root=data_root)
    assert (first.embedded, first.ledger) == (169, [])
    words = ["extract", "--model", "vit-ti16", "--data", "hei-med", "--precision", "fp32"]
    places = ["--root", str(data_root), "--weights", str(weights_root), "--cache", str(place / "cache")]
    report = f"import sys, atexit; atexit.register(lambda: print(*sorted({HEAVY!r} & set(sys.modules)), sep=','))"
    command = [sys.executable, "-c", f"{report}; from embedkit.cli import main; main()", *words, *places]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, imported = done.stdout.splitlines()
    assert "169 images, nothing to do, all 169 had their embedding, 0 failed" in said
    assert imported == ""


@pytest.mark.parametrize("verb", ["extract", "probe"])
def test_pseudonymise_leaves_no_name_of_a_patient_or_a_file(
    verb: str, embedkit: Run, tiny_model: str, images: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (verb, "--model", tiny_model, "--data", f"folder:{images}", "--pseudonymise", "--json")
    refused = embedkit(*words)
    assert refused.status == 2
    assert "EMBEDKIT_SALT" in refused.err
    monkeypatch.setenv("EMBEDKIT_SALT", "0123456789abcdef0123456789abcdef")
    done = embedkit(*words)
    assert done.status == 0, done.err
    written = [path for folder in ("cache", "results") for path in (place / folder).rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert b"red-p0" not in path.read_bytes() + path.name.encode()
    assert "red-p0" not in done.out


def test_an_engine_is_chosen_told_and_no_part_of_the_key(embedkit: Run, images: Path, tiny_checkpoint: Path) -> None:
    words = ("extract", "-m", "timm:test_vit", "--weights", tiny_checkpoint, "-d", f"folder:{images}")
    words = (*words, "--precision", "fp32", "--workers", 0)
    done = embedkit(*words, "--engine", "openvino", "--json")
    assert done.status == 0, done.err
    assert done.results[0]["engine"] == "openvino"
    assert read(Path(done.results[0]["path"])).provenance["engine"] == "openvino"
    assert "nothing to do" in embedkit(*words, "--engine", "torch").out
    plain = embedkit(*words, "--engine", "torch", "--cache", "other")
    assert "images/s, torch)" in plain.out
    [other] = Path("other").rglob("*.h5ad")
    assert other.name == Path(done.results[0]["path"]).name
    found = read(Path(done.results[0]["path"]))
    np.testing.assert_allclose(read(other).X, found.X, rtol=1e-3, atol=1e-4)


def test_an_engine_that_cannot_be_is_refused(
    embedkit: Run, images: Path, tiny_model: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("extract", "-d", f"folder:{images}", "--precision", "fp32")
    done = embedkit(*words, "-m", tiny_model, "--engine", "tensorrt")
    assert (done.status, done.out) == (2, "")
    assert "unknown engine 'tensorrt': choose auto, torch, compile, openvino, onnx" in done.err
    monkeypatch.setenv("EMBEDKIT_ENGINE", "openvino")
    done = embedkit(*words, "-m", tiny_model)
    assert done.status == 2
    assert "is an ONNX graph, which only the engine onnx runs, not openvino" in done.err
    monkeypatch.setenv("EMBEDKIT_ENGINE", "onnx")
    done = embedkit(*words[:-1], "bf16", "-m", "timm:test_vit", "--weights", tiny_checkpoint)
    assert done.status == 2
    assert "the engine onnx lacks bf16" in done.err


@pytest.mark.parametrize("name", ["MODEL", "DATA", "PRECISION"])
def test_the_slurm_example_says_what_it_lacks(name: str) -> None:
    script = Path(__file__).resolve().parents[2] / "examples" / "slurm_array.sh"
    given = {"MODEL": "m", "DATA": "d", "PRECISION": "fp32", "PATH": os.environ["PATH"]}
    del given[name]
    done = subprocess.run([script], env=given, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"{name}: export it first" in done.stderr


def test_an_engine_that_can_not_run_it_is_refused_where_nothing_is_left_to_do(
    embedkit: Run, tiny_model: str, images: Path
) -> None:
    words = ("extract", "--model", tiny_model, "--data", f"folder:{images}", "--allow-failed", "1")
    assert embedkit(*words).status == 0
    assert embedkit(*words, "--engine", "onnx").status == 0
    refused = embedkit(*words, "--engine", "openvino")
    assert refused.status == 2
    assert "which only the engine onnx runs" in refused.err
