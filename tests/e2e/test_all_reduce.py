"""The all-reduce is right: two workers with half of every batch each end at the weights that one has who sees whole batches."""

import json
import os
import subprocess
import sys

import numpy as np

from headrace.adapters.local_processes import free_addresses
from headrace.render.tf_config import render_tf_config

# Plain gradient descent, whose steps are as large as the gradients: Adam would hide a sum taken for a mean.
WORKER = """
import os, sys
import keras
import numpy as np
from headrace.specs.training import Architecture
from headrace.training.architectures import build
from headrace.training.cluster import read_cluster
from headrace.training.examples import Examples
from headrace.training.loop import Loop
from headrace.training.sharding import epoch_share
from headrace.training.strategy import open_strategy
from training_data import synthetic

cluster = read_cluster(os.environ)
strategy = open_strategy(cluster, threads=1)
keras.utils.set_random_seed(0)
with strategy.scope():
    model = build(Architecture.CNN, shape=(28, 28), classes=10)
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
loop = Loop(strategy, cluster, model, optimizer)
examples = Examples([synthetic(500, seed=1)])
share = epoch_share(rows=500, batch_size=64, seed=0, epoch=0, rank=cluster.rank, workers=cluster.workers)
score = loop.train_epoch(examples, share, lambda step: None)
after = loop.evaluate(examples)
np.savez(sys.argv[1], *model.get_weights(), np.array([score.loss, score.accuracy, after.loss, after.accuracy]))
loop.wait_for_all()
os._exit(0)
"""


def _train(folder, workers):
    """What each worker ends with: its weights, and the scores it was told."""
    hosts, processes = free_addresses(workers), []
    for rank in range(workers):
        config = {"TF_CONFIG": json.dumps(render_tf_config(hosts, rank))} if workers > 1 else {}
        variables = os.environ | config | {"PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", WORKER, str(folder / f"{workers}-{rank}.npz")]
        processes.append(subprocess.Popen(command, env=variables))
    assert [process.wait(120) for process in processes] == [0] * workers
    return [list(np.load(folder / f"{workers}-{rank}.npz").values()) for rank in range(workers)]


def test_two_workers_end_at_the_weights_of_one(tmp_path):
    (alone,), (first, second) = _train(tmp_path, 1), _train(tmp_path, 2)
    for whole, one, other in zip(alone, first, second, strict=True):
        assert one.tobytes() == other.tobytes()
        np.testing.assert_allclose(one, whole, rtol=1e-4, atol=1e-6)
