"""The picture of docs/design.md held against the code: a room imports only from floors below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "embedkit"
FLOORS = {
    "_version": 0,
    "errors": 0,
    "machine": 0,
    "images": 1,
    "cache": 1,
    "cost": 1,
    "datasets": 2,
    "encoders": 2,
    "extraction": 3,
    "probing": 4,
    "baselines": 5,
    "text": 5,
    "report": 6,
    "int8": 6,
    "api": 7,
    "saved": 7,
    "loading": 8,
    "many": 8,
    "repair": 9,
    "words": 8,
    "demo": 8,
    "comparing": 9,
    "cli": 10,
    "__init__": 10,
    "__main__": 11,
}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "embedkit":
            rooms |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("embedkit."):
            rooms.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("embedkit.")}
    return rooms


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below(path: Path) -> None:
    room = _room(path)
    above = {other for other in _imported_rooms(path) - {room} if FLOORS[other] >= FLOORS[room]}
    assert not above, f"{room} (floor {FLOORS[room]}) imports {above}"


def test_every_room_has_a_floor_and_a_mirror_in_the_tests() -> None:
    rooms = {_room(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == set(FLOORS)
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {path.name for path in (PACKAGE.parent / "tests").iterdir()}


def test_modules_stay_small() -> None:
    long = {str(p): n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert not long


HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "open_clip",
    "transformers",
    "sklearn",
    "scipy",
    "matplotlib",
    "umap",
    "pydicom",
}


@pytest.mark.parametrize(
    "code",
    [
        "import embedkit",
        "import embedkit.api, embedkit.cli",
        "import embedkit as ek; ek.load, ek.extract, ek.EmbeddingSet",
        "import embedkit.encoders as e; e.catalog(); e.resolve('resnet50-v1'); e.default_precision()",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    script = f"import sys; {code}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_import_alone_brings_not_even_pandas() -> None:
    script = "import sys, embedkit; print({'pandas', 'numpy', 'h5py', 'typer', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_verbs_stay_functions_whatever_is_imported() -> None:
    script = "import embedkit.extraction, embedkit.probing, embedkit as ek; ek.probe.__call__, ek.extract.__call__"
    subprocess.run([sys.executable, "-c", script], check=True)
