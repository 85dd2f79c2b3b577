"""An ensemble and its filled slots → the SeldonDeployment that serves them. Pure."""

from headrace.render.seldon.canary import CANARY_ANNOTATION, canary_members_of, render_canary
from headrace.render.seldon.document import (
    API_VERSION,
    MEMBERS_ANNOTATION,
    PREDICTOR,
    document_digest,
    members_of,
    render_deployment,
)
from headrace.render.seldon.node import Branch, root_name
from headrace.render.seldon.target import ClusterTarget, ServingTarget

__all__ = [
    "API_VERSION",
    "CANARY_ANNOTATION",
    "MEMBERS_ANNOTATION",
    "PREDICTOR",
    "Branch",
    "ClusterTarget",
    "ServingTarget",
    "canary_members_of",
    "document_digest",
    "members_of",
    "render_canary",
    "render_deployment",
    "root_name",
]
