"""A network in int8 is made once per encoder and set, of images of the set, and found from then on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedkit import encoders
from embedkit.cache import NotCached
from embedkit.datasets import dataset_name, open_dataset
from embedkit.encoders import QuantisedNetwork, Weights, network_facts
from embedkit.errors import EmbedkitError
from embedkit.extraction import Calibration, calibrated, networks_of
from embedkit.extraction.decode import Way
from tests.extraction.fake import PREPROCESSING, write_images

CARD = encoders.resolve("timm:test_resnet")
WEIGHTS = Weights(Path("weights"), "given")
CONFIGURATION = {"encoder": {"precision": "int8"}}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Take the place of NNCF; return the images that it was given."""
    given: list[np.ndarray] = []

    def quantise(card: Any, weights: Any, images: np.ndarray, digests: tuple[str, ...], data: str) -> QuantisedNetwork:
        given.append(images)
        return QuantisedNetwork(b"graph", bytes([len(given)]), "fp32", digests, data, {})

    monkeypatch.setattr(encoders, "quantise", quantise)
    monkeypatch.setattr(encoders, "check_quantises", lambda: None)
    return given


def _calibration(cache: Path, folder: Path, **other: Any) -> Calibration:
    data = f"folder:{folder}"
    return Calibration(cache, dataset_name(data), other.pop("data", data), lambda *_: {}, workers=0, **other)


def _network(calibration: Calibration, configuration: dict[str, Any] = CONFIGURATION) -> Path:
    return calibration.network(CARD, WEIGHTS, Way(PREPROCESSING), configuration)


def test_it_is_made_once_and_then_found_without_the_images(folder: Path, cache: Path, made: list[np.ndarray]) -> None:
    network = _network(_calibration(cache, folder))
    assert network.is_relative_to(cache.absolute() / dataset_name(f"folder:{folder}"))
    assert [images.shape for images in made] == [(30, *PREPROCESSING.shape)]
    name = dataset_name(f"folder:{folder}")
    folder.rename(folder.with_name("gone"))
    assert _network(Calibration(cache, name, None, lambda *_: {})) == network
    assert len(made) == 1
    assert networks_of(cache) == networks_of(cache, CARD.slug) == [name]
    assert networks_of(cache, "another") == []


def test_it_says_which_images_have_calibrated_it(folder: Path, cache: Path, made: list[np.ndarray]) -> None:
    told = network_facts(_network(_calibration(cache, folder)))
    assert len(set(told["images"])) == 30
    assert told["data"] == dataset_name(f"folder:{folder}")


def test_of_many_images_some_calibrate(
    tmp_path: Path, cache: Path, made: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrated, "IMAGES", 10)
    write_images(tmp_path / "many", 40)
    (next((tmp_path / "many").rglob("*.png"))).write_text("no image")
    _network(_calibration(cache, tmp_path / "many"))
    assert len(made[0]) == 10


def test_another_set_or_configuration_has_a_network_of_its_own(
    folder: Path, tmp_path: Path, cache: Path, made: list[np.ndarray]
) -> None:
    write_images(tmp_path / "other", 5, first=100)
    places = [
        _network(_calibration(cache, folder)),
        _network(_calibration(cache, tmp_path / "other")),
        _network(_calibration(cache, folder), {**CONFIGURATION, "decoder": "scaled"}),
    ]
    assert len(set(places)) == len(made) == 3


def test_none_is_made_where_none_may_be(folder: Path, cache: Path, made: list[np.ndarray]) -> None:
    with pytest.raises(NotCached, match=r"embedkit extract --model timm:test_resnet .*--precision int8 makes one"):
        _network(_calibration(cache, folder, data=None))
    assert not made


def test_a_set_of_which_nothing_can_be_read_calibrates_nothing(
    folder: Path, cache: Path, made: list[np.ndarray]
) -> None:
    for path in folder.rglob("*.png"):
        path.write_text("no image")
    with pytest.raises(EmbedkitError, match=r"none of the 30 images .* can be read"):
        _network(_calibration(cache, folder))
    assert len(open_dataset(f"folder:{folder}")) == 30
