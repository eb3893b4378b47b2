"""Workloads that several tests give to one small machine."""

from __future__ import annotations

from typing import Any

from schedlab.workloads import Machine, workload_from

TWO = Machine(2, 4)
"""Two nodes of four processors."""


def mix(*parts: dict[str, Any]) -> Any:
    """Mix of these parts, one for each user."""
    return workload_from({"kind": "mix", "name": "m", "parts": list(parts)})
