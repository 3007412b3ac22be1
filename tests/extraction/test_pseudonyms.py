"""Under pseudonyms nothing that names a patient or a file reaches a cache folder, and all else works as before."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedkit import EmbedkitError
from embedkit.cache import Store, read
from embedkit.datasets import dataset_name, open_dataset, pseudonymous
from embedkit.extraction import Interrupted, Report, Silent
from embedkit.extraction.digests import UNKNOWN, unpacked
from embedkit.extraction.named import extract_named
from embedkit.extraction.plan import file_stamps, remembered_digests, stamps_of
from embedkit.probing.plan import make_plan
from embedkit.probing.settings import Settings
from embedkit.probing.splits import leakage
from tests.extraction.fake import Failing, FakeEncoder, expected, job, write_images

SALT = "a secret that nobody guesses"
NAMES = ("Mueller", "Hans", "PID4711", "broken", "00003.png", "scans")


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty images of ten patients in a folder that bears a name, and one that is broken."""
    monkeypatch.setenv("EMBEDKIT_SALT", SALT)
    folder = tmp_path / "Mueller" / "scans"
    write_images(folder, 40)
    (folder / "b" / "broken.png").write_bytes(b"no image")
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    rows = [
        f"{path},{'ab'[n % 2]},PID{4711 + n // 4},{'train' if n % 3 else 'test'},{40 + n},Hans {n},{n},{n // 2}"
        for n, path in enumerate(paths)
    ]
    csv = folder / "scans.csv"
    csv.write_text("\n".join(["path,label,group,split,age,PatientName,studyUID,ward", *rows]))
    return csv


def extracted(table: Path, cache: Path, progress: Silent | None = None, **words: object) -> Report:
    made = job(**words)  # type: ignore[arg-type]
    return extract_named(pseudonymous(f"csv:{table}"), made, cache, workers=0, batch=8, progress=progress)


def traces(cache: Path) -> set[str]:
    """Return which of the names stand in the bytes or the names of the files of a cache folder."""
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert files
    everything = b"\n".join(str(path.relative_to(cache)).encode() + path.read_bytes() for path in files)
    return {name for name in NAMES if name.encode() in everything}


def test_no_name_reaches_the_cache_and_without_pseudonyms_all_do(table: Path, tmp_path: Path) -> None:
    heard = Heard()
    report = extracted(table, tmp_path / "cache", heard)
    assert traces(tmp_path / "cache") == set()
    assert len(report.ledger) == 1
    plain = extract_named(f"csv:{table}", job(), tmp_path / "plain", workers=0)
    assert traces(tmp_path / "plain") == {*NAMES}
    assert plain.ledger[0]["message"] != report.ledger[0]["message"]
    assert any("b/broken.png" in note for note in heard.notes)
    assert any("written as they are: age, ward." in note for note in heard.notes)


def test_vectors_groups_and_columns_are_those_of_the_set(table: Path, tmp_path: Path) -> None:
    hidden = read(extracted(table, tmp_path / "cache").path)
    plain = read(extract_named(f"csv:{table}", job(), tmp_path / "plain", workers=0).path)
    np.testing.assert_array_equal(hidden.X, plain.X)
    for column in ("id", "path", "group", "PatientName", "studyUID"):
        assert hidden.table[column].str.fullmatch("[0-9a-f]{32}").all()
        ours, theirs = pd.factorize(hidden.table[column])[0], pd.factorize(plain.table[column])[0]
        np.testing.assert_array_equal(ours, theirs)
    for column in ("label", "split", "age", "ward", "digest"):
        assert hidden.table[column].equals(plain.table[column])
    plans = [make_plan(one, None, Settings()) for one in (hidden, plain)]
    leaked = [leakage(p.train, p.test, [(fold.fitted(), fold.test) for fold in p.folds]) for p in plans]
    assert leaked[0] == leaked[1]
    assert leaked[0]["images"]


def test_again_there_is_nothing_to_do_and_new_images_are_added(table: Path, tmp_path: Path) -> None:
    (table.parent / "b" / "broken.png").unlink()
    table.write_text("".join(line for line in table.read_text().splitlines(True) if "broken" not in line))
    encoder = FakeEncoder()
    assert extracted(table, tmp_path / "cache", encoder=encoder).embedded == 40
    again = extracted(table, tmp_path / "cache", encoder=encoder)
    assert (again.embedded, again.reused, sum(encoder.batches)) == (0, 40, 40)
    write_images(table.parent, 1, first=100)
    with table.open("a") as rows:
        rows.write("a/00100.png,a,PID9999,train,50,Hans 41,41,20\n")
    report = extracted(table, tmp_path / "cache")
    assert (report.embedded, report.reused) == (1, 40)
    assert traces(tmp_path / "cache") == set()
    dataset = open_dataset(pseudonymous(f"csv:{table}"))
    np.testing.assert_array_equal(read(report.path).X, expected(dataset))


