"""Steps in pods: `ports.steps.StepRunner` by the provider's KubernetesPodOperator."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase
from kubernetes.client import CoreV1Api, V1DeleteOptions, V1Preconditions
from kubernetes.client.exceptions import ApiException

from headrace.adapters.kubernetes.client import api_client, refusal, translated_errors
from headrace.adapters.kubernetes.pod_state import why_stuck, why_unscheduled
from headrace.errors import HeadraceError, InvalidSpecError, NotFoundError, StepFailedError, UnavailableError
from headrace.render.step import CONTAINER, RUN_ANNOTATION, StepTarget, pod_name, render_step
from headrace_airflow.pods.log import PodLog
from headrace_airflow.pods.patience import Obstacle, Patience
from headrace_airflow.pods.reasons import DELETED, as_json, why_failed

if TYPE_CHECKING:
    from airflow.sdk import Context
    from kubernetes.client import V1Pod

    from headrace.config import Settings
    from headrace.ports.log import LogLine
    from headrace.specs.step import Step

_POLL_SECONDS = 0.5
_STUCK_SECONDS = 20
"""How long a container may fail to start (no image, no Secret): the kubelet tries again meanwhile, and may succeed."""
_SILENCE_SECONDS = 60
"""How long the API server may be away while a step runs."""
_GONE_SECONDS = 120
"""How long a deleted pod may take to be gone."""
_TAIL_LINES = 20


def step_target(settings: Settings) -> StepTarget:
    """Where and as what this installation runs steps."""
    kubernetes = settings.kubernetes
    return StepTarget(
        namespace=kubernetes.namespace,
        image=kubernetes.step_image,
        pull_policy=kubernetes.pull_policy.value,
        service_account=kubernetes.service_account,
        priority_class=kubernetes.priority_class,
        environment=settings.pod_environment(),
        secrets=kubernetes.secrets,
    )


class PodStepRunner:
    """Runs steps in pods.

    A pod's name is made of the step's identity. The API server gives a name to one pod at a time, and it is free again only
    when the kubelet has said that the containers are gone: so there are never two, whatever dies.

    Args:
        settings: of the installation.
        context: of the task that runs the step; its pod is labelled with DAG, run, task and try.
    """

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context

    def await_earlier(self, step: Step, *, log: LogLine) -> None:
        """See the port. When the task is stopped meanwhile, a pod of its own run goes with it; another run's is left."""
        pod = self._pod(step)
        found = pod.find()
        if found is None:
            return
        if found.status.phase == PodPhase.RUNNING and not found.metadata.deletion_timestamp:
            log(f"{pod.where}, started for run {pod.run_of(found)}, still runs: waiting for it")
            try:
                found = pod.follow(log)
            except BaseException:
                pod.discard()
                raise
        reason = why_failed(found)
        log(f"{pod.where} {reason.what if reason else 'ended well'}; it is removed")
        pod.delete(found)
        pod.await_gone()

    def run(self, step: Step, *, log: LogLine) -> None:
        """See the port. The pod is deleted when it has ended, and when the call is interrupted."""
        pod = self._pod(step)
        try:
            pod.start(log)
            reason = why_failed(pod.follow(log))
            if reason is not None:
                raise StepFailedError(
                    f"the pod of step {step.name} {reason.what}; its last lines:\n{pod.last_lines()}\n",
                    where=pod.where,
                    remedy=reason.remedy,
                )
        finally:
            pod.discard()

    def _pod(self, step: Step) -> StepPod:
        return StepPod(step=step, settings=self._settings, context=self._context)


