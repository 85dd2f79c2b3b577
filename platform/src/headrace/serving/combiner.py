"""The aggregating combiner: the mean of the members' probabilities, with every vote on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from seldon_core.flask_utils import SeldonMicroserviceException
from seldon_core.user_model import SeldonNotImplementedError

from headrace.serving.messages import Array, payload, reply, request_path

_EXPECTED = "probabilities of shape [n, classes]"


class MeanCombiner:
    """A Seldon component (`aggregate`): the arithmetic mean over its children, in float64.

    The reply's tags hold `classes`, the aggregate's class name a row, and `votes`, in the children's order: each with `name`,
    `model`, `version`, `run_id`, `digest`, `classes` [n] and `probabilities` [n, classes].
    """

    def aggregate(self, features_list: Sequence[Any], feature_names_list: Sequence[Iterable[str]]) -> Array:
        """The mean of arrays of one shape [n, classes]."""
        del feature_names_list
        return self._mean([np.asarray(features) for features in features_list])

    def aggregate_raw(self, msgs: Any) -> dict[str, Any]:
        """The REST form of `aggregate`, which sees the children's tags as well."""
        if not isinstance(msgs, list):
            raise SeldonNotImplementedError("only a JSON array of messages is handled here")
        arrays = [payload(message, _EXPECTED) for message in msgs]
        names = [message["data"].get("names", []) for message in msgs]
        if any(other != names[0] for other in names[1:]):
            raise _disagreement(f"the members name their classes differently: {names}")
        mean = self._mean(arrays)
        tags = {
            "classes": _classes(mean, names[0]),
            "votes": [_vote(message, array, names[0]) for message, array in zip(msgs, arrays, strict=True)],
        }
        path = {key: image for message in msgs for key, image in message["meta"].get("requestPath", {}).items()}
        return reply(msgs[0], mean, names=names[0], meta={"tags": tags, "requestPath": {**path, **request_path()}})

    @staticmethod
    def _mean(arrays: Sequence[Array]) -> Array:
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1:
            raise _disagreement(f"the members answer with different shapes: {sorted(shapes)}")
        return np.mean(np.stack(arrays), axis=0, dtype=np.float64)


def _classes(probabilities: Array, names: Sequence[str]) -> list[str]:
    return [names[index] for index in probabilities.argmax(axis=1)]


def _vote(message: Mapping[str, Any], probabilities: Array, names: Sequence[str]) -> dict[str, Any]:
    (identity,) = message["meta"]["tags"].values()
    return {**identity, "classes": _classes(probabilities, names), "probabilities": probabilities.tolist()}


def _disagreement(message: str) -> SeldonMicroserviceException:
    """The graph's own fault, not the caller's: its members do not belong together."""
    return SeldonMicroserviceException(message, status_code=500, reason="MEMBERS_DISAGREE")
