"""The downstream scripts run as a user would run them, on a cache."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import Store
from tests.cache.conftest import no_failures, stamps

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Caches of two encoders over one set, with a class that each sees half of."""
    import pandas as pd

    rng = np.random.default_rng(0)
    label = np.repeat(["a", "b"], 40)
    table = pd.DataFrame(
        {
            "id": [f"i{n}" for n in range(80)],
            "path": [f"{n}.png" for n in range(80)],
            "label": label,
            "group": [f"p{n // 2}" for n in range(80)],
            "digest": [f"{n:032x}" for n in range(80)],
        }
    )
    for encoder in ("resnet18", "resnet50"):
        X = rng.normal(size=(80, 4)).astype(np.float32)
        X[:, 0] += label == "a"
        store = Store(tmp_path, "hei-med", encoder, "0" * 16)
        provenance = {
            "name": "hei-med",
            "encoder": encoder,
            "key": store.key,
            "dataset": {"targets": {"exudate": ["label"]}, "facts": {}},
            "configuration": {"encoder": {"precision": "fp32"}},
            "version": "0",
        }
        with store.lock():
            sources = [store.add_shard(X, table["digest"].tolist())]
            store.commit(table, no_failures(), stamps(80), sources, provenance)
    return tmp_path


def _run(cache: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EMBEDKIT_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache / "hub")}
    environment.pop("EMBEDKIT_WEIGHTS", None)
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_similar_images_are_of_other_patients(cache: Path) -> None:
    done = _run(cache, "similar_images.py", "resnet18", "hei-med", "i0", "--n", "3")
    assert done.returncode == 0, done.stderr
    asked, found = done.stdout.split("cosine")
    assert "i0" in asked
    assert len(found.strip().splitlines()) == 3
    assert "p0" not in found
    unknown = _run(cache, "similar_images.py", "resnet18", "hei-med", "nobody")
    assert unknown.returncode == 2
    assert "i0, i1, i2" in unknown.stderr


def test_two_encoders_together(cache: Path) -> None:
    done = _run(cache, "two_encoders_together.py", "hei-med", "resnet18", "resnet50")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" AUC ") for line in done.stdout.splitlines()]
    assert [name.strip() for name, _ in rows] == ["resnet18", "resnet50", "resnet18 + resnet50"]
    values = [float(value.split()[0]) for _, value in rows]
    assert values[2] > max(values[:2])
