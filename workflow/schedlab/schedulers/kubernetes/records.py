"""Parsers of Kubernetes' records: the API server's audit log, and lists of objects.

The audit log has a line of JSON for each request (audit.k8s.io/v1 Event). Its keys are in the order
of the Go structure: stage, verb, objectRef (resource, namespace, name, uid, apiGroup, apiVersion,
resourceVersion, subresource), responseStatus, requestObject, and last the time stamps, with 6
digits. requestObject holds the request's object as JSON, even if it was sent in another encoding;
keys of built-in kinds are in the structure's order, those of custom resources in alphabetical
order. Objects are those of Kubernetes 1.34, whose job controllers write whole objects to
jobs/status.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from schedlab.outside.foreign import foreign
from schedlab.outside.json_text import parse_json
from schedlab.schedulers.base import COMPLETED, FAILED, UNFINISHED
from schedlab.schedulers.rows import NativeJob

NAMESPACE = "default"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JOB = re.compile(r"job\d+")
_POD = re.compile(r"(job\d+)-(?:rank-)?(\d{1,9})(?:-|$)")
"""Pods' names hold job and rank: job3-0-x7k2p (batch/v1, Indexed), job3-rank-0 (by task)."""

_SOURCES = {
    "accepted": "audit.log: create of the Job answered (1 us)",
    "allocated": "audit.log: pods/binding of the last rank answered (1 us)",
    "completed": "audit.log: jobs/status with the end answered (1 us)",
    "interrupted": "audit.log: pod to be evicted, or deleted by the scheduler (1 us)",
    "reported": "audit.log: pods/status of a virtual node answered (1 us); no payload ran",
}

_NODE_LOST = {"DeletionByTaintManager", "DeletionByPodGC"}
"""Reasons of the condition DisruptionTarget of a pod whose node is unreachable, or is no more."""

_STATES = {
    "Complete": COMPLETED,
    "Completed": COMPLETED,
    "Failed": FAILED,
    "Aborted": "CANCELLED",
    "Terminated": "CANCELLED",
}


def batch_end(status: Mapping[str, Any]) -> str | None:
    """End of a batch/v1 Job; SuccessCriteriaMet and FailureTarget come before the end."""
    for condition in status.get("conditions") or []:
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return str(condition["type"])
    return None


class JobKind(NamedTuple):
    """Jobs of one API group, and how the end of a job is recognised.

    Attributes
    ----------
    group : str
        API group.
    end : callable
        Returns, for a Job's status, its final state in Kubernetes' word; None before the end.
    ended : str
        Regular expression of the part of a raw log line that says that a job ended or failed.
    """

    group: str
    end: Callable[[Mapping[str, Any]], str | None]
    ended: str


BATCH = JobKind("batch", batch_end, r'"type":"(?:Complete|Failed)","status":"True"')


def ended_pattern(kind: JobKind) -> str:
    """Regular expression of a raw log line that ends a job; the first group is the job's name.

    Parameters
    ----------
    kind : JobKind
        Kind of the Job.
    """
    # The controller repeats refused updates (409), so only an answer of 2xx counts.
    return (
        rf'"objectRef":\{{"resource":"jobs","namespace":"{NAMESPACE}","name":"(job\d+)"[^{{}}]*'
        rf'"apiGroup":"{re.escape(kind.group)}"[^{{}}]*"subresource":"status"\}},'
        r'"responseStatus":\{(?:"metadata":\{\},)?[^{}]*"code":2\d\d[^{}]*\},'
        rf'"requestObject":.*{kind.ended}'
    )


def clock_ns(stamp: str) -> int:
    """Nanoseconds since 1970 of an audit time stamp (RFC 3339, 1 us), without rounding."""
    return (datetime.fromisoformat(stamp) - _EPOCH) // timedelta(microseconds=1) * 1000


def received_ns(event: Mapping[str, Any]) -> int:
    """Instant at which the API server received a request, before it wrote anything."""
    return clock_ns(event["requestReceivedTimestamp"])


def processors(quantity: Any) -> Decimal:
    """Processors of a Kubernetes quantity: `2`, `500m`."""
    text = str(quantity)
    return Decimal(text[:-1]) / 1000 if text.endswith("m") else Decimal(text)


def succeeded(event: Mapping[str, Any]) -> bool:
    """Whether the request of an event was granted."""
    granted: bool = 200 <= event["responseStatus"]["code"] < 300
    return granted


