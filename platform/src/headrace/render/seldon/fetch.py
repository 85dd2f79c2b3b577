"""The init container that brings a node its model: `headrace.serving.fetch`, which verifies it by digest."""

from __future__ import annotations

from headrace.render.pod import SCRATCH_ENVIRONMENT, SCRATCH_MOUNT, Manifest, container_security, variables, variables_from
from headrace.render.seldon.container import MODELS_VOLUME, resources
from headrace.render.seldon.node import MODELS, model_folder
from headrace.render.seldon.target import ClusterTarget, ServingTarget
from headrace.specs.serving import EnsembleSpec, SlotMember


def fetch_container(member: SlotMember, ensemble: EnsembleSpec, target: ServingTarget, cluster: ClusterTarget) -> Manifest:
    """It runs before the node, in the same pod, and ends without code 0 unless the folder holds exactly the published files."""
    wanted = {
        "HEADRACE_MODEL_URI": member.location,
        "HEADRACE_MODEL_DIGEST": member.digest,
        "HEADRACE_MODEL_FOLDER": model_folder(member, target),
    }
    return {
        "name": "fetch-model",
        "image": target.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["python", "-m", "headrace.serving.fetch"],
        "env": variables({**SCRATCH_ENVIRONMENT, **cluster.store, **wanted}),
        "envFrom": variables_from(cluster.secrets),
        "resources": resources(ensemble.resources),
        "securityContext": container_security(),
        "volumeMounts": [SCRATCH_MOUNT, {"name": MODELS_VOLUME, "mountPath": MODELS}],
    }
