"""A state is whole or not there, comes back to the bit, and no pickle is in it."""

from pathlib import Path

import pytest
import torch

from embedkit.baselines import checkpoint
from embedkit.cache.errors import CacheError

RECORD = {"history": [{"loss": 0.1, "auc": None}], "best": 1, "text": "ä"}


def _tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    last = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    return {"a": torch.randn(3, 5), "count": torch.tensor(7), "half": torch.randn(4).bfloat16(), "last": last}


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "new" / "state.safetensors", _tensors(), RECORD)
    found = checkpoint.load(tmp_path / "new" / "state.safetensors")
    assert found is not None
    tensors, record = found
    assert record == RECORD
    assert tensors.keys() == _tensors().keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in _tensors().items())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.safetensors"]


def test_nothing_is_there_before_the_first(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "state.safetensors") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "no record"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, _tensors(), RECORD)
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-9], "empty": b"", "text": b"hello" * 20}.get(damage, content))
    if damage == "no record":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CacheError, match=r"state\.safetensors is damaged"):
        checkpoint.load(path)


def test_a_write_that_fails_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, _tensors(), RECORD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CacheError, match="full"):
        checkpoint.save(path, {"a": torch.zeros(1)}, {"best": 2})
    found = checkpoint.load(path)
    assert found is not None
    assert found[1] == RECORD
    assert [one.name for one in tmp_path.iterdir()] == ["state.safetensors"]
