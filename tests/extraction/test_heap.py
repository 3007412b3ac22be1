"""What is freed is used again, not given back to the kernel page by page; afterwards it is given back."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource
import numpy as np
from embedkit.extraction.heap import kept_heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(50_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

with kept_heap():
    np.ones(50_000_000, np.uint8)
    kept, held = faults(), resident()
print(kept, faults(), held - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_memory_is_kept_while_it_lasts_and_given_back_afterwards() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=env)
    kept, afterwards, given_back = map(int, done.stdout.split())
    assert kept < afterwards / 10
    assert given_back > 40_000_000
