"""A node of the graph: which component it runs, and where it reads its model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headrace.errors import InvalidSpecError
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import Combiner, EnsembleSpec, SlotMember

MODELS = "/models"
"""Where a pod's own copy of its model lies."""

_COMBINERS = {Combiner.MEAN: "headrace.serving.combiner.MeanCombiner"}
_MODEL = "headrace.serving.onnx_model.OnnxModel"


class NodeType(StrEnum):
    """What a node does in the walk (Seldon's PredictiveUnitType)."""

    COMBINER = "COMBINER"
    MODEL = "MODEL"


@dataclass(frozen=True)
class Node:
    """A node to be rendered: its name, the Seldon Python component it runs, and the model that a model node serves."""

    name: str
    type: NodeType
    component: str
    member: SlotMember | None = None


def combiner_node(ensemble: EnsembleSpec) -> Node:
    """The root."""
    return Node("combiner", NodeType.COMBINER, _COMBINERS[ensemble.combiner])


def model_node(member: SlotMember) -> Node:
    """The node of a slot."""
    return Node(member.alias, NodeType.MODEL, _MODEL, member)


def model_folder(member: SlotMember, target: ServingTarget) -> str:
    """Where the member's node reads its model: the published folder itself, or on a cluster the pod's own copy of it.

    Raises:
        InvalidSpecError: it is published in a folder of the platform's machine, and the node would run in a pod.
    """
    if target.cluster is None:
        return member.location
    if "://" not in member.location:
        raise InvalidSpecError(
            "no pod can read a model that is published in a folder",
            where=member.location,
            remedy="Serve on a cluster from a store that pods reach: HEADRACE_STORE=minio.",
        )
    return f"{MODELS}/{member.model}/{member.version}"
