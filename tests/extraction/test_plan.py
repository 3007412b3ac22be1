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


def test_rows_that_the_same_encoders_need_are_one_phase() -> None:
    assert plan.phases([[1, 2, 5], [2, 3, 5]], 7) == {(0,): [1], (0, 1): [2, 5], (1,): [3]}
    assert list(plan.phases([[4, 6], [0, 6]], 7)) == [(1,), (0,), (0, 1)]
    assert plan.phases([[]], 3) == {}
