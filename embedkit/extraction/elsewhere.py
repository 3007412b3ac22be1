"""A run whose images are decoded and encoded elsewhere: shares out, what comes of them into the cache files here."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

import numpy as np

from embedkit.cost import Cost
from embedkit.errors import EmbedkitError
from embedkit.extraction.progress import Progress
from embedkit.extraction.target import Target
from embedkit.extraction.worker import Done, Share, Work


class Cluster(Protocol):
    """Workers elsewhere: a `RayCluster`, or the processes of `SeveralDevices`."""

    def embed(self, work: Work) -> Generator[Done, None, None]:
        """Embed the shares and yield what became of them, stretch by stretch, each once, as it comes in.

        Raises:
            EmbedkitError: the workers can't be had, or can't go on.
        """


def embed_elsewhere(
    cluster: Cluster,
    phases: Mapping[tuple[int, ...], np.ndarray],
    addresses: Sequence[str],
    targets: Sequence[Target],
    *,
    decoders: int | None,
    batch: int | None,
    progress: Progress,
) -> list[Cost]:
    """Have a cluster embed rows for the targets that need them, and return what its workers have spent.

    Args:
        phases: who among the targets needs the same rows -> these rows. addresses: of all rows.
        targets: all that need any.
        decoders, batch: as in `Work`.

    Raises:
        EmbedkitError: as `Cluster.embed`; a worker met an error, or writes where it can't be seen from here.
    """
    shares = [
        Share(tuple(rows.tolist()), tuple(addresses[row] for row in rows), which) for which, rows in phases.items()
    ]
    spent = []
    jobs, stores, before = zip(*((target.job, target.store, target.before) for target in targets), strict=True)
    work = Work(shares, jobs, stores, decoders, batch, before)
    with closing(cluster.embed(work)) as flow:
        for done in flow:
            if done.error:
                raise EmbedkitError(done.error)
            for note in done.notes:
                progress.note(note)
            for made in done.made:
                targets[made.which].receive(done, made)
            if done.cost is not None:
                spent.append(done.cost)
            progress.advance(len(done.rows) + len(done.failures))
    return spent


def together(here: Cost, elsewhere: Sequence[Cost]) -> Cost:
    """Return the cost of a run with workers elsewhere; several may lie on one machine, whose energy each measures."""
    if not elsewhere:
        return here
    return replace(sum(elsewhere, here), wall_seconds=here.wall_seconds, energy_kwh=None)
