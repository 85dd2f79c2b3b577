"""Why a node of a graph does not start, in Kubernetes' own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from kubernetes.client import ApiClient, CoreV1Api, V1ContainerStatus, V1Pod
from kubernetes.client.exceptions import ApiException

from headrace.adapters.kubernetes.client import translated_errors
from headrace.adapters.seldon.rollout import Part, Rollout
from headrace.render.seldon.marks import MARK

TAIL_LINES = 20
_GRAPH_LABEL = "seldon-deployment-id"
"""The operator's; on every pod of a graph."""
_NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}
_NO_CONTAINER = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_RESTARTS_FOR_GIVING_UP = 2


@dataclass(frozen=True)
class Trouble:
    """What keeps a node from being ready.

    Attributes:
        node: of the graph.
        why: in words.
        hopeless: waiting will not help, unless somebody changes something.
        pod: the one to look at, if it has come to that.
        container: of the pod, when its log tells more.
        restarted: the log that tells more is of the container before this one.
    """

    node: str
    why: str
    hopeless: bool = False
    pod: str = ""
    container: str = ""
    restarted: bool = False


class Diagnosis:
    """Asks the API server what is wrong. All methods may raise UnavailableError and ForbiddenError.

    Rights: list on `pods` and `events`, and get on `pods/log`, in the graphs' namespace.
    """

    def __init__(self, client: ApiClient) -> None:
        self._core = CoreV1Api(client)

    def troubles(self, namespace: str, name: str, rollout: Rollout) -> list[Trouble]:
        """What keeps the unfinished nodes of a graph from being ready; nothing of those that are merely on their way."""
        with translated_errors(f"cannot list the pods of the graph {namespace}/{name}"):
            pods = self._core.list_namespaced_pod(namespace, label_selector=f"{_GRAPH_LABEL}={name}").items
        return [trouble for part in rollout.unfinished() for trouble in troubles(part, pods)[:1]]  # replicas fail alike

    def explain(self, namespace: str, trouble: Trouble) -> str:
        """The trouble, with the last lines of the container's log or what was last reported of the pod."""
        text = f"{trouble.node}: {trouble.why}"
        if trouble.container:
            return f"{text}; its last lines:\n{self._log(namespace, trouble)}"
        if trouble.pod and (reported := self._last_warning(namespace, trouble.pod)):
            return f"{text}; {reported}"
        return text

    def _log(self, namespace: str, trouble: Trouble) -> str:
        with translated_errors(f"cannot read the log of pod {namespace}/{trouble.pod}"):
            try:
                reply = self._core.read_namespaced_pod_log(
                    trouble.pod,
                    namespace,
                    container=trouble.container,
                    previous=trouble.restarted,
                    tail_lines=TAIL_LINES,
                    _preload_content=False,  # the library would give the bytes' representation, `b'…'`
                )
                log = reply.data.decode(errors="replace")
            except ApiException as error:
                if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):  # gone since, or cleaned up
                    raise
                log = ""
        return log.strip() or "(it printed nothing)"

    def _last_warning(self, namespace: str, pod: str) -> str:
        with translated_errors(f"cannot list the events of pod {namespace}/{pod}"):
            selector = f"involvedObject.name={pod},type=Warning"
            events = self._core.list_namespaced_event(namespace, field_selector=selector).items
        newest = max(events, key=lambda event: event.last_timestamp or event.metadata.creation_timestamp, default=None)
        return newest.message.strip() if newest else ""


def troubles(part: Part, pods: Iterable[V1Pod]) -> list[Trouble]:
    """What keeps a part from being ready, the worst first. Pure."""
    found = [*_refusals(part)]
    for pod in pods:
        if _is_of(part, pod):
            found += _pod_troubles(part.node, pod)
    return sorted(found, key=lambda trouble: not trouble.hopeless)


def _refusals(part: Part) -> Iterator[Trouble]:
    """Why no pod can be made: a quota may mend, a policy does not."""
    for condition in (part.deployment and part.deployment.status.conditions) or ():
        if condition.type == "ReplicaFailure" and condition.status == "True":
            may_mend = "exceeded quota" in condition.message
            yield Trouble(part.node, f"no pod can be made: {condition.message}", hopeless=not may_mend)


def _is_of(part: Part, pod: V1Pod) -> bool:
    """Whether the pod runs what the part says; pods of the document before do not count."""
    annotations: Mapping[str, str] = pod.metadata.annotations or {}
    runs_node = part.node in {container.name for container in pod.spec.containers}
    return runs_node and annotations.get(MARK) == part.mark and pod.metadata.deletion_timestamp is None


def _pod_troubles(node: str, pod: V1Pod) -> Iterator[Trouble]:
    name = pod.metadata.name
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            yield Trouble(node, f"pod {name} has no place: {condition.message}")
    for status in pod.status.init_container_statuses or ():
        yield from _container_troubles(node, name, status)
    for status in pod.status.container_statuses or ():
        yield from _container_troubles(node, name, status)
        if status.state.running and not status.ready:
            yield Trouble(node, f"container {status.name} of pod {name} runs and is not ready", pod=name)


def _container_troubles(node: str, pod: str, status: V1ContainerStatus) -> Iterator[Trouble]:
    where, waiting = f"container {status.name} of pod {pod}", status.state.waiting
    ended = status.state.terminated or (status.last_state and status.last_state.terminated)
    if waiting and waiting.reason in _NO_IMAGE:
        why = f"{where} has no image {status.image} ({waiting.reason}): {waiting.message}"
        yield Trouble(node, why, hopeless=True, pod=pod)
    elif waiting and waiting.reason in _NO_CONTAINER:
        yield Trouble(node, f"{where} cannot be made ({waiting.reason}): {waiting.message}", hopeless=True, pod=pod)
    elif ended and ended.exit_code != 0 and not status.ready:
        yield Trouble(
            node,
            f"{where} ended with code {ended.exit_code} ({ended.reason}), {status.restart_count} restart(s)",
            hopeless=status.restart_count >= _RESTARTS_FOR_GIVING_UP,
            pod=pod,
            container=status.name,
            restarted=status.restart_count > 0 and not status.state.terminated,
        )
