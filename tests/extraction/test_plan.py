"""What is known of each image before any is decoded."""

import time
from threading import Lock

import numpy as np
import pytest

from embedkit.extraction import plan
from embedkit.extraction.digests import RAW


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
        plan.hash_rest(np.zeros(len(many), RAW), many)
    assert len(asked) < len(many) // 2


def test_rows_that_the_same_encoders_need_are_one_phase() -> None:
    assert phases([[1, 2, 5], [2, 3, 5]], 7) == {(0,): [1], (0, 1): [2, 5], (1,): [3]}
    assert list(phases([[4, 6], [0, 6]], 7)) == [(1,), (0,), (0, 1)]
    assert phases([[]], 3) == {}


def phases(pending: list[list[int]], n: int) -> dict[tuple[int, ...], list[int]]:
    found = plan.phases([np.array(rows, int) for rows in pending], n)
    return {which: rows.tolist() for which, rows in found.items()}
