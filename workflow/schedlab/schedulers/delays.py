"""What an adapter measures on real nodes, so that virtual ones behave like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Latencies(Protocol):
    """Measures delays of a trial's ranks, from its native records and stamps."""

    def __call__(
        self, native: Path, stamps: Sequence[Mapping[str, Any]], /
    ) -> tuple[list[float], list[float]]:
        """Return s from allocation to start, and from end to report."""
        ...
