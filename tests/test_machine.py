import os

import numpy as np
import pytest

from embedkit.machine import cores, version_of


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8}, raising=False)
    assert cores() == 3
    # As on macOS, where a process can't be bound to cores.
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_a_package_that_is_absent_has_no_version() -> None:
    assert version_of("numpy") == np.__version__
    assert version_of("no-such-package") is None
