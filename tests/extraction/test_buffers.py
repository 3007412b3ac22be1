"""Arrays over a link: what comes out is what went in, and a sender that is gone is an error, also half way."""

import os
import signal
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from embedkit.extraction.buffers import receive, send
from embedkit.extraction.processes import linked


def through(thing: Any) -> Any:
    """Send something over a link that a thread writes to, as it may hold more than a pipe does."""
    here, there = Pipe()
    writer = Thread(target=send, args=(there, thing))
    writer.start()
    try:
        return receive(here)
    finally:
        writer.join()
        here.close()
        there.close()


@given(
    arrays.arrays(
        arrays.integer_dtypes() | arrays.floating_dtypes() | arrays.boolean_dtypes(),
        arrays.array_shapes(min_dims=0, min_side=0),
    )
)
def test_an_array_comes_out_as_it_went_in(array: np.ndarray) -> None:
    found = through(array)
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).integers(0, 256, (32, 224, 224, 3), np.uint8),
        np.arange(4_000_000).reshape(2000, 2000)[::2, ::3],
        np.asfortranarray(np.arange(1_000_000.0).reshape(1000, 1000)),
    ],
    ids=["pixels", "every second", "columns first"],
)
def test_a_large_array_can_be_written_to(array: np.ndarray) -> None:
    first, words, second = through([array, "words", array.copy()])
    assert (first == array).all() and (second == array).all() and words == "words"
    first[0] = 0
    assert (second == array).all()


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists, max_leaves=20))
def test_what_has_no_array_comes_out_as_it_went_in(thing: object) -> None:
    assert through(thing) == thing


def test_what_is_sent_one_after_the_other_is_not_mixed() -> None:
    here, there = Pipe()
    sent = [np.full(number * 40_000, number, np.uint8) for number in range(20)]
    writer = Thread(target=lambda: [send(there, one) for one in sent])
    writer.start()
    for one in sent:
        np.testing.assert_array_equal(receive(here), one)
    writer.join()


def _write(link: Connection) -> None:
    send(link, np.zeros(50_000_000, np.uint8))


def test_a_sender_that_is_killed_half_way_is_an_error() -> None:
    process, link = linked(_write)
    while not link.poll():
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises((EOFError, OSError)):
        receive(link)


def test_nobody_at_the_other_end_is_an_error() -> None:
    here, there = Pipe()
    here.close()
    with pytest.raises(OSError, match="Broken pipe"):
        send(there, np.zeros(10))
