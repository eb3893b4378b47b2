"""What an adapter measures on real nodes, so that virtual ones behave like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Latencies(Protocol):
    """From a trial's native records and stamps to delays of ranks, s: of starts, and of reports."""

    def __call__(
        self, native: Path, stamps: Sequence[Mapping[str, Any]], /
    ) -> tuple[list[float], list[float]]:
        """Read a trial's native records, and its stamps if it has a payload."""
        ...
