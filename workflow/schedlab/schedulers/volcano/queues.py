"""Queues of Volcano for the users of a trace that have shares of the machine.

The plugin proportion gives each queue processors in proportion to its weight, as long as it has
jobs that wait [1]_. A trace's share is so what Volcano calls the weight of a queue. Without the
action reclaim it takes nothing from jobs that run: a processor that becomes free goes to the queue
that has the least of its part.

References
----------
.. [1] Volcano, pkg/scheduler/plugins/proportion; https://volcano.sh/en/docs/queue
"""

from __future__ import annotations

from typing import Any

from schedlab.workloads import Trace

DEFAULT = "default"
PATH = "/apis/scheduling.volcano.sh/v1beta1/queues"
WHOLE = 1000
"""Weight of all users together: weights are whole numbers from 1 on."""


def queue_of(user: str, trace: Trace) -> str:
    """Name of a user's queue: one of its own where the trace has shares, else the default.

    The names are not those of Volcano's own queues, default and root.
    """
    return f"user-{user}" if user in _shares(trace) else DEFAULT


def requests(trace: Trace) -> list[dict[str, Any]]:
    """Requests that create them."""
    return [
        {
            "method": "POST",
            "path": PATH,
            "body": {
                "apiVersion": "scheduling.volcano.sh/v1beta1",
                "kind": "Queue",
                "metadata": {"name": queue_of(user, trace), "annotations": {"schedlab/user": user}},
                # Every default, because no admission webhook runs.
                "spec": {
                    "weight": max(1, round(WHOLE * share)),
                    "reclaimable": True,
                    "parent": "root",
                },
            },
        }
        for user, share in _shares(trace).items()
    ]


def _shares(trace: Trace) -> dict[str, float]:
    """User -> part of the machine that is due to it, of all 1."""
    found: dict[str, float] = trace.scale.get("shares", {})
    return found