def events(audit: str, *, refused: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the successful requests of the audit log; skip lines that are no complete event.

    Parameters
    ----------
    audit : str
        The audit log.
    refused : bool
        Yield those that were refused too.
    """
    for line in audit.split("\n"):
        try:
            event = parse_json(line)
            granted = succeeded(event)
            if event["stage"] != "ResponseComplete" or not (granted or refused):
                continue
            event["ns"] = clock_ns(event["stageTimestamp"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
        yield event


_SCHEDULER = re.compile(r"[a-z-]*scheduler/")
"""Start of the name of a client that is a scheduler."""
VIRTUAL_AGENT = "kwok/"
"""Start of the name of the client that reports for virtual nodes."""


def rank_of(pod: str) -> tuple[int, int] | None:
    """Job and rank of a pod, by its name; None for a pod of no job of the trace."""
    match = _POD.match(pod)
    return (int(match[1].removeprefix("job")), int(match[2])) if match else None


@dataclass
class _Found:
    """What the records say about a job, and about its pods by rank and name.

    A rank has several pods if a pod was replaced; some schedulers reuse the name of the old pod.
    """

    job: NativeJob = field(default_factory=NativeJob)
    bound: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    pods: dict[str, set[str]] = field(default_factory=dict)
    cpus: dict[str, Decimal] = field(default_factory=dict)
    exits: dict[str, set[int]] = field(default_factory=dict)
    began: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    waits: str = ""


def jobs(audit: str, objects: str, kind: JobKind, ranks: Mapping[str, int]) -> dict[str, NativeJob]:
    """What Kubernetes knows of every job, by name.

    Parameters
    ----------
    audit : str
        The audit log.
    objects : str
        List of nodes, pods and Jobs; may be empty.
    kind : JobKind
        Kind of the Jobs.
    ranks : mapping
        Name of the job -> number of pods; a job is allocated when its last pod is bound.

    Returns
    -------
    dict
        Name of the job -> what is known. The state is None if no record ends the job and `objects`
        does not list it.

    Raises
    ------
    SchedlabError
        When an object, or the object of a request, does not have the form that Kubernetes gives it.
    """
    found: dict[str, _Found] = {}
    with foreign("the records of Kubernetes", "run the trial again"):
        for event in events(audit):
            _event(found, event, kind)
        known = _objects(found, objects, kind)
    for name, entry in found.items():
        _conclude(entry, ranks.get(name, 0), lost=known is not None and name not in known)
    return {name: entry.job for name, entry in found.items()}


def _event(found: dict[str, _Found], event: Mapping[str, Any], kind: JobKind) -> None:
    """Add what one request says to the record of its job."""
    reference = event.get("objectRef") or {}
    what = (reference.get("resource"), reference.get("subresource"), event.get("verb"))
    name = str(reference.get("name", ""))
    sent = event.get("requestObject")
    sent = sent if isinstance(sent, dict) else {}
    pod = _POD.match(name)
    if reference.get("namespace") != NAMESPACE:
        return
    if what[0] == "jobs" and reference.get("apiGroup") == kind.group and _JOB.fullmatch(name):
        job = found.setdefault(name, _Found()).job
        if what[1:] == (None, "create"):
            job.accepted, job.accepted_source = event["ns"], _SOURCES["accepted"]
        elif what[1] == "status" and job.completed is None:
            job.native_state = kind.end(sent.get("status") or {})
            if job.native_state:
                job.completed, job.completed_source = event["ns"], _SOURCES["completed"]
    elif what == ("pods", "binding", "create") and pod:
        node = str((sent.get("target") or {}).get("name") or "")
        entry = found.setdefault(pod[1], _Found())
        entry.bound.setdefault(pod[2], []).append((event["ns"], node))
        entry.pods.setdefault(pod[2], set()).add(name)
    elif what == ("pods", None, "delete") and pod:
        # Other clients delete pods of jobs that have ended or failed.
        if _SCHEDULER.match(str(event.get("userAgent", ""))):
            _interrupted(found.setdefault(pod[1], _Found()).job, event["ns"])
    elif what == ("pods", "status", "patch") and pod:
        entry, status = found.setdefault(pod[1], _Found()), sent.get("status") or {}
        _pod_status(entry, pod[2], name, status)
        for condition in filter(_evicts, status.get("conditions") or []):
            lost = condition.get("reason") in _NODE_LOST
            bound = entry.bound.get(pod[2], []) if lost else []
            _interrupted(entry.job, event["ns"], bound[-1][1] if bound else None)
        if str(event.get("userAgent", "")).startswith(VIRTUAL_AGENT):
            # The fields of a pod have the same instants, but only to 1 s.
            reports = {"Running": entry.began, "Succeeded": entry.done}.get(
                str(status.get("phase"))
            )
            if reports is not None:
                reports.setdefault(pod[2], event["ns"])


def _evicts(condition: Mapping[str, Any]) -> bool:
    """Whether a condition says that a pod goes because of its node or of a more urgent pod."""
    return condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"


def _interrupted(job: NativeJob, now: int, lost_node: str | None = None) -> None:
    """Note that a run of the job was given up; pods of one that has ended are only removed."""
    if job.completed is None:
        job.gave_up(now, _SOURCES["interrupted"], lost_node)


def _objects(found: dict[str, _Found], text: str, kind: JobKind) -> set[str] | None:
    """Add the objects to the records of their jobs; return the Jobs' names, None if no objects."""
    try:
        items = parse_json(text)["items"]
    except (ValueError, KeyError, TypeError):
        return None
    known: set[str] = set()
    for item in items:
        name, status = str(item["metadata"]["name"]), item.get("status") or {}
        pod = _POD.match(name)
        if item["kind"] == "Job" and item["apiVersion"].startswith(f"{kind.group}/"):
            if _JOB.fullmatch(name):
                known.add(name)
                job = found.setdefault(name, _Found()).job
                phase = (status.get("state") or {}).get("phase")
                job.native_state = job.native_state or kind.end(status) or phase or "Active"
        elif item["kind"] == "Pod" and pod:
            entry = found.setdefault(pod[1], _Found())
            _pod_status(entry, pod[2], name, status)
            node = item["spec"].get("nodeName")
            if node:
                entry.cpus[pod[2]] = sum(
                    (
                        processors(container["resources"]["requests"]["cpu"])
                        for container in item["spec"]["containers"]
                    ),
                    Decimal(0),
                )
                # The log was cut off before the binding; the pod still names its node.
                entry.bound.setdefault(pod[2], [(0, str(node))])
    return known


def _pod_status(entry: _Found, rank: str, name: str, status: Mapping[str, Any]) -> None:
    """Read exit code and reasons from a pod's status, or from a patch of the status."""
    entry.pods.setdefault(rank, set()).add(name)
    for container in status.get("containerStatuses") or []:
        terminated = (container.get("state") or {}).get("terminated") or {}
        if "exitCode" in terminated:
            entry.exits.setdefault(rank, set()).add(int(terminated["exitCode"]))
    if status.get("reason"):
        entry.reasons.add(str(status["reason"]))
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "Unschedulable":
            entry.waits = str(condition.get("message") or "")


def _conclude(entry: _Found, ranks: int, *, lost: bool) -> None:
    """Fill in what follows from all pods of a job together."""
    job = entry.job
    if job.accepted is None:
        # The log was rotated after the Job was made, so the first line of a kind may be gone.
        job.completed = job.completed_source = None
    # If a rank's pod was replaced, no record says which of the two pods the job ended with.
    replaced = any(len(bound) > 1 for bound in entry.bound.values()) or any(
        len(names) > 1 for names in entry.pods.values()
    )
    times = [bound[-1][0] for bound in entry.bound.values()]
    if times and all(times) and len(times) >= ranks and not replaced and job.accepted:
        job.allocated, job.allocated_source = max(times), _SOURCES["allocated"]
    if not replaced:
        job.placement = sorted({bound[-1][1] for bound in entry.bound.values() if bound[-1][1]})
    if not replaced:
        job.ranks = {
            int(rank): (entry.began.get(rank), entry.done.get(rank))
            for rank in {*entry.began, *entry.done}
        }
        job.ranks_source = _SOURCES["reported"] if job.ranks else None
    if entry.cpus:
        # Each rank had a node to itself while it ran; without gangs, two ranks may have had the
        # same node one after the other.
        job.nodes, job.cpus = len(entry.cpus), int(sum(entry.cpus.values()))
    final = _STATES.get(job.native_state or "")
    if final:
        job.state = "TIMEOUT" if "DeadlineExceeded" in entry.reasons else final
        # The highest exit code of the ranks; the runtime reports 128 + n after signal n.
        codes = set().union(*entry.exits.values())
        if not replaced or len(codes) == 1:
            job.exit_code = max(codes, default=None)
    elif not lost:
        job.state = UNFINISHED
        if entry.waits and len(times) < ranks:
            job.native_state = f"{job.native_state or 'Active'} (unschedulable: {entry.waits})"
