"""The pod that runs one rank of a neutral job on Kubernetes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from schedlab.schedulers.base import PAYLOAD, STAMPS
from schedlab.workloads.trace import Job

IMAGE = "localhost/schedlab-payload:1"


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
                # No memory limit: the memory that runc needs to start would count against it.
                "resources": {
                    "requests": {"cpu": str(job.cpus), "memory": "16Mi"},
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
