"""Beyond one machine: the shares of a run are embedded by Ray workers, one encoder each, and merged by this process."""

import logging
import os
import pickle
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from embedkit.errors import EmbedkitError
from embedkit.extraction.worker import Done, Work, Worker, pieces

# Between two shares an encoder waits for the first images of the next; one whose worker is killed is done again whole.
_LARGEST_SHARE = 16_384
_SECONDS_TO_ANSWER = 10
# Shares and their outcome are small: without this Ray takes a third of the memory for its store of objects.
_OBJECT_STORE = 256 << 20


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, and how it is used.

    Attributes:
        address: of a running cluster, as `ray.init` takes it; by default that of ``RAY_ADDRESS``, else one is started
            on this machine for the run.
        workers: how many encoders; by default one per node, or as many as the GPUs allow.
        gpus_per_worker: GPUs that each worker has for itself; a fraction shares one.

    Raises:
        EmbedkitError: Ray is not installed, or a number makes no sense.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise EmbedkitError("a cluster needs Ray, which is not installed: pip install 'embedkit[ray]'")
        if self.workers is not None and self.workers < 1:
            raise EmbedkitError(f"{self.workers} Ray workers can do nothing: give 1 or more")
        if self.gpus_per_worker < 0:
            raise EmbedkitError(f"{self.gpus_per_worker} GPUs per worker: give 0 or more")

    def embed(self, work: Work) -> Generator[Done, None, None]:
        """Embed the shares and yield what became of them, stretch by stretch, as it comes in.

        A worker that dies is replaced by Ray, and its share is done again.

        Args:
            work: whose stores lie in a folder that all nodes share; ``decoders`` are those of each worker, by default
                one per core it has.

        Raises:
            EmbedkitError: the cluster can't be reached or has no room, a worker can't go on, or the same share has
                killed several.
        """
        with self._connected() as ray:
            room = _room(ray.nodes(), self.workers, self.gpus_per_worker)
            cut = list(pieces(work.shares, room.workers, work.batch, _LARGEST_SHARE))
            worker = {
                "jobs": list(work.jobs),
                "stores": [replace(store, cache=store.cache.absolute()) for store in work.stores],
                "images": work.images // room.workers,
                "workers": room.cpus if work.decoders is None else work.decoders,
                "batch": work.batch,
                "before": list(work.before),
            }
            blocks = ray.data.from_items(
                [{"share": pickle.dumps(piece)} for piece in cut], override_num_blocks=len(cut)
            )
            # What a worker yields comes in at once, not when it has grown to megabytes.
            blocks.context.target_max_block_size = 1
            done = blocks.map_batches(
                Worker,
                fn_constructor_kwargs=worker,
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=min(room.workers, len(cut))),
                num_cpus=room.cpus,
                num_gpus=self.gpus_per_worker or None,
            )
            try:
                for row in done.iter_rows():
                    yield pickle.loads(row["done"])
            except ray.exceptions.RayTaskError as error:
                raise EmbedkitError(
                    f"a Ray worker failed: {error.cause or _first_line(error)}. Every node needs this embedkit, and "
                    "the weights under the same path. What was done is kept: run the same command again to go on"
                ) from error
            except ray.exceptions.RayError as error:
                raise EmbedkitError(
                    f"Ray could not go on ({_first_line(error)}): look at the cluster (ray status). What was done is "
                    "kept: run the same command again to go on"
                ) from error

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        # Ray reports its use to its makers unless it is told not to, and its core logs to standard error.
        for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}.items():
            os.environ.setdefault(name, value)
        import ray
        import ray.data

        mine = not ray.is_initialized()
        if mine:
            elsewhere = self.address or os.environ.get("RAY_ADDRESS")
            own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
            where = {"address": self.address} if elsewhere else own
            try:
                _knock(elsewhere)
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
            except (OSError, ValueError, RuntimeError) as error:
                raise EmbedkitError(
                    f"no Ray cluster answers at {elsewhere or 'this machine'} ({_first_line(error)}): check --address, "
                    "and that the cluster has the Ray of this machine"
                ) from error
        _quiet(ray)
        try:
            yield ray
        finally:
            if mine:
                ray.shutdown()


@dataclass(frozen=True)
class _Room:
    """So many workers with so many cores each."""

    workers: int
    cpus: int


def _room(nodes: Sequence[dict[str, Any]], asked: int | None, gpus: float) -> _Room:
    """Return what fits the living nodes: a worker lies on one node, and the cores of a node are shared out evenly."""
    here = [node["Resources"] for node in nodes if node["Alive"]]
    held = [(int(one.get("CPU", 0)), int(one.get("GPU", 0) / gpus) if gpus else int(one.get("CPU", 0))) for one in here]
    slots = [min(cpus, most) for cpus, most in held]
    fit = sum(slots)
    workers = asked or (fit if gpus else sum(slot > 0 for slot in slots))
    if not 0 < workers <= fit:
        each = f"a core and {gpus:g} GPUs" if gpus else "a core"
        raise EmbedkitError(
            f"the Ray cluster has room for {fit} workers with {each} each, not for {max(workers, 1)}: give fewer "
            "--ray-workers or --gpus-per-worker, or add nodes"
        )
    # The most cores per worker with which all of them find a node.
    for cpus in range(max(cores for cores, _ in held), 1, -1):
        if sum(min(cores // cpus, most) for cores, most in held) >= workers:
            return _Room(workers, cpus)
    return _Room(workers, 1)


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray itself tries for minutes, then ends this process."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()


def _quiet(ray: Any) -> None:
    """Keep Ray's bars and logs off the screen: the run has its own, and ``--json`` prints nothing else."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
