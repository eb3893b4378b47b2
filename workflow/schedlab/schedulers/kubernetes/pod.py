"""The pod that runs one rank of a neutral job on Kubernetes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from schedlab.schedulers.base import PAYLOAD, STAMPS
from schedlab.workloads.trace import Job

IMAGE = "localhost/schedlab-payload:1"
RANK_MIB = 16
"""Memory that a pod asks for, MiB."""

MOST_PRIORITY = 1000
"""Largest priority of a trace, up or down; far below the classes of Kubernetes' own pods."""
_CLASS = "schedlab-"


def priority_fields(job: Job) -> dict[str, str]:
    """Field of a pod, or of a Job by gangs, for a job's priority; none for priority 0."""
    level = "below-" if job.priority < 0 else "above-"
    name = f"{_CLASS}{level}{abs(job.priority)}"
    return {"priorityClassName": name} if job.priority else {}


def priority_of(name: str | None) -> int:
    """Priority of a trace for which a class of `priority_fields` stands; 0 for no class."""
    if name is None:
        return 0
    level, _, number = name.removeprefix(_CLASS).partition("-")
    return -int(number) if level == "below" else int(number)


def priority_class(priority: int, *, preempt: bool = False) -> dict[str, Any]:
    """Return the class of a priority. Its pods go first; only with `preempt` they evict others."""
    name = priority_fields(Job(0, 0.0, 1, 1, 0.0, priority=priority))["priorityClassName"]
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": priority,
        "preemptionPolicy": "PreemptLowerPriority" if preempt else "Never",
    }


def pod_template(name: str, job: Job, index: str, stamps: str) -> dict[str, Any]:
    """Return the pod of one rank: its processors and the payload, in the host's network.

    Parameters
    ----------
    name : str
        Name of the Job; no two pods of the same Job share a node.
    job : Job
        Neutral job.
    index : str
        Environment variable with the pod's rank, which the kubelet puts into the arguments.
    stamps : str
        File on the node that the payload writes to.
    """
    spec: dict[str, Any] = {
        **priority_fields(job),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        # Whole minutes, as other schedulers count limits, from when the kubelet has the pod.
        "activeDeadlineSeconds": 60 * math.ceil(job.walltime / 60),
        "hostNetwork": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [
            {
                "name": "payload",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": [PAYLOAD],
                "args": [
                    stamps, str(job.job), f"$({index})", f"{job.runtime:.6f}", "sleep"
                ],
                # No memory limit: the memory that crun needs to start would count against it.
                "resources": {
                    "requests": {"cpu": str(job.cpus), "memory": f"{RANK_MIB}Mi"},
                    "limits": {"cpu": str(job.cpus)},
                },
                "volumeMounts": [{"name": "stamps", "mountPath": str(Path(STAMPS).parent)}],
            }
        ],
        "volumes": [
            {
                "name": "stamps",
                "hostPath": {"path": str(Path(STAMPS).parent), "type": "Directory"},
            }
        ],
    }  # fmt: skip
    if job.nodes > 1:
        term = {
            "labelSelector": {"matchLabels": {"schedlab/job": name}},
            "topologyKey": "kubernetes.io/hostname",
        }
        spec["affinity"] = {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        }
    return {
        "metadata": {
            "labels": {"schedlab/job": name},
            "annotations": {"schedlab/user": job.user},
        },
        "spec": spec,
    }
