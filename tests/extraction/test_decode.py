"""Decoding in worker processes: in order, bounded, and a dead worker is a sentence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedkit import EmbedkitError
from embedkit.encoders import Preprocessing
from embedkit.extraction import decode, pool
from embedkit.extraction.decode import Way
from tests.extraction.fake import PREPROCESSING, write_images

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("decode")
    write_images(folder, 100)
    (folder / "a" / "00010.png").write_text("broken")
    return sorted(map(str, folder.rglob("*.png")))


def test_processes_give_what_one_process_gives(addresses: list[str]) -> None:
    rows = list(range(len(addresses)))
    alone = list(decode.decoded(rows, addresses, [Way(PREPROCESSING)], workers=0, batch=9))
    pool = list(decode.decoded(rows, addresses, [Way(PREPROCESSING)], workers=2, batch=9))
    assert [one.rows for one in pool] == [one.rows for one in alone]
    assert [one.digests for one in pool] == [one.digests for one in alone]
    assert [one.failures for one in pool] == [one.failures for one in alone]
    for one, two in zip(pool, alone, strict=True):
        np.testing.assert_array_equal(one.pixels[0], two.pixels[0])
    assert sum(len(one.failures) for one in pool) == 1


def test_little_is_decoded_ahead(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = []
    real = pool.Pool.submit

    def submit(self: pool.Pool, *arguments: Any) -> object:
        submitted.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(pool.Pool, "submit", submit)
    stretches = decode.decoded(list(range(100)), addresses, [Way(PREPROCESSING)], workers=1, batch=2)
    ahead = []
    for taken, _ in enumerate(stretches):
        ahead.append(len(submitted) - taken)
    assert 1 <= max(ahead) <= 3
    assert len(submitted) == 50


class Deadly(Preprocessing):
    """Dies as a decoder that crashes does, or one for which the system has no memory."""

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if len(pixels) == DEADLY:
            os._exit(9)
        if len(pixels) == HUNGRY:
            raise MemoryError
        return super().apply(pixels)


DEADLY, HUNGRY = 7, 9


def test_an_image_that_kills_its_process_is_a_failure_and_the_rest_goes_on(
    addresses: list[str], tmp_path: Path
) -> None:
    for number, height in enumerate((DEADLY, HUNGRY, DEADLY)):
        Image.new("RGB", (24, height), (number, 0, 0)).save(tmp_path / f"{number}.png")
    poison = [str(tmp_path / f"{number}.png") for number in range(3)]
    given = [*addresses[:40], *poison[:2], *addresses[40:80], poison[2]]
    deadly = Deadly(**vars(PREPROCESSING))
    found = list(decode.decoded(range(len(given)), given, [Way(deadly)], workers=2, batch=3))
    failed = {given[failure.row]: failure.reason for one in found for failure in one.failures}
    assert [failed.pop(path) for path in poison] == ["killed", "memory", "killed"]
    assert set(failed) == {address for address in addresses[:80] if address.endswith("00010.png")}
    rows = [row for one in found for row in one.rows]
    assert rows == sorted(rows)
    assert len(rows) + len(failed) + 3 == len(given)
    [alone] = decode.decoded(rows, [given[row] for row in rows], [Way(PREPROCESSING)], workers=0, batch=100)
    np.testing.assert_array_equal(np.concatenate([one.pixels[0] for one in found]), alone.pixels[0])


def _die(_link: object, _parent: int) -> None:
    os._exit(9)


def test_processes_that_die_whatever_they_decode_are_a_sentence(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_serve", _die)
    with pytest.raises(EmbedkitError, match=r"killed before they decode.*run the same command again"):
        list(decode.decoded(list(range(100)), addresses, [Way(PREPROCESSING)], workers=1, batch=2))


def test_workers_end_with_a_killed_parent(addresses: list[str]) -> None:
    script = (
        "import os, sys\n"
        "from embedkit.extraction import decode\n"
        "from tests.extraction.fake import PREPROCESSING\nfrom embedkit.extraction.decode import Way\n"
        "addresses = sys.argv[1:]\n"
        "rows = list(range(len(addresses)))\n"
        "for stretch in decode.decoded(rows, addresses, [Way(PREPROCESSING)], workers=2, batch=4):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script, *addresses]
    # The workers hold this pipe: its end is the end of all of them.
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=30, cwd=TOP)
    assert done.returncode == -9


def test_workers_import_no_torch(addresses: list[str], tmp_path: Path) -> None:
    code = "import sys, embedkit.extraction.decode; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
