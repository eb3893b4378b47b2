"""What an adapter measures on real nodes, so that virtual ones behave like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Latencies(Protocol):
    """Measures delays of a trial, from its native records and stamps.

    Of ranks, or of jobs where virtual nodes play a job as one whole.
    """

    def __call__(
        self, native: Path, stamps: Sequence[Mapping[str, Any]], /
    ) -> tuple[list[float], list[float]]:
        """Return s from allocation to start, and from end to report."""
        ...


def delays_told(intervals: Mapping[str, list[list[float]]]) -> str:
    """Delays in words.

    Parameters
    ----------
    intervals : mapping
        `start` and `completion`, each a list of intervals (s) of equal probability.
    """
    said = [
        f"{kind} {pairs[0][0]:g} to {pairs[-1][1]:g} s (in {len(pairs)} equally likely intervals)"
        for kind, pairs in intervals.items()
        if pairs
    ]
    return ", ".join(said) or "none"
