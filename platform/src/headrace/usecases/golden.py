"""Golden requests: what a graph answers now against what its members answered at training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from headrace.errors import CorruptError, DeploymentFailedError
from headrace.ports.serving import ServingBackend
from headrace.ports.store import ObjectStore
from headrace.render.seldon import Branch
from headrace.specs.serving import SlotMember
from headrace.specs.step import Verification
from headrace.usecases.publish import published_prefix

Array = NDArray[Any]


def ask_golden(
    serving: ServingBackend,
    store: ObjectStore,
    *,
    namespace: str,
    name: str,
    members: Sequence[SlotMember],
    tolerance: float,
    new: Sequence[SlotMember] = (),
) -> Verification:
    """Send every member's golden examples, one a request, and compare.

    Each member's vote must equal its own recorded output, and the aggregate their weighted mean, to `tolerance`. Where a canary
    is on, either ensemble may answer: the votes say which, and those of the members that were not asked for nothing but the mean.

    Args:
        serving: runs the graph.
        store: has what was recorded.
        namespace: of the graph.
        name: of the graph.
        members: what serves.
        tolerance: the largest absolute difference allowed.
        new: a canary's members, beside them.

    Raises:
        DeploymentFailedError: an answer differs by more, or a member did not vote.
        CorruptError: what was recorded of a member cannot be read.
    """
    worst, requests = 0.0, 0
    ensembles = {Branch.SERVING: members, Branch.NEW: new}
    for branch, member in [(branch, member) for branch, its in ensembles.items() for member in its]:
        inputs, outputs = _golden(store, member)
        for example, expected in zip(inputs, outputs, strict=True):
            reply = serving.predict(namespace, name, {"data": {"ndarray": example[None].tolist()}})
            votes = _votes(reply)
            answers = Branch.NEW if any(name.startswith(Branch.NEW.value) for name in votes) else Branch.SERVING
            recorded = {member.alias: expected} if answers is branch else {}
            difference = _difference(reply, votes, recorded, ensembles[answers], answers)
            requests, worst = requests + 1, max(worst, difference)
            if not difference <= tolerance:
                raise DeploymentFailedError(
                    f"{member.alias} (version {member.version} of {member.model}) answers a golden request {difference:.2g} "
                    f"away from what was recorded at training; {tolerance:.2g} is allowed",
                    where=serving.endpoint(namespace, name),
                    remedy="The served files, the runtime or the combiner differ from training's; see the nodes' logs.",
                )
    return Verification(requests=requests, largest_difference=worst)


def _golden(store: ObjectStore, member: SlotMember) -> tuple[Array, Array]:
    key = f"{published_prefix(member.model, member.version)}golden.npz"
    try:
        with np.load(store.fetch(key)) as arrays:
            return arrays["inputs"], arrays["outputs"]
    except (KeyError, ValueError, BadZipFile) as error:
        raise CorruptError(
            f"the golden requests of version {member.version} of {member.model} cannot be read",
            where=key,
            remedy="Register a model trained by headrace.",
        ) from error


def _votes(reply: Mapping[str, Any]) -> Mapping[str, Array]:
    return {vote["name"]: np.asarray(vote["probabilities"][0]) for vote in reply["meta"]["tags"]["votes"]}


def _difference(
    reply: Mapping[str, Any],
    votes: Mapping[str, Array],
    recorded: Mapping[str, Array],
    members: Sequence[SlotMember],
    branch: Branch,
) -> float:
    """The largest absolute difference of a one-row reply, in the votes that are on record and in the aggregate."""
    names = {member.alias: f"{branch.value}{member.alias}" for member in members}
    missing = [name for name in names.values() if name not in votes]
    if missing:
        raise DeploymentFailedError(f"no vote of {', '.join(missing)} in the reply", where=str(reply["meta"].get("puid", "")))
    mean = np.average([votes[names[each.alias]] for each in members], axis=0, weights=[each.weight for each in members])
    aggregate = np.asarray(reply["data"]["ndarray"][0])
    differences = [np.abs(votes[names[alias]] - expected).max() for alias, expected in recorded.items()]
    return float(max([*differences, np.abs(aggregate - mean).max()]))
