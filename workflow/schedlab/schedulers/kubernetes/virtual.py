"""Virtual nodes of Kubernetes: KWOK on the carriers plays their kubelets, and no payload runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from schedlab.outside.json_text import parse_json
from schedlab.schedulers.delays import delays_told

KUBELET_PERIOD = 10
"""s between two renewals of a kubelet's lease, by default."""
RENEWALS = 5
"""Most renewals of leases per second in a cluster; each is a write of the API server, of which an
emulated head answers some dozens per second."""
LEASE = 4
"""A lease lasts as long as this many periods of its renewals, as a kubelet's does."""
GRACE = 5
"""Periods without a renewal after which a node counts as lost, as with kubelets: 50 s for 10 s."""

HEAD_MIB = (640, 1.0)
"""Least memory of a head with virtual nodes (MiB): in any case, and for each of them.

The first is what an idle head with one node uses (measured: 630 MiB). The second is not measured
here. In a Kubemark with 1,000 nodes and the pods of a test the API server, the controller manager
and the scheduler used 4,715 MB, or 4.7 MB a node [1]_; most of that grows with pods, of which a
trial on virtual nodes has far fewer. The slope is about a fifth of it: a floor, below which a run
is not worth its start, and no recommendation.

References
----------
.. [1] GitHub user gmarek, comment of 2016-05-10 on kubernetes/kubernetes pull request 25395.
"""

REAL, UNKNOWN = "a kubelet on each node", "unknown"
DELAYS = "schedlab/delays"
PERIOD = "schedlab/heartbeat"
CARRIER = "schedlab/carrier"
"""Annotations and label of a virtual node, by which its records tell what it is."""


def heartbeat(nodes: int) -> int:
    """Seconds between two heartbeats of a virtual node, in a cluster of this many nodes.

    A kubelet's own period, as long as all nodes together renew at most `RENEWALS` leases a second.
    """
    return max(KUBELET_PERIOD, math.ceil(nodes / RENEWALS))


def role_variables(
    virtual: Mapping[str, Any], arguments: Mapping[str, list[str]], api: Mapping[str, Any]
) -> dict[str, Any]:
    """Ansible variables of a cluster with virtual nodes.

    Parameters
    ----------
    virtual : mapping
        `cpus` and `memory_mib` of a node, `carriers`: carrier -> numbers of its nodes, and
        `delays`: `start` and `completion`, each a list of intervals (s) of equal probability.
    arguments : mapping of str to list of str
        Arguments of each component.
    api : mapping
        The API server's address on the head, and credentials.
    """
    period = heartbeat(sum(len(numbers) for numbers in virtual["carriers"].values()))
    manager = "kube-controller-manager"
    # With a kubelet's period the manager's own default fits, as on real nodes.
    own = [f"--node-monitor-grace-period={GRACE * period}s"] * (period > KUBELET_PERIOD)
    return {
        "kubernetes_virtual": {
            **virtual,
            "lease": LEASE * period,
            "annotations": {PERIOD: f"{period} s", DELAYS: delays_told(virtual["delays"])},
        },
        "kubernetes_arguments": {**arguments, manager: [*arguments[manager], *own]},
        "kubernetes_api": dict(api),
    }


def told(objects: str) -> str:
    """What the nodes are, from the list of API objects: machines, or virtual and how.

    Parameters
    ----------
    objects : str
        List of API objects that includes the nodes; may be empty.
    """
    try:
        found = [item for item in parse_json(objects)["items"] if item.get("kind") == "Node"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return UNKNOWN
    virtual = [node for node in found if CARRIER in (node["metadata"].get("labels") or {})]
    if not virtual:
        return REAL
    carriers = {node["metadata"]["labels"][CARRIER] for node in virtual}
    notes = [node["metadata"].get("annotations") or {} for node in virtual]
    facts = [node.get("status", {}).get("nodeInfo", {}) for node in virtual]

    def listed(values: list[str | None]) -> str:
        return ", ".join(sorted({str(value) for value in values}))

    return (
        f"none: {len(virtual)} virtual nodes, played by KWOK"
        f" ({listed([fact.get('kubeletVersion') for fact in facts])}) on carriers:"
        f" {len(carriers)}; no payload runs, a pod ends when its time is over; leases renewed every"
        f" {listed([note.get(PERIOD) for note in notes])};"
        f" delays of start and end: {listed([note.get(DELAYS) for note in notes])}; each begins"
        " when KWOK's watch has told it of the pod, which takes its own time"
    )


def costs(daemons: str) -> str:
    """Whose processor time counts, by what the nodes are (`told`)."""
    if daemons in (REAL, UNKNOWN):
        return (
            "by systemd unit (control group): containerd's includes its shims and crun; pods have"
            " groups of their own and do not count"
        )
    return "by systemd unit (control group): on carriers that of KWOK, which stands for kubelets"
