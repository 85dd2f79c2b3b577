"""One worker of a training job, from joining its peers to the last epoch."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping

import keras
import tensorflow as tf

from headrace.errors import PeerLostError
from headrace.ports.store import ObjectStore
from headrace.specs.training import TrainingJob
from headrace.training.architectures import build
from headrace.training.checkpoint import Checkpoints, capture, restore
from headrace.training.cluster import Cluster
from headrace.training.data import Data
from headrace.training.loop import Loop
from headrace.training.reporter import Reporter
from headrace.training.schedules import learning_rate
from headrace.training.sharding import epoch_share, share_size

log = logging.getLogger(__name__)


def fingerprint(job: TrainingJob) -> str:
    """A digest of everything that the variables' values depend on: a checkpoint of another must not be resumed."""
    training = job.training
    parts = [
        job.member.architecture, job.dataset.digest, training.batch_size, training.epochs,
        training.schedule, training.seed, job.learning_rate,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Worker:
    """Trains, in step with its peers, and tells its reporter."""

    def __init__(
        self, job: TrainingJob, *, cluster: Cluster, strategy: tf.distribute.Strategy, data: Data, reporter: Reporter
    ) -> None:
        self._job = job
        self._cluster = cluster
        self._data = data
        self._reporter = reporter
        self._batch_size = share_size(job.training.batch_size, cluster.workers) * cluster.workers
        steps = -(-len(data.train) // self._batch_size) * job.training.epochs
        # Initial weights, dropout masks: all drawn from this seed.
        keras.utils.set_random_seed(job.training.seed)
        with strategy.scope():
            self._model = build(job.member.architecture, shape=data.shape, classes=len(data.classes))
            rate = learning_rate(job.training.schedule, job.learning_rate, steps=steps)
            self._optimizer = keras.optimizers.Adam(rate)
            self._optimizer.build(self._model.trainable_variables)
        self._loop = Loop(strategy, cluster, self._model, self._optimizer)
        self._history: list[Mapping[str, float]] = []

    def run(self, checkpoints: Checkpoints) -> None:
        """Train every epoch that no checkpoint has, and return when the reporter of every worker is done.

        Raises:
            CorruptError: there is a checkpoint, but not of this job.
            PeerLostError: a peer is gone.
        """
        try:
            self._train(checkpoints)
        except tf.errors.UnavailableError as error:
            raise PeerLostError(
                "a peer is gone", where=f"worker {self._cluster.rank}", remedy="Its own last lines say why it ended."
            ) from error

    def _train(self, checkpoints: Checkpoints) -> None:
        resumed_from = self._resume(checkpoints)
        self._loop.agree(resumed_from, what="the epoch to resume from")
        self._reporter.started(
            parameters=self._model.count_params(),
            batch_size=self._batch_size,
            resumed_from=resumed_from,
            history=self._history,
        )
        for epoch in range(resumed_from, self._job.training.epochs):
            self._history.append(self._epoch(epoch))
            self._announce()
            self._reporter.epoch_ended(history=self._history, state=lambda: capture(self._variables))
        self._reporter.trained(history=self._history, weights=self._model.get_weights())
        self._loop.wait_for_all()

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self._model.variables, *self._optimizer.variables]

    def _resume(self, checkpoints: Checkpoints) -> int:
        """Restore the newest checkpoint and return its epoch, 0 without one."""
        found = checkpoints.latest()
        if found is None:
            return 0
        restore(found.arrays, self._variables)
        self._history = list(found.history)
        log.info("resumed after epoch %d of %d", found.epoch, self._job.training.epochs)
        return found.epoch

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train the epoch (counted from 0) and score it; returns its metrics."""
        share = epoch_share(
            rows=len(self._data.train),
            batch_size=self._batch_size,
            seed=self._job.training.seed,
            epoch=epoch,
            rank=self._cluster.rank,
            workers=self._cluster.workers,
        )
        began = time.perf_counter()

        def done(step: int) -> None:
            rate = step * self._batch_size / (time.perf_counter() - began)
            self._reporter.stepped(step=step, steps=share.steps, images_per_second=rate, history=self._history)

        training = self._loop.train_epoch(self._data.train, share, done)
        rate = len(self._data.train) / (time.perf_counter() - began)
        validation = self._loop.evaluate(self._data.validation)
        return {
            "loss": training.loss,
            "accuracy": training.accuracy,
            "validation_loss": validation.loss,
            "validation_accuracy": validation.accuracy,
            "images_per_second": rate,
        }

    def _announce(self) -> None:
        last = self._history[-1]
        log.info(
            "epoch %d/%d  loss %.4f  accuracy %.4f  validation %.4f  %.0f images/s",
            len(self._history), self._job.training.epochs, last["loss"], last["accuracy"], last["validation_accuracy"],
            last["images_per_second"],
        )  # fmt: skip


def checkpoints_of(job: TrainingJob, store: ObjectStore) -> Checkpoints:
    """The job's checkpoints."""
    return Checkpoints(store, job.prefix, fingerprint=fingerprint(job))
