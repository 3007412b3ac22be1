"""Which set calibrates is said, or is the one that is embedded."""

from pathlib import Path

import pytest

from embedkit import EmbedkitError, int8


def test_int8_alone_means_the_one_set_that_is_embedded() -> None:
    assert int8.calibrated_on("int8", ["ham10000"]) == "int8:ham10000"
    assert int8.calibrated_on("int8:chest-xray", ["ham10000", "isic2018"]) == "int8:chest-xray"
    assert int8.calibrated_on(None, ["a", "b"]) is None
    assert int8.calibrated_on("bf16", ["a", "b"]) == "bf16"
    with pytest.raises(EmbedkitError, match="say which, as in --precision int8:ham10000"):
        int8.calibrated_on("int8", ["ham10000", "isic2018"])


def test_a_precision_is_understood(tmp_path: Path) -> None:
    assert int8.understood(None, tmp_path) == (None, None)
    assert int8.understood("fp32", tmp_path) == ("fp32", None)
    kind, calibration = int8.understood("int8:ham10000", tmp_path, root="data", workers=3)
    assert kind == "int8"
    assert calibration is not None
    assert (calibration.name, calibration.data, calibration.root) == ("ham10000", "ham10000", Path("data"))
    _, none_made = int8.understood("int8:ham10000", tmp_path, calibrate=False)
    assert none_made is not None
    assert none_made.data is None


def test_a_folder_of_the_cache_stands_for_its_set(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="scans-of-then"):
        int8.understood("int8:scans-of-then", tmp_path)
    (tmp_path / "scans-of-then" / ".int8").mkdir(parents=True)
    (tmp_path / "scans-of-then" / ".int8" / "resnet18.0.safetensors").touch()
    _, calibration = int8.understood("int8:scans-of-then", tmp_path)
    assert calibration is not None
    assert (calibration.name, calibration.data) == ("scans-of-then", None)


@pytest.mark.parametrize(
    ("precision", "words"),
    [("int8", "say which, as in --precision int8:SET"), ("int4", "unknown precision 'int4'"), ("int8:", "say which")],
)
def test_what_cannot_be_meant_is_refused(precision: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=words):
        int8.understood(precision, tmp_path)
