"""A node of the graph: which component it runs, and where it reads its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from headrace.errors import InvalidSpecError
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import Combiner, EnsembleSpec, SlotMember

MODELS = "/models"
"""Where a pod's own copy of its model lies."""

_COMBINERS = {Combiner.MEAN: "headrace.serving.combiner.MeanCombiner"}
_MODEL = "headrace.serving.onnx_model.OnnxModel"
_ROOT = "combiner"


class NodeType(StrEnum):
    """What a node does in the walk (Seldon's PredictiveUnitType)."""

    COMBINER = "COMBINER"
    MODEL = "MODEL"


class Branch(StrEnum):
    """Whose a node is while two ensembles run side by side; the value is what its name begins with.

    What serves keeps its names, so that its nodes run on.
    """

    SERVING = ""
    NEW = "new-"


@dataclass(frozen=True)
class Node:
    """A node to be rendered: its name, the Seldon Python component it runs, and the model that a model node serves."""

    name: str
    type: NodeType
    component: str
    member: SlotMember | None = None


def root_name(branch: Branch = Branch.SERVING) -> str:
    """What the root of an ensemble is called."""
    return f"{branch.value}{_ROOT}"


def combiner_node(ensemble: EnsembleSpec, branch: Branch = Branch.SERVING) -> Node:
    """The root of an ensemble."""
    return Node(root_name(branch), NodeType.COMBINER, _COMBINERS[ensemble.combiner])


def model_node(member: SlotMember, branch: Branch = Branch.SERVING) -> Node:
    """The node of a slot."""
    return Node(f"{branch.value}{member.alias}", NodeType.MODEL, _MODEL, member)


def nodes(ensemble: EnsembleSpec, members: Sequence[SlotMember], branch: Branch = Branch.SERVING) -> list[Node]:
    """All nodes of an ensemble, the root first."""
    return [combiner_node(ensemble, branch), *(model_node(member, branch) for member in members)]


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
