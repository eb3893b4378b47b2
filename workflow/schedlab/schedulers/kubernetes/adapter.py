"""Kubernetes with its own scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers.base import STAMPS
from schedlab.schedulers.kubernetes.control_plane import KubernetesBase, client_settings
from schedlab.schedulers.kubernetes.kwok import PROGRAMS as KWOK_PROGRAMS
from schedlab.schedulers.kubernetes.pod import pod_template
from schedlab.schedulers.kubernetes.programs import PROGRAMS
from schedlab.schedulers.kubernetes.records import BATCH, JobKind
from schedlab.schedulers.programs import ProgramGroup
from schedlab.schedulers.register import register
from schedlab.schedulers.settings import Setting
from schedlab.workloads.trace import Job

REPLACED = {
    "rules": [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
    ]
}
"""Policy by which the eviction of a pod is no failure of its Job, which then makes a new one."""


@register
class Kubernetes(KubernetesBase):
    """Kubernetes 1.34 with its default scheduler: a batch/v1 Job, whose pods start one by one."""

    name: ClassVar[str] = "kubernetes"
    gang: ClassVar[bool] = False
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "kubernetes")
    programs: ClassVar[tuple[ProgramGroup, ...]] = (PROGRAMS, KWOK_PROGRAMS)
    kind: ClassVar[JobKind] = BATCH
    version: ClassVar[str] = "v1"
    index: ClassVar[str] = "JOB_COMPLETION_INDEX"
    controllers: ClassVar[tuple[str, ...]] = ("kube-scheduler", "kube-controller-manager")
    metrics: ClassVar[str] = "https://127.0.0.1:10259/metrics"
    units: ClassVar[tuple[str, ...]] = (*KubernetesBase.units, "kube-scheduler")
    native_settings: ClassVar[Mapping[str, Setting]] = client_settings(
        scheduler=("kube-scheduler", 50, 100),
        controller=("kube-controller-manager, which creates the pods of Jobs,", 20, 30),
    )

    def body(self, name: str, job: Job, stamps: str = STAMPS) -> dict[str, Any]:
        """Return an Indexed Job: one completion for each rank, and no second attempt.

        A job that may start again gets a new pod for one that was evicted.
        """
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"schedlab/user": job.user}},
            "spec": {
                "completionMode": "Indexed",
                "completions": job.nodes,
                "parallelism": job.nodes,
                "backoffLimit": 0,
                **({"podFailurePolicy": REPLACED} if job.requeue else {}),
                "template": pod_template(name, job, self.index, stamps),
            },
        }

    def no_preemption(self) -> None:
        """Urgent pods evict others if their class says so."""

    def arguments(self, settings: Mapping[str, str]) -> dict[str, list[str]]:
        """Add that everybody may read the scheduler's metrics, as it authenticates no clients."""
        found = super().arguments(settings)
        paths = "/healthz,/readyz,/livez,/metrics"
        found["kube-scheduler"] += [f"--authorization-always-allow-paths={paths}"]
        return found

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        return {
            "gang": "no: each rank is scheduled by itself, as its node becomes free; a job counts"
            " as allocated with its last rank, when others may already run (launch latency < 0)",
            "scheduling period": "none: a queue of pods, each tried at once, and again when"
            " something was freed (back-off 1 to 10 s); the job controller handles the ends of pods"
            " within 1 s together",
            "back-fill": "without reservation: any pod that fits starts, so large jobs can starve",
            "priority": "of the trace: by PriorityClass of that value; within one, first come first"
            " tried",
            "preemption": "only where the trace wants it, by preemptionPolicy of the classes",
            "requeue": "as the trace says: with it, an evicted pod is no failure"
            " (podFailurePolicy), and a new one is made once the old one is gone",
            "a job is translated to": "a batch/v1 Job (Indexed) with a pod for each rank, at most"
            " one on a node at a time: two may have the same node one after the other",
            **self.shared_parity(native),
        }
