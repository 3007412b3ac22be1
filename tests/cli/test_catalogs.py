"""``embedkit models``, ``datasets``, ``doctor`` and ``--help``."""

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run


def test_models(embedkit: Run, weights_root: Path) -> None:
    rows = {row["model"]: row for row in embedkit("models", "--weights", weights_root, "--json").results}
    assert rows["resnet50-v1"]["weights"] == str(weights_root / "resnet50-v1.safetensors")
    assert rows["clip-vit-b16"]["dim"] == 512
    assert {"clip-vit-b16", "biomedclip", "monet"} <= {name for name, row in rows.items() if row["text"]}
    assert not rows["resnet50-v1"]["text"]
    assert all(row["licence"] and row["trained_on"] and row["parameters"] for row in rows.values())
    assert rows["medsiglip"]["access"].startswith("gated")
    assert "resnet50-v1" in embedkit("models").out


def test_models_check_of_a_file_that_fits(embedkit: Run, weights_root: Path) -> None:
    file = weights_root / "vit-ti16.safetensors"
    done = embedkit("models", "check", "vit-ti16", file)
    assert done.status == 0
    assert f"{file} fits vit-ti16" in done.out
    [found] = embedkit("models", "check", "vit-ti16", file, "--json").results
    assert (found["fits"], found["missing"], found["surplus"], found["misshapen"]) == (True, [], [], [])


def test_models_check_of_a_file_that_does_not(embedkit: Run, weights_root: Path) -> None:
    file = weights_root / "vit-ti16.safetensors"
    done = embedkit("models", "check", "vit-b16", file)
    assert done.status == 2
    assert "does not fit vit-b16" in done.out
    assert "cls_token" in done.out
    assert "1 x 1 x 192" in done.out
    assert "It fits: vit-ti16." in done.out
    done = embedkit("models", "check", "vit-b16", file, "--json")
    assert done.status == 2
    [found] = done.results
    assert found["others"] == ["vit-ti16"]
    assert {"tensor": "cls_token", "found": [1, 1, 192], "wanted": [1, 1, 768]} in found["misshapen"]


def test_models_check_says_what_cannot_be_checked(embedkit: Run, place: Path) -> None:
    (place / "w.pt").write_bytes(b"\x80\x04K\x01.")
    for name, message in (("resnet18", "plain pickle"), ("resnet81", "resnet18"), ("timm:nothing", "timm model")):
        done = embedkit("models", "check", name, "w.pt")
        assert (done.status, done.out) == (2, "")
        assert message in done.err
    done = embedkit("models", "check", "resnet18", "none.pt")
    assert done.status == 2
    assert "No such file" in done.err


def test_datasets(embedkit: Run, data_root: Path) -> None:
    rows = {row["data"]: row for row in embedkit("datasets", "--root", data_root, "--json").results}
    assert rows["ham10000"]["path"] == str(data_root / "ham10000")
    assert rows["pathmnist"]["path"] is None
    assert all(row["licence"] and row["citation"] and row["homepage"] and row["get"] for row in rows.values())
    assert "mini-mias" in embedkit("datasets").out


def test_doctor(embedkit: Run) -> None:
    [facts] = embedkit("doctor", "--json").results
    assert facts["packages"]["torch"]
    assert facts["precision"] in ("bf16", "fp32")
    assert "precision" in embedkit("doctor").out


def test_help_imports_nothing_heavy_and_names_the_verbs() -> None:
    script = (
        "import sys; sys.argv = ['embedkit', '--help']\n"
        "from embedkit.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('HEAVY', {'torch', 'sklearn', 'pandas', 'numpy', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "HEAVY set()" in done.stdout
    for verb in ("extract", "probe", "show", "models", "datasets", "cache", "demo", "doctor"):
        assert verb in done.stdout


def test_version(embedkit: Run) -> None:
    from embedkit import __version__

    assert embedkit("--version").out.strip() == __version__
