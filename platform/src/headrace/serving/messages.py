"""Seldon v1 messages as the components read and refuse them.

Protocol: https://docs.seldon.io/projects/seldon-core/en/v1/reference/apis/prediction.html (SeldonMessage, DefaultData, Tensor).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seldon_core.flask_utils import SeldonMicroserviceException

Array = NDArray[Any]


def refuse(message: str) -> SeldonMicroserviceException:
    """The exception that the wrapper turns into HTTP 400 with a Seldon status message."""
    return SeldonMicroserviceException(message, status_code=400, reason="BAD_REQUEST")


def payload(message: Any, expected: str) -> Array:
    """The array in a message's `data`, given as `ndarray` or `tensor`.

    Args:
        message: a SeldonMessage as parsed JSON.
        expected: what the node takes, for the refusal's words.

    Raises:
        SeldonMicroserviceException: there is no such array, or its rows are ragged, or its shape and values do not agree.
    """
    data = message.get("data") if isinstance(message, Mapping) else None
    if not isinstance(data, Mapping) or not ({"ndarray", "tensor"} & data.keys()):
        raise refuse(f'expected {{"data": {{"ndarray": …}}}} or {{"data": {{"tensor": …}}}} with {expected}')
    try:
        values = data["tensor"]["values"] if "tensor" in data else data["ndarray"]
        array = np.array(values)
        array = array.reshape(data["tensor"]["shape"]) if "tensor" in data else array
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise refuse(f"expected {expected}; this is no array: {error}") from error
    if array.dtype.kind in "iuf" and _holds_boolean(values):
        raise refuse(f"expected {expected}; got true or false among the numbers")
    return array


def _holds_boolean(values: Any) -> bool:
    """Whether true or false stands in the lists of an array, where NumPy takes them for 1 and 0."""
    if not isinstance(values, list) or not values:
        return False
    if isinstance(values[0], list):
        return any(map(_holds_boolean, values))
    return bool in set(map(type, values))


def reply(like: Mapping[str, Any], values: Array, *, names: Sequence[str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """A message with `values`, in the representation (`ndarray` or `tensor`) that the message it answers used."""
    data: dict[str, Any] = {"names": list(names)}
    if "tensor" in like["data"]:
        data["tensor"] = {"shape": list(values.shape), "values": values.ravel().tolist()}
    else:
        data["ndarray"] = values.tolist()
    return {"data": data, "meta": dict(meta)}


def request_path() -> dict[str, str]:
    """This node's entry in `meta.requestPath`: its name and image, as the operator tells it."""
    from seldon_core.utils import get_request_path

    return dict(get_request_path())
