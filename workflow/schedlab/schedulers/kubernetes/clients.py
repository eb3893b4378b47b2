"""Requests of the API server's clients, by its audit log, and the limits that the clients keep.

A client's QPS is that of one clientset (client-go, `kubernetes.NewForConfig`: its clients of all
API groups share one rate limiter). A program may have several: one that has a kind of job of its
own has one for Kubernetes' API groups and one for its own, and kube-controller-manager has one for
each controller, which its user agent names. So requests are counted by user agent and by the domain
of the API group, and each count has the whole limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from schedlab.schedulers.kubernetes.records import events, succeeded
from schedlab.schedulers.limits import Limit

_OWN = "k8s.io"
"""Domain of Kubernetes' own API groups; the oldest have a name without one."""
_DURING = "clientset seconds"
_COUNT = "clientset "


def requests(audit: str, span: tuple[int, int] | None = None) -> dict[str, float]:
    """Count requests of the audit log, which has no reads and no events.

    Parameters
    ----------
    audit : str
        The audit log.
    span : tuple of int and int, optional
        The driver's start and end, ns of the head's clock.

    Returns
    -------
    dict
        `audit.CLIENT.VERB.RESOURCE`: successful ones since the log began. With a span also
        `clientset PROGRAM DOMAIN AGENT`: those that were answered in it, refused ones too, since
        they count for a client's limit; and the span's length (s).
    """
    counts: Counter[str] = Counter()
    for event in events(audit, refused=True):
        reference = event.get("objectRef")
        reference = reference if isinstance(reference, dict) else {}
        agent = str(event.get("userAgent", ""))
        client = agent.partition("/")[0] or "unknown"
        if succeeded(event):
            resource = str(reference.get("resource", "none"))
            if reference.get("subresource"):
                resource += f"/{reference['subresource']}"
            counts[f"audit.{client}.{event.get('verb')}.{resource}"] += 1
        if span is not None and span[0] <= event["ns"] <= span[1]:
            domain = _domain(str(reference.get("apiGroup", "")))
            counts[f"{_COUNT}{client} {domain} {agent}"] += 1
    found = {name: float(number) for name, number in sorted(counts.items())}
    if span is not None and counts:
        found[_DURING] = (span[1] - span[0]) / 1e9
    return found


def _domain(group: str) -> str:
    """Domain of an API group, whose clientset it tells."""
    return ".".join(group.split(".")[-2:]) if "." in group else _OWN


def client_limit(
    program: str,
    kind: str,
    settings: Mapping[str, Any],
    default: str,
    counters: Mapping[str, float],
) -> Limit:
    """Return the limit of a program's requests per second, and its busiest clientset's requests.

    Parameters
    ----------
    program : str
        Name of the program, as its user agent begins.
    kind : str
        `scheduler` or `controller`, as settings name it.
    settings : mapping
        Settings in force, recorded or to be.
    default : str
        Limit that applies when no setting tells.
    counters : mapping of str to float
        Counters of a trial (`requests`). Of a trial whose driver left no end none are counted.
    """
    written = settings.get(f"{kind}Qps", default)
    qps = float(settings.get(f"{program} --kube-api-qps", written))
    words = f"requests of {program} to the API server (kube-api-qps)"
    # Controllers end jobs; schedulers do no more once a pod is bound.
    limit = Limit(words, f"{kind}Qps", qps, None, ends_jobs=kind == "controller")
    start = f"{_COUNT}{program} "
    asked = {name: count for name, count in counters.items() if name.startswith(start)}
    if not asked or not counters.get(_DURING):
        return limit
    most = max(asked, key=asked.__getitem__)
    domain, _, agent = most.removeprefix(start).partition(" ")
    # What follows the version of the program and its build names a part of it.
    part = agent.partition("kubernetes/")[2].partition("/")[2].rpartition(":")[2]
    client = f"{part or program} for {domain}"
    return limit._replace(counted=asked[most], seconds=counters[_DURING], client=client)
