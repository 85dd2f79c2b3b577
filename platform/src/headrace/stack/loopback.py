"""One HTTP request to a part of the stack on the loopback interface, with the standard library alone.

The CLI asks several parts on every `status`; importing an HTTP client library would take longer than all the answers.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 2.0


def fetch(
    url: str, *, method: str = "GET", body: Any = None, token: str = "", timeout: float = _TIMEOUT_SECONDS
) -> tuple[int, bytes]:
    """Send one request and read the whole answer.

    Args:
        url: http, no proxy is asked.
        method: the HTTP method.
        body: sent as JSON unless None.
        token: a bearer token, if any.
        timeout: seconds for each of connecting and reading.

    Returns:
        The status code and the answer's bytes.

    Raises:
        OSError: nobody answers there, or not in time, or what answers does not speak HTTP.
    """
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{url} does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
