"""What every body has in common: strict values, and nothing that is not asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Input(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Nothing(Input):
    """No body, or {}."""
