"""Which worker to blame for a failed job: the one that ended first, not the ones that ended because of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from headrace.ports.worker_pods import Ending, EndingKind, WorkerPod


def culprit(workers: Iterable[WorkerPod], removed: Collection[str]) -> WorkerPod | None:
    """The worker whose ending made the job fail, None when no ending is known.

    A worker that says it missed a peer comes last. Of the others the first counts; moments are known to the second only, and
    within one, who went by itself comes before whose pod was taken away.

    Args:
        workers: as they were last seen, those included whose pods are gone.
        removed: pods that the cluster took away because the job had already failed.
    """
    own = [(worker, worker.ending) for worker in workers if worker.ending and worker.name not in removed]

    def order(pair: tuple[WorkerPod, Ending]) -> tuple[bool, datetime, bool, int]:
        worker, ending = pair
        return ending.kind is EndingKind.PEER_LOST, ending.at, ending.kind is EndingKind.DELETED, worker.rank

    bad = [pair for pair in own if pair[1].kind is not EndingKind.DONE]
    return min(bad, key=order)[0] if bad else None


def describe(worker: WorkerPod, workers: Iterable[WorkerPod], removed: Collection[str]) -> str:
    """How the culprit ended, and, when it only missed a peer, which one has not been heard of."""
    ending = worker.ending
    if ending is None:
        return "ended, nobody knows how"
    if ending.kind is not EndingKind.PEER_LOST:
        return ending.how
    silent = [str(other.rank) for other in workers if other.ending is None or other.name in removed]
    lost = f"; worker {' and '.join(silent)} went without a word: look at its node" if silent else ""
    return f"{ending.how}{lost}"