class StepPod(KubernetesPodOperator):  # type: ignore[misc]
    """The one pod that a step's identity may have.

    The provider's operator makes it: what was rendered, the labels of the task, and what the installation's policy adds
    (`pod_mutation_hook`). How it lives differs: it is found by its name rather than by labels of a task, for it may be any run's;
    each of its lines is passed on once; and what keeps it from running, or ended it, is told in the words of whoever did.
    """

    BASE_CONTAINER_NAME = CONTAINER

    def __init__(self, *, step: Step, settings: Settings, context: Context, **kwargs: Any) -> None:
        target = step_target(settings)
        super().__init__(
            task_id=context["ti"].task_id,
            pod_template_dict=render_step(step, target),
            random_name_suffix=False,
            kubernetes_conn_id=None,
            **kwargs,
        )
        # "Dry" means without a label that says how this process reached the API server, which it would open a connection for.
        self.pod_request_obj = self.build_pod_request_obj(context, dry_run=True)
        self.where = f"pod {target.namespace}/{pod_name(step)}"
        self._address = (pod_name(step), target.namespace)
        self._settings = settings.kubernetes

    @cached_property
    def client(self) -> CoreV1Api:
        """The platform's own way to the API server."""
        return CoreV1Api(api_client(self._settings.context))

    def find(self) -> V1Pod | None:
        """The pod as it is now, whoever started it; None when there is none."""
        try:
            return self._read()
        except NotFoundError:
            return None

    def run_of(self, found: V1Pod) -> str | None:
        """The run a pod was started for."""
        run: str | None = (found.metadata.annotations or {}).get(RUN_ANNOTATION)
        return run

    def start(self, log: LogLine) -> None:
        """Create it, as soon as the namespace's quota has room, and return when its container runs or has ended.

        Raises:
            StepFailedError: there was no room or no node in time, or its container cannot start; tells why.
            UnavailableError: a pod of that name exists.
        """
        patience = Patience(self.where, log)
        while (refused := self._create()) is not None:
            patience.bear(refused)
            time.sleep(_POLL_SECONDS)
        while (pod := self._read()).status.phase == PodPhase.PENDING:
            patience.bear(self._obstacle(pod))
            time.sleep(_POLL_SECONDS)
        log(f"{self.where} runs on {pod.spec.node_name}")

    def follow(self, log: LogLine) -> V1Pod:
        """Pass its log on until it has ended, and return it as it is then.

        Raises:
            StepFailedError: it was deleted.
        """
        lines = PodLog(self.client, *self._address, log)
        try:
            while True:
                pod = self._read()
                # There may be no log, when no container ever started; or not now, and the pod's state says what is true.
                with suppress(UnavailableError, InvalidSpecError), translated_errors(f"cannot read the log of {self.where}"):
                    lines.pass_on()
                if pod.status.phase in PodPhase.terminal_states:
                    return pod
                time.sleep(_POLL_SECONDS)
        except NotFoundError as error:
            raise StepFailedError(f"the pod {DELETED.what}", where=self.where, remedy=DELETED.remedy) from error

    def last_lines(self) -> str:
        """What it printed last."""
        try:
            with translated_errors(f"cannot read the log of {self.where}"):
                reply = self.client.read_namespaced_pod_log(*self._address, tail_lines=_TAIL_LINES, _preload_content=False)
        except HeadraceError as error:
            return f"({error})"
        text: str = reply.data.decode("utf-8", errors="backslashreplace")
        return text.rstrip() or "(it printed nothing)"

    def discard(self) -> None:
        """Delete the pod if it is of this run. It may be left when the API server does not answer: the next try removes it."""
        try:
            found = self.find()
            if found is not None and self.run_of(found) == self.run_of(self.pod_request_obj):
                self.delete(found)
        except HeadraceError as error:
            self.log.warning("%s is left: %s", self.where, error)

    def delete(self, found: V1Pod) -> None:
        """Delete that pod, and no other of its name. Returns before it is gone."""
        exactly = V1DeleteOptions(preconditions=V1Preconditions(uid=found.metadata.uid))
        with translated_errors(f"cannot delete {self.where}"):
            try:
                self.client.delete_namespaced_pod(*self._address, body=exactly)
            except ApiException as error:
                if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or another has its name now
                    raise

    def await_gone(self) -> None:
        """Return when the name is free.

        Raises:
            StepFailedError: the kubelet does not say that the containers are gone; nobody can know whether they still run.
        """
        deadline = time.monotonic() + _GONE_SECONDS
        while self.find() is not None:
            if time.monotonic() > deadline:
                raise StepFailedError(
                    f"the deleted pod is not gone after {_GONE_SECONDS} s; its node may be cut off",
                    where=self.where,
                    remedy="Once the node is known to be off: kubectl delete pod --force.",
                )
            time.sleep(_POLL_SECONDS)

    def _read(self) -> V1Pod:
        """The pod as it is now; an API server that is away comes back."""
        deadline = time.monotonic() + _SILENCE_SECONDS
        while True:
            try:
                with translated_errors(f"cannot read {self.where}"):
                    return self.client.read_namespaced_pod(*self._address)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_SECONDS)

    def _create(self) -> Obstacle | None:
        with translated_errors(f"cannot create {self.where}"):
            try:
                self.client.create_namespaced_pod(self.pod_request_obj.metadata.namespace, self.pod_request_obj)
            except ApiException as error:
                if error.status == HTTPStatus.FORBIDDEN and "exceeded quota" in refusal(error):
                    return self._unscheduled(refusal(error), "Wait until something ends, or raise the namespace's ResourceQuota.")
                raise
        return None

    def _obstacle(self, pod: V1Pod) -> Obstacle | None:
        found = as_json(pod)
        unscheduled = why_unscheduled(found)
        if unscheduled is not None:
            words = unscheduled or "the scheduler has not looked at it"
            return self._unscheduled(words, "Add or free resources, or ask for less (`dataset.resources`).")
        if words := why_stuck(found):
            return Obstacle("stuck", words, _STUCK_SECONDS, "Correct the image, or the Secrets its variables come from.")
        return None

    def _unscheduled(self, words: str, remedy: str) -> Obstacle:
        return Obstacle("unscheduled", words, self._settings.schedule_within_seconds, remedy)
