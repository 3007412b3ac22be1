"""The file of a network in int8: whole, or refused with what to do."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from embedkit.cache import DamagedCache
from embedkit.encoders import QuantisedNetwork, network_facts
from embedkit.errors import EmbedkitError

NETWORK = QuantisedNetwork(b"<net/>", bytes(range(200)), "bf16", ("aa", "bb"), "a set", {"nncf": "1"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    NETWORK.save(tmp_path / "one.safetensors")
    return tmp_path / "one.safetensors"


def test_what_is_saved_is_loaded(file: Path) -> None:
    loaded = QuantisedNetwork.load(file)
    assert vars(loaded) == vars(NETWORK)
    told = network_facts(file)
    assert told["digest"] == NETWORK.digest == loaded.digest
    assert (told["images"], told["data"]) == (["aa", "bb"], "a set")


def test_the_digest_is_of_all_that_decides_a_vector_and_of_nothing_else() -> None:
    def digest(graph: bytes = b"g", numbers: bytes = b"n", rest: str = "fp32", data: str = "a") -> str:
        return QuantisedNetwork(graph, numbers, rest, (data,), data, {}).digest

    assert digest() == digest(data="another")
    others = [digest(graph=b"h"), digest(numbers=b"m"), digest(rest="bf16"), digest(graph=b"gn", numbers=b"")]
    assert len({digest(), *others}) == 5


@pytest.mark.parametrize("at", [4, -100, -1])
def test_a_flipped_byte_is_found(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedCache, match="remove it, and it is calibrated anew"):
        QuantisedNetwork.load(file)


@pytest.mark.parametrize("content", [b"", b"no network", json.dumps({}).encode()])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(DamagedCache, match="is damaged"):
        network_facts(tmp_path / "odd")


def test_another_format_is_refused(file: Path) -> None:
    told = {**network_facts(file), "format": 2}
    save_file(load_file(file), file, {"embedkit": json.dumps(told)})
    with pytest.raises(EmbedkitError, match="of the format 2, and this version reads int8 network 1"):
        network_facts(file)
