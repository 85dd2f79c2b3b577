"""What every spec has in common: frozen, validated when built, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """The base of everything a user writes and of every document the platform's parts exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")
