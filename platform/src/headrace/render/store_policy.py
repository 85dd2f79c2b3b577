"""An account's grants → the policy that S3 servers understand. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.specs.store import Access, Grant

_OBJECT_ACTIONS = {
    Access.READ: ["s3:GetObject"],
    Access.WRITE: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
}


def render_policy(grants: Iterable[Grant]) -> dict[str, Any]:
    """The policy document: what is not granted is denied."""
    return {"Version": "2012-10-17", "Statement": [statement for grant in grants for statement in _statements(grant)]}


def _statements(grant: Grant) -> list[dict[str, Any]]:
    bucket = f"arn:aws:s3:::{grant.bucket}"
    # Without the right to list, an absent object would be answered with "forbidden" instead of "not found".
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]}
    if grant.prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{grant.prefix}*"]}}
    return [
        {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": [bucket]},
        listing,
        {"Effect": "Allow", "Action": _OBJECT_ACTIONS[grant.access], "Resource": [f"{bucket}/{grant.prefix}*"]},
    ]
