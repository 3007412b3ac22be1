"""Hostile files become rows of the ledger: no crash, no hang, no unbounded memory, and the others are embedded."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.extraction import extract
from tests.extraction import hostile
from tests.extraction.fake import FakeEncoder, job, run, write_images

TOP = Path(__file__).resolve().parents[2]
MEMORY = 2 << 30
ENOUGH = 30


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, hostile.Expected]:
    pytest.importorskip("pydicom")
    folder = tmp_path_factory.mktemp("hostile") / "images"
    expected = hostile.write(folder / "a")
    write_images(folder, 30)
    return folder, expected


def _reasons(failed: object) -> dict[str, str]:
    return dict(failed[["path", "reason"]].itertuples(index=False))  # type: ignore[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_each_is_a_row_of_the_ledger_or_embedded(
    files: tuple[Path, hostile.Expected], tmp_path: Path, workers: int
) -> None:
    folder, expected = files
    report = extract(open_dataset(f"folder:{folder}"), job(), tmp_path, workers=workers, batch=8)
    refused = {f"a/{name}": why for name, why in expected.items() if why not in (hostile.EMBEDDED, "skipped")}
    assert _reasons(report.failed) == refused
    assert len(refused) >= ENOUGH
    stored = read(report.path)
    kept = {path.partition("#")[0] for path in stored.table["path"]}
    assert {f"a/{name}" for name, why in expected.items() if why == hostile.EMBEDDED} <= kept
    assert not kept & {f"a/{name}" for name, why in expected.items() if why == "skipped"}
    assert sum(path.startswith("a/animated.gif#frame=") for path in stored.table["path"]) == 3
    assert report.total == len(stored) + len(refused)
    assert all(report.failed["message"].str.contains(r"\. |: ", regex=True))


def test_their_memory_is_bounded(files: tuple[Path, hostile.Expected], tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.extraction.fake import run; "
    code += "print(len(run(Path(sys.argv[1]), Path(sys.argv[2])).ledger))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(files[0]), str(tmp_path)],
        cwd=TOP, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= ENOUGH


def test_named_in_a_table_they_are_rows_too(files: tuple[Path, hostile.Expected], tmp_path: Path) -> None:
    folder, _ = files
    reasons = {
        "a/folder.png": "unreadable",
        "a/pipe.png": "unreadable",
        "a/device.png": "unreadable",
        "a/never.png": "missing",
        "a/" + "y" * 300 + ".png": "unreadable",
        "a/whole.dcm#frame=7": "no such part",
        "lies.npz#images[999999999]": "truncated",
        "lies.npz#other[0]": "no such part",
    }
    (folder / "lies.npz").write_bytes(hostile.npz_that_lies(10**12))
    table = folder / "t.csv"
    table.write_text("path\n" + "".join(f"{name}\n" for name in (*reasons, "b/00001.png")))
    report = extract(open_dataset(f"csv:{table}"), job(), tmp_path, workers=0)
    assert _reasons(report.failed) == reasons
    assert report.embedded == 1


def test_files_that_vanish_or_change_during_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write_images(folder, 40)
    late = sorted((folder / "b").iterdir())

    class Sabotage(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            if not self.batches:
                late[-1].unlink()
                late[-2].write_bytes(b"")
                late[-3].unlink()
                late[-3].mkdir()
            return super().encode(batch)

    report = run(folder, tmp_path / "cache", Sabotage())
    assert sorted(_reasons(report.failed).values()) == ["empty", "missing", "unreadable"]
    assert report.embedded == 37
