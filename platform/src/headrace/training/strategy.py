"""How workers compute together: synchronous data parallelism, gradients summed by a collective all-reduce over gRPC."""

from __future__ import annotations

import tensorflow as tf

from headrace.errors import TrainingFailedError
from headrace.training.cluster import Cluster


def open_strategy(cluster: Cluster, *, threads: int) -> tf.distribute.Strategy:
    """Join the cluster; returns when every peer is there. Must be the first thing TensorFlow does in a process.

    A worker has one replica: its first GPU if it has one, else its cores. So that shares stay equal, more GPUs mean more workers.

    Args:
        cluster: this worker and its peers.
        threads: cores this worker may use inside one operation; 0 leaves the choice to TensorFlow.

    Raises:
        TrainingFailedError: this worker's own address cannot be bound.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    gpus = tf.config.list_physical_devices("GPU")[:1]
    tf.config.set_visible_devices(gpus, "GPU")
    if cluster.workers == 1:
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.hosts)}), task_type="worker", task_id=cluster.rank, rpc_layer="grpc"
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.UnknownError as error:
        raise TrainingFailedError(
            f"worker {cluster.rank} cannot listen: {error.message}",
            where=cluster.hosts[cluster.rank],
            remedy="Another process may have taken the port in the meantime; train again.",
        ) from error
