"""A pod's log, passed on as it comes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

from headrace.render.step import CONTAINER

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

    from headrace.ports.log import LogLine

_TIMEOUT_SECONDS = (5, 60)
"""To connect, and between two lines: a step that is silent for longer is asked again."""


class PodLog:
    """The log of a step's pod.

    Args:
        client: asks the API server.
        name: of the pod.
        namespace: of the pod.
        log: is passed each line once, however often the stream breaks off.
    """

    def __init__(self, client: CoreV1Api, name: str, namespace: str, log: LogLine) -> None:
        self._client = client
        self._address = (name, namespace)
        self._log = log
        self._last = ""

    def pass_on(self) -> None:
        """Pass on the lines since the last call, until the container ends or the stream breaks off.

        Raises:
            ApiException: there is no log, or not now; 404 when the pod is gone.
            HTTPError: the API server does not answer.
        """
        stream = self._client.read_namespaced_pod_log(
            *self._address,
            container=CONTAINER,
            follow=True,
            timestamps=True,
            _preload_content=False,
            _request_timeout=_TIMEOUT_SECONDS,
        )
        try:
            with suppress(HTTPError):  # broken off
                for raw in stream:
                    # The kubelet writes nanoseconds in nine digits, so that later lines compare greater.
                    at, _, line = raw.decode("utf-8", errors="backslashreplace").rstrip("\n").partition(" ")
                    if at > self._last:
                        self._last = at
                        self._log(line)
        finally:
            stream.close()