def test_a_stopped_run_leaves_no_name_and_goes_on(table: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        extracted(table, tmp_path / "cache", encoder=Failing())
    assert list((tmp_path / "cache").rglob("*.h5"))
    assert traces(tmp_path / "cache") == set()
    report = extracted(table, tmp_path / "cache")
    assert (report.embedded, report.reused, len(report.ledger)) == (24, 16, 1)
    assert traces(tmp_path / "cache") == set()


def test_the_times_of_files_are_hidden_and_still_tell_a_change(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedkit.extraction.plan.FRESH_NS", 0)
    (table.parent / "b" / "broken.png").unlink()
    dataset = open_dataset(pseudonymous(f"csv:{table}"))
    path = extracted(table, tmp_path / "cache").path
    cached = Store(tmp_path / "cache", path.parent.name, "fake", job().key).read()
    assert cached is not None
    rows = [row for row, address in enumerate(dataset.addresses()) if "broken" not in address]
    addresses = [dataset.addresses()[row] for row in rows]
    paths = cached.table["path"].to_numpy()
    known = remembered_digests(paths, stamps_of(dataset, addresses), cached)
    assert unpacked(known) == list(cached.table["digest"])
    real = file_stamps(addresses)
    assert not set(cached.files["ctime_ns"]) & {*real["ctime_ns"], *real["mtime_ns"], 0}
    assert not cached.files["mtime_ns"].any()
    Path(addresses[3]).touch()
    now = remembered_digests(paths, stamps_of(dataset, addresses), cached)
    assert np.flatnonzero(now == UNKNOWN).tolist() == [3]


def test_parts_of_a_set_are_merged_to_the_file_of_one_run(table: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        extract_named(pseudonymous(f"csv:{table}"), job(), tmp_path / "cache", workers=0, batch=8, part=(number, 3))
    words: dict[str, Any] = {"workers": 0, "batch": 8, "merge_only": True}
    merged = extract_named(pseudonymous(f"csv:{table}"), job(), tmp_path / "cache", **words)
    alone = extracted(table, tmp_path / "other")
    assert read(merged.path).X.tobytes() == read(alone.path).X.tobytes()
    assert read(merged.path).table.equals(read(alone.path).table)


def test_a_part_says_why_an_image_failed_without_a_name_and_the_merge_says_all(table: Path, tmp_path: Path) -> None:
    spec, heard = pseudonymous(f"csv:{table}"), Heard()
    words: dict[str, Any] = {"workers": 0, "progress": heard}
    failed = [one for n in (1, 2) for one in extract_named(spec, job(), tmp_path, part=(n, 2), **words).ledger]
    assert [one["reason"] for one in failed] == ["not an image"]
    assert "without --shard and cache merge say more" in failed[0]["message"]
    assert not [name for name in NAMES if name in f"{heard.notes}{failed}"]
    merged = extract_named(spec, job(), tmp_path, merge_only=True, **words)
    assert merged.ledger == failed
    assert any("broken.png: it is not an image" in note for note in heard.notes)


def test_another_salt_is_another_set(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = pseudonymous(f"csv:{table}")
    first, catalog = read(extracted(table, tmp_path / "cache").path), dataset_name("pseudonymous:ham10000")
    assert dataset_name(spec) == first.name
    assert pseudonymous(spec) == spec
    monkeypatch.setenv("EMBEDKIT_SALT", SALT + "!")
    other = read(extracted(table, tmp_path / "cache").path)
    assert not set(first.table["group"]) & set(other.table["group"])
    assert dataset_name("pseudonymous:ham10000") != catalog
    (tmp_path / "salt").write_text(f"{SALT}\n")
    monkeypatch.delenv("EMBEDKIT_SALT")
    monkeypatch.setenv("EMBEDKIT_SALT_FILE", str(tmp_path / "salt"))
    assert read(extracted(table, tmp_path / "cache").path).table.equals(first.table)
    assert dataset_name("pseudonymous:ham10000") == catalog


def test_without_a_good_salt_nothing_is_done(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for salt in ("", "short"):
        monkeypatch.setenv("EMBEDKIT_SALT", salt)
        with pytest.raises(EmbedkitError, match=r"need a secret salt .* EMBEDKIT_SALT holds \d.*token_hex"):
            dataset_name(pseudonymous(f"csv:{table}"))
    monkeypatch.setenv("EMBEDKIT_SALT", "")
    monkeypatch.setenv("EMBEDKIT_SALT_FILE", str(table.parent))
    with pytest.raises(EmbedkitError, match="the salt can't be read from"):
        dataset_name(pseudonymous(f"csv:{table}"))


def test_a_set_of_the_catalog_keeps_its_facts_and_its_published_figures(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDKIT_SALT", SALT)
    plain, hidden = (open_dataset(f"{prefix}isic2018", data_root) for prefix in ("", "pseudonymous:"))
    assert hidden.name.startswith("isic2018-pseudonymous-")
    assert hidden.facts == {**plain.facts, "set": "isic2018", "pseudonyms": ["id", "path"]}
    assert list(hidden.addresses()) == list(plain.addresses())
    assert hidden.table["label"].equals(plain.table["label"])
    assert "secret" not in repr(hidden)
