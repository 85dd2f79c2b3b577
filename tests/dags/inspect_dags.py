"""Prints every DAG of a folder as Airflow sees it, and what parsing cost: `python inspect_dags.py FOLDER`.

A program of its own: Airflow reads its configuration at import, and the network guard must stand before anything is parsed.
"""

import json
import socket
import sys
import time

from airflow.dag_processing.dagbag import DagBag
from airflow.models.trigger import Trigger
from airflow.sdk.definitions._internal.types import NOTSET
from airflow.serialization.encoders import encode_trigger
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import BaseEventTrigger

DEAR = ("tensorflow", "mlflow", "kubernetes", "airflow.providers.cncf.kubernetes", "headrace_airflow.pods", "pyarrow")


def main(folder):
    socket.socket.connect = socket.getaddrinfo = refuse
    before = set(sys.modules)
    began = time.process_time()
    bag = DagBag(dag_folder=folder)
    seconds, loaded = time.process_time() - began, set(sys.modules) - before
    found = {
        "errors": bag.import_errors,
        "dags": {dag_id: described(dag) for dag_id, dag in bag.dags.items()},
        "seconds": seconds,
        "heavy": [name for name in DEAR if name in loaded],
    }
    print("RESULT" + json.dumps(found))  # noqa: T201


def refuse(*_args, **_kwargs):
    raise AssertionError("a DAG file must not touch the network when parsed")


def described(dag):
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    return {
        "tasks": {task.task_id: task_of(task) for task in dag.tasks},
        "params": {name: param(dag, name) for name in dag.params},
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "paused": dag.is_paused_upon_creation,
        "timetable": timetable.summary,
        "watchers": list(watchers(timetable)),
    }


def task_of(task):
    return {
        "type": type(task).__name__,
        "upstream": sorted(task.upstream_task_ids),
        "trigger_rule": task.trigger_rule.value,
        "pool": task.pool,
        "retries": task.retries,
        "outlets": [outlet.uri for outlet in task.outlets],
    }


def param(dag, name):
    found = dag.params.get_param(name)
    return {**({} if found.value is NOTSET else {"value": found.value}), **found.schema}


def watchers(timetable):
    """Of the assets that a DAG is scheduled on; whether the dag-processor knows them again by what the database holds."""
    for _, asset in timetable.asset_condition.iter_assets():
        for watcher in asset.watchers:
            told = encode_trigger(watcher.trigger)
            stored = Trigger(classpath=told["classpath"], kwargs=told["kwargs"])
            known = BaseEventTrigger.hash(**told) == BaseEventTrigger.hash(stored.classpath, stored.kwargs)
            yield {"asset": asset.uri, "trigger": stored.classpath, "known": known}


if __name__ == "__main__":
    main(sys.argv[1])
