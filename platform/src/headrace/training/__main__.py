"""`python -m headrace.training`: run one worker of the job that stands in the environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

from pydantic import ValidationError

from headrace.adapters.stores import open_store
from headrace.config import load_settings
from headrace.errors import HeadraceError, InvalidSpecError
from headrace.specs.training import JOB_VARIABLE, RUN_VARIABLE, THREADS_VARIABLE, TrainingJob
from headrace.training.cluster import read_cluster
from headrace.training.reporter import Bystander, Reporter

log = logging.getLogger("headrace.training")


def read_job(document: str) -> TrainingJob:
    """Parse the job.

    Raises:
        InvalidSpecError: it is not a training job.
    """
    try:
        return TrainingJob.model_validate_json(document)
    except ValidationError as error:
        raise InvalidSpecError(f"not a training job: {error}", where=JOB_VARIABLE) from error


def read_run_id(environment: Mapping[str, str]) -> str:
    """The MLflow run to report to.

    Raises:
        InvalidSpecError: nobody opened one.
    """
    if RUN_VARIABLE not in environment:
        raise InvalidSpecError(
            "no run to report to", where=RUN_VARIABLE, remedy="Training jobs are started by a launcher, which sets it."
        )
    return environment[RUN_VARIABLE]


def work() -> None:
    """Join the peers, train, report."""
    job = read_job(os.environ.get(JOB_VARIABLE, ""))
    cluster = read_cluster(os.environ)
    settings = load_settings()
    store = open_store(settings)

    # TensorFlow is imported here, not above: a malformed job is refused at once, not after ten seconds.
    from headrace.training.data import open_data
    from headrace.training.strategy import open_strategy
    from headrace.training.worker import Worker, checkpoints_of

    strategy = open_strategy(cluster, threads=int(os.environ.get(THREADS_VARIABLE, "0")))
    data = open_data(store, job.dataset)
    checkpoints = checkpoints_of(job, store)
    reporter: Reporter = Bystander()
    if cluster.is_chief:
        from headrace.training.chief import Chief
        from headrace.training.description import code_version

        code = code_version(settings.project)
        reporter = Chief(job, run_id=read_run_id(os.environ), store=store, data=data, checkpoints=checkpoints, code=code)
    Worker(job, cluster=cluster, strategy=strategy, data=data, reporter=reporter).run(checkpoints)


def main() -> int:
    """Return the exit code: 0, or the error's own."""
    quieten()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        work()
    except HeadraceError as error:
        log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400 - it says what, where and what to do
        return error.exit_code
    except Exception:
        log.exception("the worker ended by an error that nobody expected")
        return 1
    return 0


def quieten() -> None:
    """Leave the chatter of TensorFlow's C++ side and of gRPC out of the job's log; what matters comes as a Python error too.

    Only works before they are imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("tensorflow", "absl", "tf2onnx", "mlflow", "httpx", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Peers end at the same moment, and the interpreter's orderly way out would wait for connections to them.
    os._exit(code)
