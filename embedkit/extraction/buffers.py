"""Arrays over a link: they go straight from the sender's memory into the receiver's, with no copy made of them."""

import os
import pickle
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


def send(link: Connection, thing: Any) -> None:
    """Send what pickle can, for `receive` at the other end.

    Raises:
        OSError: nobody is there.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(thing, 5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    link.send([part.nbytes for part in raw])
    link.send_bytes(head)
    for part in raw:
        sent = 0
        while sent < part.nbytes:
            sent += os.write(link.fileno(), part[sent:])


def receive(link: Connection) -> Any:
    """Return what was sent by `send`.

    Raises:
        EOFError: the sender is gone, be it in the middle. OSError: the link is closed.
    """
    sizes, head = link.recv(), link.recv_bytes()
    return pickle.loads(head, buffers=[_filled(link.fileno(), size) for size in sizes])


def _filled(end: int, size: int) -> memoryview:
    # Not zeroed, as a bytearray would be.
    place = np.empty(size, np.uint8).data
    got = 0
    while got < size:
        more = os.readv(end, [place[got:]])
        if not more:
            raise EOFError
        got += more
    return place
