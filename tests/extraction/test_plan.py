"""What is known of each image before any is decoded."""

import time
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
        time.sleep(0.002)
        return address

    monkeypatch.setattr(plan, "_digest", digest)
    many = [str(number) for number in range(5000)]
    with pytest.raises(KeyboardInterrupt):
        plan.hash_rest([None] * len(many), many)
    assert len(asked) < len(many) // 2
