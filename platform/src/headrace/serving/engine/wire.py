"""What goes over the wire at the engine's edge: JSON bodies in and out, prediction ids, and errors as callers read them."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from headrace.serving.engine.errors import BadRequestError, EngineError, NodeReplyError, TooLargeError
from headrace.serving.engine.generation import Answer, NodeRefusalError

PUID_HEADER = "Seldon-Puid"
PREDICTIONS_PREFIX = "/seldon/"
_PUID = re.compile(r"[!-~]{1,128}")
_EXAMPLE = 'Send {"data": {"ndarray": …}}.'
log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def read_body(request: web.Request) -> bytes:
    """A request's body.

    Raises:
        TooLargeError: it is over the engine's limit.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError(
            f"the body is over the limit of {request.client_max_size} bytes", remedy="Send fewer rows a request."
        ) from error


def parse_object(body: bytes, *, remedy: str = _EXAMPLE) -> dict[str, Any]:
    """A JSON object (RFC 8259: no NaN, no infinity).

    Raises:
        BadRequestError: it is something else.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}", remedy=remedy) from error
    if not isinstance(content, dict):
        raise BadRequestError("the body is not a JSON object", remedy=remedy)
    return content


def prediction_id(message: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The prediction's id: the message's `meta.puid`, or the header's, or a new one.

    Raises:
        BadRequestError: what was given cannot stand in a header.
    """
    meta = message.get("meta") or {}
    if not isinstance(meta, dict):
        raise BadRequestError("`meta` is no object", remedy='Leave it out, or send {"meta": {"puid": "…"}}.')
    given = meta.get("puid") or headers.get(PUID_HEADER) or secrets.token_hex(16)
    if not isinstance(given, str) or not _PUID.fullmatch(given):
        raise BadRequestError("the prediction's id cannot stand in a header", remedy="Use 1 to 128 visible ASCII characters.")
    return given


def with_id(answer: Answer, puid: str) -> dict[str, Any]:
    """A graph's answer, with the prediction's id in its meta, and which way it went where the document asks for that.

    Raises:
        NodeReplyError: the reply is no message.
    """
    try:
        message = orjson.loads(answer.message)
        routing = {} if answer.routing is None else {"routing": answer.routing}
        message["meta"] = {**(message.get("meta") or {}), **routing, "puid": puid}
    except (orjson.JSONDecodeError, AttributeError, TypeError) as error:
        raise NodeReplyError(f"the graph answered what is no message: {error}") from error
    return dict(message)


def json_reply(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> web.Response:
    """A response with a JSON body."""
    return web.Response(body=orjson.dumps(content), status=status, headers=headers, content_type=kind)


@web.middleware
async def errors_in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as Seldon status messages for predictions, as problem+json for documents."""
    try:
        return await handler(request)
    except NodeRefusalError as refusal:
        return web.Response(body=refusal.body, status=refusal.status, content_type="application/json")
    except EngineError as error:
        return _in_words(request, error)
    except web.HTTPException as error:
        unknown = EngineError(f"{request.method} {request.path}: {error.reason}", remedy="GET / lists the endpoints.")
        unknown.status, unknown.reason = error.status, HTTPStatus(error.status).name
        return _in_words(request, unknown)
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return _in_words(request, EngineError("the engine failed at this", remedy="Look at its log."))


def _in_words(request: web.Request, error: EngineError) -> web.Response:
    headers = {"Retry-After": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if request.path.startswith(PREDICTIONS_PREFIX):
        return json_reply(error.seldon_status(), status=error.status, headers=headers)
    return json_reply(error.problem(), status=error.status, headers=headers, kind="application/problem+json")
