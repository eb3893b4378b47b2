"""SYNTHETIC records of Kubernetes, made by hand after the sources of 1.34 and of Volcano 1.14."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

BASE = 1_774_000_000_000_000_000  # 2026-03-20T09:46:40 UTC


def at(seconds: float) -> int:
    return BASE + round(seconds * 1e9)


def stamp_text(seconds: float) -> str:
    return datetime.fromtimestamp(BASE // 10**9 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def audit(
    seconds: float,
    verb: str,
    resource: str,
    name: str,
    sent: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """A line of the audit log, its keys in the order in which the API server writes them."""
    resource, _, subresource = resource.partition("/")
    group = more.get("group", "")
    reference = {"resource": resource, "namespace": more.get("namespace", "default"), "name": name}
    reference |= {"uid": f"uid-of-{name}", "apiGroup": group} if group else {}
    reference |= {"apiVersion": "v1alpha1" if "." in group else "v1"}
    reference |= {"resourceVersion": "812"} if verb == "update" else {}
    reference |= {"subresource": subresource} if subresource else {}
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request" if sent else "Metadata",
        "auditID": "0b5a4d3e-synthetic",
        "stage": "ResponseComplete",
        "requestURI": f"/apis/{group}/{resource}/{name}/{subresource}",
        "verb": verb,
        "user": {"username": "system:admin", "groups": ["system:masters"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": more.get("agent", "vc-scheduler/v0.0.0 (linux/amd64) kubernetes/$Format"),
        "objectRef": reference,
        "responseStatus": {"metadata": {}, "code": more.get("code", 200)},
    }
    if sent is not None:
        event["requestObject"] = sent
    event["requestReceivedTimestamp"] = stamp_text(seconds - more.get("took", 0.001))
    event["stageTimestamp"] = stamp_text(seconds)
    event["annotations"] = {"authorization.k8s.io/decision": "allow"}
    return json.dumps(event, separators=(",", ":"))


def created(seconds: float, name: str, group: str) -> str:
    return audit(seconds, "create", "jobs", name, group=group, code=201, agent="Python-http.client")


def bound(seconds: float, pod: str, node: str, code: int = 201) -> str:
    sent = {"kind": "Binding", "apiVersion": "v1", "metadata": {"name": pod}}
    sent |= {"target": {"kind": "Node", "name": node}}
    return audit(seconds, "create", "pods/binding", pod, sent, code=code)


def batch_status(*conditions: str) -> dict[str, Any]:
    """Status of a batch/v1 Job, keys in the structure's order."""
    return {
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": "2026-03-20T09:46:41Z"}
            for kind in conditions
        ],
        "startTime": "2026-03-20T09:46:40Z",
        "succeeded": 1,
    }


def volcano_status(phase: str) -> dict[str, Any]:
    """Status of a Volcano Job, a custom resource: keys in alphabetical order."""
    return {
        "conditions": [{"lastTransitionTime": "2026-03-20T09:46:41Z", "status": phase}],
        "minAvailable": 1,
        "state": {"lastTransitionTime": "2026-03-20T09:46:41Z", "phase": phase},
        "succeeded": 1,
        "taskStatusCount": {"rank": {"phase": {"Succeeded": 1}}},
    }


def ended(seconds: float, name: str, group: str, *states: str, code: int = 200) -> str:
    """The job controller's update of a Job's status; `states` are conditions, or the phase."""
    if group == "batch":
        sent = {"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": name}}
        sent |= {"spec": {"completions": 1}, "status": batch_status(*states)}
    else:
        sent = {"apiVersion": f"{group}/v1alpha1", "kind": "Job", "metadata": {"name": name}}
        sent |= {"spec": {"minAvailable": 1}, "status": volcano_status(*states)}
    return audit(seconds, "update", "jobs/status", name, sent, group=group, code=code)


def exited(seconds: float, pod: str, code: int, reason: str = "", took: float = 0.001) -> str:
    """The kubelet's patch of a pod's status, which `took` s to be written."""
    terminated = {"containerID": "containerd://x", "exitCode": code, "reason": "Completed"}
    status: dict[str, Any] = {
        "$setElementOrder/conditions": [{"type": "Ready"}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}],
        "containerStatuses": [{"name": "payload", "state": {"terminated": terminated}}],
        "phase": "Succeeded" if code == 0 else "Failed",
    }
    if reason:
        status["reason"] = reason
    more = {"agent": "kubelet/v1.34.1", "took": took}
    return audit(seconds, "patch", "pods/status", pod, {"status": status}, **more)


def pod_object(
    name: str, node: str | None, cpus: str = "1", status: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "containers": [{"name": "payload", "resources": {"requests": {"cpu": cpus}}}]
    }
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec,
        "status": status or {},
    }  # fmt: skip


def job_object(name: str, group: str, status: dict[str, Any]) -> dict[str, Any]:
    version = "v1" if group == "batch" else "v1alpha1"
    return {
        "apiVersion": f"{group}/{version}", "kind": "Job", "metadata": {"name": name},
        "status": status,
    }  # fmt: skip


def object_list(*items: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "items": list(items), "kind": "List"}, indent=4)
