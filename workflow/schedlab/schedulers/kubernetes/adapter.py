"""Two schedulers on the same Kubernetes control plane: its own, and Volcano."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from schedlab.schedulers.base import STAMPS, Exporter, register
from schedlab.schedulers.kubernetes.control_plane import KubernetesBase
from schedlab.schedulers.kubernetes.pod import pod_template
from schedlab.schedulers.rows import text_of
from schedlab.workloads.trace import Job

if TYPE_CHECKING:
    from schedlab.config.model import Experiment


@register
class Kubernetes(KubernetesBase):
    """Kubernetes 1.34 with its default scheduler: a batch/v1 Job, whose pods start one by one."""

    name: ClassVar[str] = "kubernetes"
    gang: ClassVar[bool] = False
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "kubernetes")
    group: ClassVar[str] = "batch"
    version: ClassVar[str] = "v1"
    index: ClassVar[str] = "JOB_COMPLETION_INDEX"
    controllers: ClassVar[tuple[str, ...]] = ("kube-scheduler", "kube-controller-manager")
    metrics: ClassVar[str] = "https://127.0.0.1:10259/metrics"
    default_settings: ClassVar[Mapping[str, str]] = {
        "schedulerQps": "50",
        "schedulerBurst": "100",
        "controllerQps": "20",
        "controllerBurst": "30",
        "logLevel": "2",
    }

    def body(self, name: str, job: Job, stamps: str = STAMPS) -> dict[str, Any]:
        """Indexed Job, a completion for each rank, without a second attempt."""
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"schedlab/user": job.user}},
            "spec": {
                "completionMode": "Indexed",
                "completions": job.nodes,
                "parallelism": job.nodes,
                "backoffLimit": 0,
                "template": pod_template(name, job, self.index, stamps),
            },
        }

    def arguments(self, settings: Mapping[str, str]) -> dict[str, list[str]]:
        """Also who may read the scheduler's metrics: everybody, as it knows no clients."""
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
            " something was freed (back-off 1 to 10 s); the job controller takes ends of pods"
            " together for 1 s",
            "back-fill": "without reservation: any pod that fits starts, so large jobs can starve",
            "priority": "none: all pods have priority 0, first come first tried",
            "preemption": "on by default, without effect at equal priorities",
            "a job is translated to": "a batch/v1 Job (Indexed) with a pod for each rank, at most"
            " one on a node at a time: two may have the same node one after the other",
            **self.shared_parity(native),
        }


@register
class Volcano(KubernetesBase):
    """Volcano 1.14 in the place of the default scheduler: Jobs that start as gangs."""

    name: ClassVar[str] = "volcano"
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "kubernetes", "volcano")
    group: ClassVar[str] = "batch.volcano.sh"
    version: ClassVar[str] = "v1alpha1"
    index: ClassVar[str] = "VC_TASK_INDEX"
    controllers: ClassVar[tuple[str, ...]] = ("vc-scheduler", "vc-controller-manager")
    metrics: ClassVar[str] = "http://127.0.0.1:8080/metrics"
    playbook: ClassVar[str] = "setup-volcano.yml"
    configuration: ClassVar[Mapping[str, str]] = {
        "volcano-scheduler.conf": "/etc/kubernetes/volcano-scheduler.yaml"
    }
    default_settings: ClassVar[Mapping[str, str]] = {
        "schedulePeriod": "1s",
        "actions": "enqueue, allocate, backfill",
        "schedulerQps": "2000",
        "schedulerBurst": "2000",
        "controllerQps": "50",
        "controllerBurst": "100",
        "logLevel": "2",
    }

    def body(self, name: str, job: Job, stamps: str = STAMPS) -> dict[str, Any]:
        """Job of one task, all of whose pods must be there; nothing left to the admission webhook.

        The `env` plugin writes the rank into each pod before it is created.
        """
        return {
            "apiVersion": "batch.volcano.sh/v1alpha1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"schedlab/user": job.user}},
            "spec": {
                "schedulerName": "volcano",
                "queue": "default",
                "minAvailable": job.nodes,
                "plugins": {"env": []},
                "tasks": [
                    {
                        "name": "rank",
                        "replicas": job.nodes,
                        "minAvailable": job.nodes,
                        "template": pod_template(name, job, self.index, stamps),
                    }
                ],
            },
        }

    def arguments(self, settings: Mapping[str, str]) -> dict[str, list[str]]:
        """Also the period of Volcano's scheduler, and its metrics."""
        found = super().arguments(settings)
        found["vc-scheduler"] += [
            f"--schedule-period={settings['schedulePeriod']}",
            "--enable-metrics",
            "--listen-address=:8080",
        ]
        return found

    def variables(self, experiment: Experiment) -> dict[str, Any]:
        """Also the scheduler's actions."""
        settings = experiment.settings_spec(self.name)
        return super().variables(experiment) | {"volcano_actions": settings["actions"]}

    def exporters(self) -> list[Exporter]:
        """Also Volcano's scheduler, which serves its metrics over plain HTTP."""
        return [*super().exporters(), Exporter("volcano", "head", 8080)]

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        found = re.search(
            r'^actions:\s*"?([^"\n]*)', text_of(native / "volcano-scheduler.conf"), re.M
        )
        actions = found[1].strip() if found else "unknown"
        period = self.running(native).get("vc-scheduler", {}).get("schedule-period", "1s (default)")
        return {
            "gang": "yes: a job's pods are bound together or not at all (minAvailable)",
            "scheduling period": f"{period} between cycles of actions {actions}; a job is first"
            " admitted to its queue and gets its pods, then they are bound, in different cycles",
            "back-fill": "without reservation: any job that fits starts; the action of that name"
            " concerns only pods without requests",
            "priority": "none: all jobs have priority 0, first come first tried",
            "preemption": "on" if "preempt" in actions else "off",
            "a job is translated to": "a Volcano Job of one task with a pod for each rank, at most"
            " one on a node, in queue default",
            **self.shared_parity(native),
        }
