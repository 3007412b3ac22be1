"""Ray workers make the cache of a run on one machine, bit for bit, though one of them is killed."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from embedkit import EmbedkitError
from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.extraction import RayCluster, Report, extract
from embedkit.extraction.cluster import _room
from tests.extraction.fake import MANY, FakeEncoder, job, run

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'embedkit[ray]'")


@dataclass
class Elsewhere(FakeEncoder):
    """Says where it runs, and is slow enough to be caught in the middle."""

    mark: str = ""

    def encode(self, batch: np.ndarray) -> np.ndarray:
        import ray

        Path(self.mark, str(os.getpid())).write_text(ray.get_runtime_context().get_node_id())
        return super().encode(batch)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A worker on each of two nodes, of a cluster that is started once for all tests."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    os.environ["PYTHONPATH"] = paths
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    nodes.wait_for_nodes()
    ray.init(nodes.address, log_to_driver=False)
    yield RayCluster(workers=2)
    ray.shutdown()
    nodes.shutdown()


def _same(one: Report, two: Report) -> None:
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes()
    assert read(one.path).table.equals(read(two.path).table)
    assert one.ledger == two.ledger


@needs_ray
def test_the_cache_is_the_same_though_a_worker_is_killed_half_way(
    many: Path, tmp_path: Path, cluster: RayCluster
) -> None:
    marks, killed = tmp_path / "marks", []
    marks.mkdir()

    def kill_one() -> None:
        while len(list((tmp_path / "cache").rglob("*.h5"))) < 2 or len(list(marks.iterdir())) < 2:
            time.sleep(0.02)
        killed.append(int(min(marks.iterdir(), key=lambda mark: mark.stat().st_mtime).name))
        os.kill(killed[0], signal.SIGKILL)

    killer = Thread(target=kill_one, daemon=True)
    killer.start()
    slow = replace(job(Elsewhere(pause=0.02, mark=str(marks))), multiply_adds=lambda _: 7)
    data = open_dataset(f"folder:{many}")
    report = extract(data, slow, tmp_path / "cache", workers=0, batch=8, cluster=cluster)
    assert killed
    assert {int(mark.name) for mark in marks.iterdir()} > {killed[0]}
    assert len({mark.read_text() for mark in marks.iterdir()}) == 2
    assert os.getpid() not in {int(mark.name) for mark in marks.iterdir()}
    assert (report.total, report.embedded, len(report.ledger)) == (MANY + 2, MANY, 1)
    _same(report, run(many, tmp_path / "other"))
    assert not list(tmp_path.rglob(".shards/*"))
    assert '"multiply_adds_per_image": 7' in read(report.path).provenance["cost"]


@needs_ray
def test_a_bug_in_a_worker_is_told(many: Path, tmp_path: Path, cluster: RayCluster) -> None:
    class Buggy(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            raise ZeroDivisionError("by nought")

    with pytest.raises(EmbedkitError, match=r"a Ray worker failed: .*by nought"):
        extract(open_dataset(f"folder:{many}"), job(Buggy()), tmp_path, workers=0, cluster=cluster)


@needs_ray
def test_a_cluster_without_room_is_refused(many: Path, tmp_path: Path, cluster: RayCluster) -> None:
    with pytest.raises(EmbedkitError, match=r"room for 2 workers .* not for 3.*--ray-workers"):
        extract(open_dataset(f"folder:{many}"), job(), tmp_path, cluster=RayCluster(workers=3))
    with pytest.raises(EmbedkitError, match=r"room for 0 workers with a core and 1 GPUs each"):
        extract(open_dataset(f"folder:{many}"), job(), tmp_path, cluster=RayCluster(gpus_per_worker=1))


def _nodes(*held: tuple[int, float]) -> list[dict[str, Any]]:
    return [{"Alive": True, "Resources": {"CPU": float(cpus), "GPU": gpus}} for cpus, gpus in held]


@pytest.mark.parametrize(
    ("held", "asked", "gpus", "workers", "cpus"),
    [
        ([(16, 0)], None, 0, 1, 16),
        ([(16, 0), (4, 0)], None, 0, 2, 8),
        ([(16, 0), (4, 0)], 5, 0, 5, 4),
        ([(16, 0), (4, 0)], 20, 0, 20, 1),
        ([(16, 4), (16, 4)], None, 1, 8, 4),
        ([(16, 4), (16, 4)], None, 0.5, 16, 2),
        ([(16, 4), (64, 0)], None, 1, 4, 4),
        ([(2, 8)], None, 1, 2, 1),
    ],
)
def test_workers_get_the_most_cores_with_which_all_find_a_node(
    held: list[tuple[int, float]], asked: int | None, gpus: float, workers: int, cpus: int
) -> None:
    room = _room([*_nodes(*held), {"Alive": False, "Resources": {"CPU": 99.0}}], asked, gpus)
    assert (room.workers, room.cpus) == (workers, cpus)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedkit.extraction.cluster.find_spec", lambda _: None)
    with pytest.raises(EmbedkitError, match=r"pip install 'embedkit\[ray\]'"):
        RayCluster()
