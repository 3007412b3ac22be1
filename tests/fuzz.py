"""Attack the readers with ever new bytes: ``python -m tests.fuzz [SECONDS]``, so long for each of them.

Each round runs the property tests of a reader with another seed, in a process that may use so much memory and so
much time and no more. The first failure ends it, with the example that hypothesis found.
"""

import resource
import subprocess
import sys
import time
from itertools import count

READERS = {"images": "tests/images/test_damage.py", "cache": "tests/cache/test_hostile.py"}
MEMORY = 4 << 30
ROUND = 600


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def attack(reader: str, seconds: float) -> int:
    """Return how many rounds were survived in this time, at least one.

    Raises:
        CalledProcessError: an example was found. TimeoutExpired: a round did not end.
    """
    begun = time.monotonic()
    for number in count(1):
        seed = time.time_ns() % 2**32
        options = ["--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", "-x", *options, READERS[reader]]
        subprocess.run(command, check=True, timeout=ROUND, preexec_fn=_limited, stdout=sys.stderr)
        if time.monotonic() - begun > seconds:
            return number
    raise AssertionError


if __name__ == "__main__":
    for name in READERS:
        print(f"{name}: {attack(name, float(sys.argv[1]) if sys.argv[1:] else 60)} rounds, nothing found")
