"""The training loop of one worker: fused steps, synchronous with its peers. Keras' `fit` does not work under the strategy
(keras-team/keras#20585), and is slower on small networks: here many steps are one call into TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headrace.errors import CorruptError
from headrace.training.cluster import Cluster
from headrace.training.examples import Examples
from headrace.training.sharding import Share

EXAMPLES_PER_CALL = 4096
"""Of one worker; about a second of one core: the overhead of a call is spread thin, and progress still moves."""
StepDone = Callable[[int], None]


@dataclass(frozen=True)
class Score:
    """Means over all examples of all workers."""

    loss: float
    accuracy: float


class Loop:
    """A model in training. Every method is collective: all workers call the same ones in the same order, or all wait."""

    def __init__(
        self, strategy: tf.distribute.Strategy, cluster: Cluster, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        self._strategy = strategy
        self._cluster = cluster
        self._model = model
        self._optimizer = optimizer
        # Sizes are left open: an epoch's last call is smaller, and would be traced once more.
        images, labels = (tf.TensorSpec((None, *shape), tf.uint8) for shape in (model.input_shape[1:], ()))
        steps = (_stacked(images), _stacked(labels), tf.TensorSpec((None, None), tf.float32))
        self._train_steps = tf.function(self._fused_steps, input_signature=steps)
        self._count = tf.function(self._counts, input_signature=(images, labels))
        self._sum = tf.function(self._summed)

    def train_epoch(self, examples: Examples, share: Share, done: StepDone) -> Score:
        """Train on this rank's share of an epoch; `done` is called with the number of steps finished so far.

        Returns:
            Means while training, over the whole epoch: earlier steps were taken with weaker weights.
        """
        per_call = max(1, EXAMPLES_PER_CALL // share.rows.shape[1])
        totals = np.zeros(3, np.float32)
        for start in range(0, share.steps, per_call):
            images, labels = examples.take(share.rows[start : start + per_call])
            totals += self._train_steps(images, labels, share.weights[start : start + per_call]).numpy()
            done(min(start + per_call, share.steps))
        self._average_statistics()
        return self._score(totals)

    def evaluate(self, examples: Examples) -> Score:
        """Score the model as it is, each worker on every n-th example."""
        rows = np.arange(self._cluster.rank, len(examples), self._cluster.workers)
        totals = np.zeros(3, np.float32)
        for start in range(0, len(rows), EXAMPLES_PER_CALL // 4):
            totals += self._count(*examples.take(rows[start : start + EXAMPLES_PER_CALL // 4])).numpy()
        return self._score(totals)

    def agree(self, number: int, *, what: str) -> None:
        """Make sure every worker has the same number.

        Raises:
            CorruptError: they do not.
        """
        mine = np.array([number, number**2, 1], np.float32)
        total, squares, workers = self._sum(mine).numpy()
        if squares * workers != total**2:
            raise CorruptError(
                f"the workers disagree on {what}; this one has {number}",
                where=f"worker {self._cluster.rank}",
                remedy="Make sure they all read the same store, and train again.",
            )

    def wait_for_all(self) -> None:
        """Return once every worker is here: one that left while others still train would be taken for dead.

        A worker may be through, and gone, before another has heard the last of it. That looks like a death and is none; of
        a real one, whoever watches the processes knows.
        """
        with contextlib.suppress(tf.errors.OpError):
            self._sum(np.zeros(1, np.float32)).numpy()

    def _score(self, totals: Any) -> Score:
        loss, correct, examples = self._sum(totals).numpy()
        return Score(float(loss / examples), float(correct / examples))

    def _fused_steps(self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        totals = tf.zeros(3)
        # tf.range makes a loop of the graph's own; Python's range would trace every step (20 s more).
        for index in tf.range(tf.shape(images)[0]):
            totals += self._strategy.run(self._step, args=(images[index], labels[index], weights[index]))
        return totals

    def _step(self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            probabilities = self._model(images, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
            loss = tf.reduce_sum(losses * weights)
        variables = self._model.trainable_variables
        # The optimizer sums gradients over the workers before it applies them.
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return _totals(losses, labels, probabilities, tf.cast(weights > 0, tf.float32))

    def _counts(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        probabilities = self._model(images, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        return _totals(losses, labels, probabilities, tf.ones_like(losses))

    def _summed(self, values: tf.Tensor) -> tf.Tensor:
        return self._strategy.run(_all_reduce, args=(values,))

    def _average_statistics(self) -> None:
        """Give all workers the mean of their moving statistics: each has only seen its own share."""
        for variable in self._model.non_trainable_variables:
            if variable.dtype == "float32":
                variable.assign(self._sum(variable.numpy()) / self._cluster.workers)


def _stacked(spec: tf.TensorSpec) -> tf.TensorSpec:
    """Any number of batches of these."""
    return tf.TensorSpec((None, *spec.shape), spec.dtype)


def _totals(losses: tf.Tensor, labels: tf.Tensor, probabilities: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Sums over the counted examples, float32[3]: loss, hits, examples."""
    hits = tf.cast(tf.argmax(probabilities, axis=1, output_type=tf.int32) == tf.cast(labels, tf.int32), tf.float32)
    return tf.stack([tf.reduce_sum(losses * counted), tf.reduce_sum(hits * counted), tf.reduce_sum(counted)])


def _all_reduce(values: tf.Tensor) -> tf.Tensor:
    # An argument of the traced function lies on no device, and the strategy needs one to send from: hence the identity.
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))
