"""Each extra installs beside the core, and the core runs with the oldest typer and rich that it promises."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
# These bring many packages with bounds of their own (flwr wants typer<0.21 and rich<15): resolved one by one.
ALONE = ("federated", "ray")
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "open-clip-torch",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "h5py",
    "pillow",
}


def _pip(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def registry() -> None:
    done = _pip("--dry-run", "--no-deps", "--ignore-installed", "filelock")
    if done.returncode:
        pytest.skip(f"no package registry answers: {done.stderr.strip().splitlines()[-1]}")


def _requirements(extras: list[str]) -> list[str]:
    own = [requirement for extra in extras for requirement in EXTRAS[extra] if not requirement.startswith("embedkit[")]
    return [*PROJECT["dependencies"], *own]


@pytest.mark.parametrize(
    "extras",
    [*([extra] for extra in ALONE), [extra for extra in EXTRAS if extra not in ALONE]],
    ids=lambda extras: extras[0] if len(extras) == 1 else "all others together",
)
def test_an_extra_installs_beside_the_core_and_leaves_it_as_it_is(extras: list[str], registry: None) -> None:
    done = _pip("--dry-run", "--report", "-", *_requirements(extras))
    assert done.returncode == 0, done.stderr[-2000:]
    planned = {item["metadata"]["name"].lower().replace("_", "-") for item in json.loads(done.stdout)["install"]}
    assert not planned & HEAVY


def _floor(name: str) -> str:
    floors = [re.fullmatch(rf"{name}>=([\d.]+)", requirement) for requirement in PROJECT["dependencies"]]
    [found] = filter(None, floors)
    return found[1]


def test_the_command_line_runs_with_the_oldest_typer_and_rich_it_promises(registry: None, tmp_path: Path) -> None:
    floors = {name: _floor(name) for name in ("typer", "rich")}
    old = tmp_path / "old"
    done = _pip("--target", str(old), *(f"{name}=={floor}" for name, floor in floors.items()))
    assert done.returncode == 0, done.stderr[-2000:]
    for name, floor in floors.items():
        [found] = old.glob(f"{name}-*.dist-info")
        assert found.name.startswith(f"{name}-{floor}.")
    path = os.pathsep.join([str(old), str(TOP)])

    def embedkit(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "embedkit", *words],
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    for words in (["--help"], ["extract", "--help"], ["cache", "ls", "--help"], ["datasets"]):
        done = embedkit(*words)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "ham10000" in done.stdout or "Usage: " in done.stdout
    wrong = embedkit("extract", "--workers", "-3")
    assert wrong.returncode == 2
    assert "--workers" in wrong.stderr
    (tmp_path / "images").mkdir()
    refused = embedkit("extract", "--model", "resnet5", "--data", "folder:images")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "resnet50" in refused.stderr
