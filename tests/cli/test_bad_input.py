"""Every mistake gets a sentence that says what is wrong and what to do, status 2, and nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, write_images


def _refused(done: object, *parts: str) -> None:
    assert done.status == 2, done  # type: ignore[attr-defined]
    assert done.out == ""  # type: ignore[attr-defined]
    for part in parts:
        assert part in done.err, f"{part!r} is not in {done.err!r}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", ["extract", "probe"])
def test_unknown_names_get_the_closest_ones(embedkit: Run, verb: str, images: Path) -> None:
    _refused(embedkit(verb, "--model", "resnet5", "--data", f"folder:{images}"), "resnet5", "resnet50")
    _refused(embedkit(verb, "--model", "resnet50-v1", "--data", "ham1000"), "ham1000", "ham10000")


def test_no_weights_names_the_places_and_the_ways(embedkit: Run, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = embedkit("extract", "--model", "clip-vit-b16", "--data", f"folder:{images}")
    _refused(done, "--weights", "EMBEDKIT_WEIGHTS", "connected machine")


def test_missing_and_empty_folders(embedkit: Run, tiny_model: str, place: Path) -> None:
    _refused(embedkit("extract", "--model", tiny_model, "--data", "folder:nowhere"), "nowhere")
    (place / "empty").mkdir()
    _refused(embedkit("extract", "--model", tiny_model, "--data", "folder:empty"), "empty", "no image")
    assert not list(place.rglob("*.h5ad"))


def test_a_set_that_is_not_here_says_how_to_get_it(embedkit: Run, tiny_model: str) -> None:
    _refused(embedkit("extract", "--model", tiny_model, "--data", "ham10000"), "ham10000", "--root")


def test_a_csv_without_the_column_or_leaving_the_root(embedkit: Run, tiny_model: str, images: Path) -> None:
    table = images / "t.csv"
    table.write_text("file,label\nred/red-p0/0.png,red\n")
    _refused(embedkit("extract", "--model", tiny_model, "--data", f"csv:{table}"), "path", "file")
    table.write_text("path,label\n../secret.png,red\n")
    _refused(embedkit("extract", "--model", tiny_model, "--data", f"csv:{table}"), "../secret.png", "--root")


def _table(images: Path, text: str) -> str:
    (images / "t.csv").write_text(text)
    return f"csv:{images / 't.csv'}"


def test_labels_that_permit_no_judgement(embedkit: Run, tiny_model: str, images: Path) -> None:
    paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))

    def probe(text: str) -> object:
        return embedkit("probe", "--model", tiny_model, "--data", _table(images, text))

    _refused(probe("path,label\n" + "".join(f"{path},same\n" for path in paths)), "one class")
    _refused(probe("path\n" + "".join(f"{path}\n" for path in paths)), "label")
    each = "".join(f"{path},c{number}\n" for number, path in enumerate(paths))
    _refused(probe("path,label\n" + each), "class")
    split = "".join(
        f"{path},{'third' if i % 5 == 0 else path.split('/')[0]},{'test' if i % 5 == 0 else 'train'}\n"
        for i, path in enumerate(paths)
    )
    _refused(probe("path,label,split\n" + split), "third")


def test_unknown_target_group_classifier_and_precision(embedkit: Run, tiny_model: str, images: Path) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}")
    _refused(embedkit(*words, "--target", "labl"), "labl", "label")
    _refused(embedkit(*words, "--group", "patient"), "patient")
    _refused(embedkit(*words, "--classifier", "svm"), "svm-linear")
    _refused(embedkit(*words, "--precision", "fp8"), "fp8", "bf16", "fp32")


def test_another_set_with_other_classes(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    write_images(place / "other", {"blue": (0, 0, 200), "red": (200, 0, 0)}, patients=2)
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--test", f"folder:{place / 'other'}")
    _refused(done, "blue")


def test_a_truncated_cache_and_one_of_another_version(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    words = ("extract", "--model", tiny_model, "--data", f"folder:{images}")
    embedkit(*words)
    [path] = place.rglob("*.h5ad")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    _refused(embedkit(*words), "damaged", "embedkit cache rm")
    _refused(embedkit("probe", *words[1:]), "damaged")
    path.write_bytes(content.replace(b"format 1\n", b"format 9\n", 1))
    _refused(embedkit(*words), "format 9", "reads format 1")
    path.write_bytes(content)
    assert embedkit(*words).status == 0


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_later(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    words = ["extract", "--model", tiny_model, "--data", f"folder:{images}"]
    command = [sys.executable, "-m", "embedkit", *words]
    for kilobytes in (1, 8, 64, 200):
        limit = f'ulimit -f {kilobytes}; exec "$@"'
        done = subprocess.run(["bash", "-c", limit, "bash", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2, (kilobytes, done)
        assert "full" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(place.rglob("*.h5ad"))
    assert embedkit(*words).status == 0


def test_a_damaged_result_file(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}")
    [path] = place.glob("results/*/*.json")
    good = json.loads(path.read_text())
    for name, value in (("auc", 1), ("auc", {}), ("selected", []), ("notes", "x"), ("predictions", 3), ("classes", 0)):
        path.write_text(json.dumps({**good, name: value}))
        _refused(embedkit("show", path), name, "run the probe again")
    path.write_text(json.dumps(good)[:-50])
    _refused(embedkit("show", path), "run the probe again")
    uneven = {**good["predictions"], "fold": [0]}
    for predictions in ({}, uneven):
        path.write_text(json.dumps({**good, "predictions": predictions}))
        _refused(embedkit("show", path), path.name, "predictions", "run the probe again")
        again = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}")
        assert (again.status, "done before" in again.err) == (0, False), again.err
        assert json.loads(path.read_text())["predictions"] == good["predictions"]


def test_a_seed_and_a_device_that_mean_nothing(embedkit: Run, tiny_model: str, images: Path) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}")
    _refused(embedkit(*words, "--seed", 2**32), "seed")
    _refused(embedkit(*words, "--device", "foo"), "foo", "cpu or cuda")


def test_a_file_where_the_cache_should_be(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    (place / "taken").write_text("")
    done = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--cache", "taken")
    _refused(done, "taken", "--cache")


@pytest.mark.parametrize("folder", ["x" * 300, "/proc/nowhere"])
def test_a_cache_that_no_disk_can_hold(embedkit: Run, tiny_model: str, images: Path, folder: str) -> None:
    if folder.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    done = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--cache", folder, "--json")
    _refused(done, folder, "can't be written", "--cache")


def test_cache_verbs_name_what_they_did_not_find(embedkit: Run) -> None:
    for verb in ("info", "verify"):
        _refused(embedkit("cache", verb, "nothing"), "nothing", "embedkit cache ls")
    _refused(embedkit("show", "nothing.json"), "nothing.json")


def test_one_patient_of_a_class_is_too_few(embedkit: Run, tiny_model: str, images: Path) -> None:
    paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    rows = "".join(f"{path},{path.split('/')[0]},{'p1' if 'red' in path else path}\n" for path in paths)
    data = _table(images, "path,label,group\n" + rows)
    _refused(embedkit("probe", "--model", tiny_model, "--data", data), "red", "group")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cluster", "spark"], "it can be ray"),
        (["--address", "auto"], "add --cluster ray"),
        (["--gpus-per-worker", "1"], "add --cluster ray"),
        (["--cluster", "ray", "--shard", "1/2"], "give one of them"),
    ],
)
def test_options_of_a_cluster_that_mean_nothing(
    embedkit: Run, tiny_model: str, images: Path, words: list[str], told: str
) -> None:
    _refused(embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", *words), told)


def test_a_cluster_that_is_not_there(embedkit: Run, tiny_model: str, images: Path) -> None:
    pytest.importorskip("ray")
    cluster = ["--cluster", "ray", "--address", "127.0.0.1:1"]
    _refused(embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", *cluster), "--address")


@pytest.mark.parametrize("devices", [["--device", "cuda:all"], ["--device", "cuda:0", "--device", "cuda:1"]])
def test_several_gpus_where_there_is_none(embedkit: Run, tiny_model: str, images: Path, devices: list[str]) -> None:
    if _has_gpu():
        pytest.skip("there is a GPU")
    for verb in ("extract", "probe"):
        _refused(
            embedkit(verb, "--model", tiny_model, "--data", f"folder:{images}", *devices),
            "cannot compute on the device 'cuda'",
            "use cpu",
        )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "labl"), "unknown target 'labl'"),
        (("--by", "gender"), "unknown column 'gender'"),
        (("--group", "patient"), "unknown group column 'patient'"),
        (("--level", "image", "--level", "study"), "unknown column 'study'"),
        (("--sites", "clinic"), "unknown column 'clinic'"),
        (("--test", "folder:others"), "blue"),
    ],
)
def test_what_a_table_does_not_permit_is_refused_before_the_set_is_embedded(
    embedkit: Run, tiny_model: str, images: Path, place: Path, words: tuple[str, ...], said: str
) -> None:
    write_images(place / "others", {"red": (150, 100, 100), "blue": (100, 100, 150)})
    _refused(embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", *words), said)
    assert not list(place.rglob("*.h5*"))


def test_a_table_without_a_label_says_what_it_may_be_called(embedkit: Run, tiny_model: str, images: Path) -> None:
    paths = [path.relative_to(images) for path in sorted(images.rglob("*.png"))]
    rows = "".join(f"{path},{path.parts[0]}\n" for path in paths)
    (images / "t.csv").write_text(f"path,diagnosis\n{rows}")
    done = embedkit("probe", "--model", tiny_model, "--data", f"csv:{images / 't.csv'}")
    _refused(done, "has no label", "called label (rename it)", "label:NAME")
    flags = "".join(f"{path},{int(path.parts[0] == 'red')},{number % 2}\n" for number, path in enumerate(paths))
    (images / "t.csv").write_text(f"path,label:red,label:odd\n{flags}")
    words = ("probe", "--model", tiny_model, "--data", f"csv:{images / 't.csv'}", "--replicates", "100", "--json")
    done = embedkit(*words)
    assert done.status == 0, done.err
    assert [one["label"] for one in done.results[0]["per_class"]] == ["red", "odd"]
