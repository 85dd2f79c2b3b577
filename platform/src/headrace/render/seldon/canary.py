"""A document in which two ensembles run side by side: what serves, and a new one that gets a share of the requests.

As a canary, a router without a container stands over both combiners, in one predictor. What serves keeps its names and its places
among the componentSpecs, which is what Seldon's operator names Deployments by: its models run on. Its combiner does not, because
the executor in its pods has to learn the new graph.

As a shadow, the new ensemble is a predictor of its own, which is marked as one. Seldon's executor knows nothing of that: a mesh
or an ingress before it (Istio, Ambassador) has to copy the requests. headrace's engine does so itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import InvalidSpecError
from headrace.render.pod import Manifest
from headrace.render.seldon.document import (
    MEMBERS_ANNOTATION,
    document_of,
    members_told,
    predictor_of,
    told,
)
from headrace.render.seldon.executor import executor, telling_routes
from headrace.render.seldon.graph import combination, graph, routed
from headrace.render.seldon.node import Branch, nodes
from headrace.render.seldon.target import ServingTarget
from headrace.specs.canary import CanaryMode, CanarySpec
from headrace.specs.serving import EnsembleSpec, SlotMember

CANARY_ANNOTATION = "headrace.dev/canary"
"""The filled slots of the new ensemble, as JSON; `headrace.dev/members` are what serves."""
SHADOW = "shadow"
"""The predictor of a new ensemble whose answers nobody gets."""


def render_canary(
    ensemble: EnsembleSpec, canary: CanarySpec, members: Sequence[SlotMember], new: Sequence[SlotMember], target: ServingTarget
) -> Manifest:
    """Render both.

    Args:
        ensemble: what is declared, of both.
        canary: which share the new one gets, and whether it answers.
        members: the slots that serve.
        new: the slots that shall.
        target: where it will run.

    Raises:
        InvalidSpecError: a model lies where the target's nodes cannot read it; or a shadow is asked for where there is none.
    """
    if canary.mode is CanaryMode.SHADOW:
        predictors = _beside(ensemble, canary, members, new, target)
    else:
        root = routed(ensemble, members, new, target, share=canary.share)
        parts = [*nodes(ensemble, members), *nodes(ensemble, new, Branch.NEW)]
        predictor = predictor_of(root, parts, ensemble, target, name=ensemble.name)
        predictors = [{**predictor, **telling_routes(executor(ensemble, target))}]
    annotations = {MEMBERS_ANNOTATION: told(members), CANARY_ANNOTATION: told(new)}
    return document_of(predictors, ensemble, target, name=ensemble.name, annotations=annotations)


def canary_members_of(document: Mapping[str, Any]) -> tuple[SlotMember, ...]:
    """The new ensemble's slots; empty where none is tried."""
    return members_told(document, CANARY_ANNOTATION)


def _beside(
    ensemble: EnsembleSpec, canary: CanarySpec, members: Sequence[SlotMember], new: Sequence[SlotMember], target: ServingTarget
) -> list[Manifest]:
    if not target.mirrors:
        raise InvalidSpecError(
            "Seldon Core has no shadow without a service mesh: its executor copies no requests, and of a combiner's children a "
            "failing one fails the request",
            where=f"canary.mode of ensemble {ensemble.name}",
            remedy="Use `mode: canary`, or serve with headrace's own engine (HEADRACE_SERVING_BACKEND=engine).",
        )
    name = ensemble.name
    serving = predictor_of(graph(ensemble, members, target), nodes(ensemble, members), ensemble, target, name=name)
    root, parts = combination(ensemble, new, target, Branch.NEW), nodes(ensemble, new, Branch.NEW)
    shadow = {
        **predictor_of(root, parts, ensemble, target, name=name),
        "name": SHADOW,
        "shadow": True,
        "traffic": max(1, round(100 * canary.share)),
    }
    return [{**serving, **executor(ensemble, target)}, shadow]
