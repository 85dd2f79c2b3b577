"""The aggregating combiner: the weighted mean of the members' probabilities, with every vote on record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from seldon_core.flask_utils import SeldonMicroserviceException
from seldon_core.user_model import SeldonNotImplementedError

from headrace.serving.messages import Array, payload, reply, request_path

_EXPECTED = "probabilities of shape [n, classes]"


@dataclass(frozen=True)
class _Member:
    """What one child of the combiner has answered."""

    probabilities: Array
    names: list[str]
    tags: Mapping[str, Any]
    request_path: Mapping[str, str]

    def votes(self) -> list[dict[str, Any]]:
        """This member's vote; or, when it is a combiner itself, those of its own members."""
        if "votes" in self.tags:
            return list(self.tags["votes"])
        answer = {"classes": _classes(self.probabilities, self.names), "probabilities": self.probabilities.tolist()}
        return [{"name": next(iter(self.request_path), ""), **self._identity(), **answer}]

    def _identity(self) -> Mapping[str, Any]:
        """What a model says of itself in its one tag; nothing for components that tag in other ways."""
        (identity,) = self.tags.values() if len(self.tags) == 1 else ({},)
        return identity if isinstance(identity, Mapping) else {}


class MeanCombiner:
    """A Seldon component (`aggregate`): the arithmetic mean over its children, weighted or not, in float64.

    The reply's tags hold `classes`, the aggregate's class name a row, and `votes`, in the children's order: each with `name`,
    `model`, `version`, `run_id`, `digest`, `classes` [n] and `probabilities` [n, classes].

    Args:
        weights: a JSON array, a positive number a child, in the children's order; they need not sum to 1. All weigh the same
            when it is empty.

    Raises:
        ValueError: it is no such array.
    """

    def __init__(self, weights: str = "") -> None:
        self._weights = _weights(weights) if weights else None

    def aggregate(self, features_list: Sequence[Any], feature_names_list: Sequence[Iterable[str]]) -> Array:
        """The mean of arrays of one shape [n, classes]."""
        del feature_names_list
        return _mean([np.asarray(features) for features in features_list], self._weights)

    def aggregate_raw(self, msgs: Any) -> dict[str, Any]:
        """The REST form of `aggregate`, which sees the children's tags as well."""
        if not isinstance(msgs, list):
            raise SeldonNotImplementedError("only a JSON array of messages is handled here")
        members = [_member(message) for message in msgs]
        mean = _mean([member.probabilities for member in members], self._weights)
        names = members[0].names
        if any(member.names != names for member in members):
            raise _disagreement(f"the members name their classes differently: {[member.names for member in members]}")
        tags = {"classes": _classes(mean, names), "votes": [vote for member in members for vote in member.votes()]}
        path = {node: image for member in members for node, image in member.request_path.items()}
        return reply(msgs[0], mean, names=names, meta={"tags": tags, "requestPath": {**path, **request_path()}})


def _member(message: Any) -> _Member:
    try:
        probabilities = payload(message, _EXPECTED)
    except SeldonMicroserviceException as error:
        raise _disagreement(f"a member does not answer as a classifier: {error.message}") from error
    if probabilities.ndim != 2 or probabilities.dtype.kind not in "iuf":  # noqa: PLR2004 - rows and classes
        raise _disagreement(f"expected {_EXPECTED} of a member; got {probabilities.dtype} {list(probabilities.shape)}")
    columns = probabilities.shape[1]
    names = message["data"].get("names") or [f"t:{column}" for column in range(columns)]
    if len(names) != columns:
        raise _disagreement(f"a member names {len(names)} classes and answers with {columns}")
    meta = message.get("meta") or {}
    return _Member(probabilities, list(names), meta.get("tags") or {}, meta.get("requestPath") or {})


def _weights(text: str) -> Array:
    weights = np.array(json.loads(text))
    if weights.ndim != 1 or weights.dtype.kind not in "if" or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"weights must be a JSON array of positive numbers; got {text}")
    return weights.astype(np.float64)


def _mean(arrays: Sequence[Array], weights: Array | None) -> Array:
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise _disagreement(f"the members must answer with one shape; they answer with {sorted(shapes)}")
    if weights is None:
        return np.mean(np.stack(arrays), axis=0, dtype=np.float64)
    if len(weights) != len(arrays):
        raise _disagreement(f"there are {len(weights)} weights for {len(arrays)} members")
    return np.average(np.stack(arrays).astype(np.float64), axis=0, weights=weights)


def _classes(probabilities: Array, names: Sequence[str]) -> list[str]:
    return [names[index] for index in probabilities.argmax(axis=1)]


def _disagreement(message: str) -> SeldonMicroserviceException:
    """The graph's own fault, not the caller's: its members do not belong together."""
    return SeldonMicroserviceException(message, status_code=500, reason="MEMBERS_DISAGREE")
