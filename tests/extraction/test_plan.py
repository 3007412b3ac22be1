"""What is known of each image before any is decoded."""

from threading import Lock

import pytest

from embedkit.extraction import plan


def test_ctrl_c_ends_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    guard = Lock()

    def digest(address: str) -> str:
        with guard:
            asked.append(address)
            if len(asked) == 20:
                raise KeyboardInterrupt
        return address

    monkeypatch.setattr(plan, "_digest", digest)
    many = [str(number) for number in range(100_000)]
    with pytest.raises(KeyboardInterrupt):
        plan.hash_rest([None] * len(many), many)
    assert len(asked) < len(many) // 2
