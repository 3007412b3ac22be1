"""Images whose channels are files are embedded, remembered and failed by the rules of all images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.cache import read
from embedkit.datasets import footprint, pseudonymous
from embedkit.extraction import Report, extract_named, named, plan
from tests.extraction.fake import FakeEncoder, job

PHASES = ("nc", "art", "pv")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve patients with three phases each, constant gray so that the vectors can be told by hand."""
    # Files are two seconds old before their stamps are trusted; the tests do not wait for that.
    monkeypatch.setattr(footprint, "FRESH_NS", 0)
    monkeypatch.setattr(plan, "FRESH_NS", 0)
    folder = tmp_path / "ct"
    folder.mkdir()
    for patient in range(12):
        for number, phase in enumerate(PHASES):
            gray(folder / f"{patient}-{phase}.png", 20 * number + patient)
    lines = [",".join(f"{patient}-{phase}.png" for phase in PHASES) + f",{patient}" for patient in range(12)]
    (folder / "t.csv").write_text("\n".join(["path_nc,path_art,path_pv,group", *lines]))
    return folder / "t.csv"


def gray(path: Path, value: int, height: int = 20) -> None:
    Image.fromarray(np.full((height, 20), value, np.uint8)).save(path)


def run(table: Path, cache: Path, encoder: FakeEncoder | None = None, data: str = "csv:{}") -> Report:
    return extract_named(data.format(table), job(encoder), cache, workers=0, batch=8)


def test_each_phase_is_a_channel_and_the_second_run_does_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(table, tmp_path / "cache")
    assert (first.total, first.embedded) == (12, 12)
    colours = read(first.path).X[:, :3]
    np.testing.assert_allclose(colours, np.arange(12)[:, None] + [0, 20, 40])
    monkeypatch.setattr(named, "open_dataset", lambda *_: pytest.fail("the set was opened"))
    assert run(table, tmp_path / "cache").reused == 12


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_changed_embeds_that_patient_again(phase: str, table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "cache")
    changed = table.parent / f"3-{phase}.png"
    old = changed.stat()
    gray(changed, 200)
    # As a copy that keeps the time does it.
    os.utime(changed, ns=(old.st_atime_ns, old.st_mtime_ns))
    again = run(table, tmp_path / "cache")
    assert (again.embedded, again.reused) == (1, 11)
    assert read(again.path).X[3, PHASES.index(phase)] == 200


def test_other_names_and_places_embed_nothing_and_another_order_all(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "cache")
    moved = table.parent.rename(tmp_path / "moved")
    text = (moved / "t.csv").read_text()
    (moved / "u.csv").write_text(text.replace("path_nc,path_art,path_pv", "path_a,path_b,path_c"))
    assert run(moved / "u.csv", tmp_path / "cache").embedded == 0
    turned = [",".join(line.split(",")[2::-1]) for line in text.splitlines()]
    (moved / "v.csv").write_text("\n".join(turned))
    assert run(moved / "v.csv", tmp_path / "cache").embedded == 12


def test_what_lacks_a_phase_is_a_row_of_the_ledger_until_it_is_there(table: Path, tmp_path: Path) -> None:
    (table.parent / "2-art.png").unlink()
    gray(table.parent / "5-pv.png", 1, height=30)
    table.write_text(table.read_text().replace("7-nc.png", ""))
    first = run(table, tmp_path / "cache")
    assert first.embedded == 9
    assert [(row["path"][:22], row["reason"]) for row in first.ledger] == [
        ('#channels={"nc": "2-nc', "missing"),
        ('#channels={"nc": "5-nc', "sizes differ"),
        ('#channels={"nc": "", "', "missing"),
    ]
    assert "2-art.png: there is no such file" in first.ledger[0]["message"]
    assert "nc 20 x 20, art 20 x 20, pv 20 x 30" in first.ledger[1]["message"]
    assert "no file for its channel 'nc'" in first.ledger[2]["message"]
    gray(table.parent / "2-art.png", 9)
    again = run(table, tmp_path / "cache")
    assert (again.embedded, again.reused, len(again.ledger)) == (1, 9, 2)


def test_under_pseudonyms_no_name_of_a_phase_is_written(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDKIT_SALT", "a secret that nobody guesses")
    (table.parent / "2-art.png").unlink()
    first = run(table, tmp_path / "cache", data=pseudonymous("csv:{}"))
    assert (first.embedded, len(first.ledger)) == (11, 1)
    for file in filter(Path.is_file, (tmp_path / "cache").rglob("*")):
        assert b"-art.png" not in file.read_bytes()
    assert run(table, tmp_path / "cache", data=pseudonymous("csv:{}")).reused == 11
