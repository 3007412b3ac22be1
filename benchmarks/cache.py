"""How fast a large cache is read, beside numpy.load of the same vectors; and a slice of it.

    python benchmarks/cache.py --n 1000000 --d 512                  # vectors as stored, as float32, and with the table
    python benchmarks/cache.py --n 5000000 --d 64 --slice 10000     # and a slice: seconds, and bytes that are read

Each read is a process of its own, cold (the system's copy of the file is dropped before) and warm. What has float32
vectors, `set` (`read`, whose table is not asked for) and `whole` (with its table), stands beside numpy.load and astype.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from embedkit.cache import Store, read, vectors

CONFIGURATION = {"encoder": {"precision": "bf16"}, "decoder": {}, "focus": None}


def write(folder: Path, n: int, d: int, shard: int = 1 << 17) -> tuple[Path, Path]:
    """Write a cache of made-up vectors, and the same vectors as numpy does; return both paths."""
    store = Store(folder, "made-up", "normal", "0" * 16)
    rng = np.random.default_rng(0)
    digests = np.array([f"{number:032x}" for number in range(n)], dtype=object)
    plain = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float16, (n, d))
    sources = []
    for start in range(0, n, shard):
        X = rng.standard_normal((min(shard, n - start), d), np.float32).astype(np.float16)
        plain[start : start + shard] = X
        sources.append(store.add_shard(X, list(digests[start : start + shard])))
    plain.flush()
    ids = np.array([f"patient{number // 4:08}/{number:09}.png" for number in range(n)], dtype=object)
    labels = np.array(["benign", "malignant"], dtype=object)[np.arange(n) % 2]
    table = pd.DataFrame({"id": ids, "path": ids, "label": labels, "digest": digests})
    failed = pd.DataFrame(columns=["id", "path", "reason", "message"], dtype=object)
    files = pd.DataFrame({name: np.arange(n) for name in ("size", "mtime_ns", "ctime_ns")})
    described = {"name": "made-up", "encoder": "normal", "key": "0" * 16, "dataset": {}, "version": "0"}
    begun = time.perf_counter()
    store.commit(table, failed, files, sources, {**described, "configuration": CONFIGURATION})
    print(f"merge of {n:,} x {d}: {time.perf_counter() - begun:.1f} s")
    return store.path, folder / "x.npy"


def drop(path: Path) -> None:
    """Have the system forget its copy of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _io() -> dict[str, int]:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def once(what: str, path: Path, first: int, rows: int) -> None:
    """Read once and print seconds, bytes asked for and bytes from the disk."""
    # Imports are no part of it.
    importlib.import_module("embedkit.cache.elements")
    before, begun = _io(), time.perf_counter()
    if what == "numpy":
        held: object = np.load(path)
    elif what == "astype":
        held = np.load(path).astype(np.float32)
    elif what == "vectors":
        held = vectors(path)
    elif what == "set":
        held = read(path).X
    elif what == "whole":
        one = read(path)
        held = one.X, one.table
    else:
        held = read(path, rows=slice(first, first + rows))
    seconds, after = time.perf_counter() - begun, _io()
    del held
    print(json.dumps([seconds, after["rchar"] - before["rchar"], after["read_bytes"] - before["read_bytes"]]))


def measured(what: str, path: Path, first: int = 0, rows: int = 0) -> list[float]:
    """Return what `once` prints in a process of its own."""
    command = [sys.executable, __file__, "--once", what, str(path), str(first), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--d", type=int, default=512)
    parser.add_argument("--slice", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        path, plain = write(Path(folder), arguments.n, arguments.d)
        first = measured("slice", path, 0, 1)
        print(f"the first slice of a file checks its structure: {first[0]:.3f} s, {first[1] / 1e6:.1f} MB read")
        size, vectors = path.stat().st_size / 1e6, plain.stat().st_size / 1e6
        print(f"the file has {size:.0f} MB, {vectors:.0f} of them vectors")
        for state in ("cold", "warm"):
            best: dict[str, list[float]] = {}
            for _ in range(arguments.repeats):
                for what in ("numpy", "vectors", "astype", "set", "whole", "slice"):
                    where = plain if what in ("numpy", "astype") else path
                    if state == "cold":
                        drop(where)
                    told = measured(what, where, arguments.n // 2, arguments.slice)
                    best[what] = min(told, best.get(what, told))
            for what, (seconds, asked, disk) in best.items():
                print(f"{state} {what:7} {seconds:7.3f} s, {asked / 1e6:8.1f} MB read, {disk / 1e6:8.1f} from the disk")
            for what, beside in (("vectors", "numpy"), ("set", "astype"), ("whole", "astype")):
                print(f"{state} {what} at {best[beside][0] / best[what][0]:.2f} of the speed of {beside}")
