"""An ensemble and its filled slots → the SeldonDeployment that serves them. Pure."""

from headrace.render.seldon.document import (
    API_VERSION,
    MEMBERS_ANNOTATION,
    PREDICTOR,
    document_digest,
    members_of,
    render_deployment,
)
from headrace.render.seldon.target import ClusterTarget, ServingTarget

__all__ = [
    "API_VERSION",
    "MEMBERS_ANNOTATION",
    "PREDICTOR",
    "ClusterTarget",
    "ServingTarget",
    "document_digest",
    "members_of",
    "render_deployment",
]
