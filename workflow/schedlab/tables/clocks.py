"""Guests' clocks on one time line: nanoseconds since the trial's start, as the controller saw it.

The offset of a guest's clock to the controller's is measured before and after the workload. In
between it is assumed to change linearly, which follows from a constant difference in frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NodeClock:
    """Clock of one guest.

    Parameters
    ----------
    first, last : int
        Guest's clock minus controller's, ns, at the two measurements; equal where only one exists.
    start, end : int
        Controller's clock at the two measurements, ns; not the trial's start and end.
    uncertainty : int
        Larger half round trip of the two, ns.
    """

    first: int
    last: int
    start: int
    end: int
    uncertainty: int

    def to_controller(self, guest_ns: int) -> int:
        """Controller's clock at an instant of the guest's, ns.

        The guest shows g = t + first + d (t - start) at the controller's t, with
        d = (last - first) / (end - start); solved for t.
        """
        span = self.end - self.start
        drift = (self.last - self.first) / span if span > 0 else 0.0
        since = guest_ns - self.first - self.start
        return self.start + round(since / (1.0 + drift))


def largest_drift(clocks: Mapping[str, NodeClock]) -> float | None:
    """Largest part by which a guest's clock went faster or slower than the controller's."""
    return max(
        (abs(c.last - c.first) / (c.end - c.start) for c in clocks.values() if c.end > c.start),
        default=None,
    )


def node_clocks(conditions: Mapping[str, Any]) -> dict[str, NodeClock]:
    """Clocks of the nodes from a trial record's conditions; nodes never measured are left out.

    Older records do not have each measurement's own instant (``at_ns``). For them the trial's start
    (a little late) and the end of the workload (a little early) are used.
    """
    start = int(conditions.get("start_ns", 0))
    end = int(conditions.get("end_ns", start))
    clocks = {}
    for node, moments in conditions.get("clock", {}).items():
        before = moments.get("start")
        if before is None:
            continue
        after = moments.get("end", before)
        clocks[node] = NodeClock(
            int(before["offset_ns"]),
            int(after["offset_ns"]),
            int(before.get("at_ns", start)),
            int(after.get("at_ns", end)),
            max(int(before["uncertainty_ns"]), int(after["uncertainty_ns"])),
        )
    return clocks
