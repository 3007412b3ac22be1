"""The scaled decoder: large JPEGs at a fraction of their size, nearly the same vectors, another key."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import embedkit as ek
from embedkit import images
from embedkit.api import job_for
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.extraction import extract_named
from embedkit.extraction.decode import Way, decode_rows
from embedkit.images import loading
from tests.encoders.conftest import cosine


def prepared(resize: int, size: int) -> Preprocessing:
    return Preprocessing(size, resize, "shortest", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    """Fundus photographs, six times as large, as JPEG; one of them also as PNG, one grey, one lying on its side."""
    folder = tmp_path_factory.mktemp("large")
    for number, file in enumerate(sorted((data_root / "hei-med").rglob("*.jpg"))[:5]):
        image = Image.open(file).convert("L" if number == 3 else "RGB").resize((2400, 1800), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[274] = 6 if number == 4 else 1
        image.save(folder / f"{number}.jpg", quality=92, exif=exif)
        if number == 0:
            image.save(folder / "0.png")
    if not list(folder.iterdir()):
        pytest.skip(f"no hei-med images in {data_root}")
    return folder


def test_a_large_jpeg_is_decoded_at_a_fraction_and_nothing_else_is(large: Path) -> None:
    assert images.load(str(large / "0.jpg"), 448)[0].shape == (450, 600, 3)
    assert images.load(str(large / "0.jpg"), 451)[0].shape == (900, 1200, 3)
    assert images.load(str(large / "0.jpg"), 901)[0].shape == (1800, 2400, 3)
    assert images.load(str(large / "3.jpg"), 448)[0].shape == (450, 600, 3)
    assert images.load(str(large / "4.jpg"), 448)[0].shape == (600, 450, 3)
    assert images.load(str(large / "0.png"), 448)[0].shape == (1800, 2400, 3)
    assert images.load(str(large / "0.jpg"), 448)[1] == images.digest(str(large / "0.jpg"))


def test_pixels_that_the_encoder_sees_hardly_differ(large: Path) -> None:
    way = prepared(224, 224)
    addresses = [str(large / f"{number}.jpg") for number in range(5)]
    full, scaled = (
        decode_rows(range(5), addresses, [Way(way, least)]).pixels[0].astype(float) for least in (None, 448)
    )
    assert np.abs(full - scaled).mean() < 1
    assert (full != scaled).any()


def test_several_encoders_share_one_reading_and_what_is_decoded_at_the_same_fraction(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read twice, a file that is replaced in between would lie under the digest of the other bytes."""
    address = str(large / "4.jpg")
    least = [448, 440, 451, None, 448]
    ways = [Way(prepared(224, 224), one) for one in least] + [Way(prepared(224, 224), on_device=True)]
    alone = [decode_rows([0], [address], [way]).pixels[0] for way in ways]
    calls: Counter[str] = Counter()

    def watch(name: str) -> None:
        real = getattr(loading, name)

        def call(*words: Any) -> Any:
            calls[name] += 1
            return real(*words)

        monkeypatch.setattr(loading, name, call)

    watch("read_bytes")
    watch("decode")
    decode_rows([0], [address], [ways[-1]] * 2)
    assert calls == {"read_bytes": 1, "decode": 1}
    calls.clear()
    together = decode_rows([0], [address], ways)
    # 448 and 440 come to the same fraction; the last is no plain JPEG, and is decoded as a whole once more.
    assert calls == {"read_bytes": 1, "decode": 4}
    assert together.digests == [images.digest(address)]
    for one, other in zip(alone[:-1], together.pixels[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(alone[-1], together.pixels[-1])


def test_another_encoder_in_the_run_changes_nothing(large: Path) -> None:
    small, big = Way(prepared(64, 64), 128), Way(prepared(400, 384), 800)
    addresses = [str(large / f"{number}.jpg") for number in range(5)]
    beside = decode_rows(range(5), addresses, [small, big, Way(prepared(64, 64))])
    for number, way in enumerate((small, big, Way(prepared(64, 64)))):
        [alone] = decode_rows(range(5), addresses, [way]).pixels
        assert (beside.pixels[number] == alone).all()
    assert (beside.pixels[0] != beside.pixels[2]).any()


def test_real_vectors_hardly_turn_and_have_a_key_of_their_own(
    large: Path, weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"cache": tmp_path, "weights": weights_root, "precision": "fp32", "workers": 0}
    full = ek.extract("vit-ti16", f"folder:{large}", **places)
    # By name it is found though this machine's default is another decoder.
    scaled = ek.extract("vit-ti16", f"folder:{large}", decoder="scaled", **places)
    assert full.key != scaled.key
    assert 0.9995 < cosine(full.X, scaled.X) < 1
    assert (full.X[full.table["path"] == "0.png"] == scaled.X[scaled.table["path"] == "0.png"]).all()
    monkeypatch.setenv("EMBEDKIT_DECODER", "scaled")
    assert ek.load("vit-ti16", f"folder:{large}", cache=tmp_path, weights=weights_root).key == scaled.key


def test_what_was_decoded_scaled_is_found_by_name(large: Path, weights_root: Path, tmp_path: Path) -> None:
    job = job_for("vit-ti16", weights=weights_root, precision="fp32", decoder="scaled")
    report = extract_named(f"folder:{large}", job, tmp_path, workers=0)
    assert ek.load("vit-ti16", f"folder:{large}", cache=tmp_path, weights=weights_root).key == report.key


def test_an_unknown_decoder_is_refused(weights_root: Path) -> None:
    with pytest.raises(EmbedkitError, match="unknown decoder 'fast': choose full or scaled or device"):
        job_for("vit-ti16", weights=weights_root, decoder="fast")
