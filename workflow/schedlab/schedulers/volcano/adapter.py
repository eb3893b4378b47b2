"""Volcano on a Kubernetes control plane, in place of the default scheduler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers.base import STAMPS, Exporter
from schedlab.schedulers.kubernetes.control_plane import KubernetesBase, client_settings
from schedlab.schedulers.kubernetes.kwok import PROGRAMS as KWOK_PROGRAMS
from schedlab.schedulers.kubernetes.pod import pod_template, priority_fields
from schedlab.schedulers.kubernetes.programs import PROGRAMS as KUBERNETES_PROGRAMS
from schedlab.schedulers.kubernetes.records import JobKind
from schedlab.schedulers.limits import LIFT, Cycle, Lift, Limit
from schedlab.schedulers.programs import ProgramGroup
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import text_of
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.translation import Submission
from schedlab.schedulers.volcano import queues
from schedlab.schedulers.volcano.programs import PROGRAMS, require_supported_pair
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace


def _seconds(period: str) -> float | None:
    """Seconds of a period such as 500ms or 1s; None where it is none."""
    found = re.fullmatch(r"(\d+)(ms|s)", period)
    return int(found[1]) * (1e-3 if found[2] == "ms" else 1.0) if found else None


def volcano_end(status: Mapping[str, Any]) -> str | None:
    """Final state of a Volcano Job, in Volcano's word; None before the end."""
    phase = (status.get("state") or {}).get("phase")
    return phase if phase in ("Completed", "Failed", "Aborted", "Terminated") else None


RESTARTED = {"policies": [{"event": "PodEvicted", "action": "RestartJob"}], "maxRetry": 10}
"""Fields of a Job that starts again, as a gang, when one of its pods was evicted."""


@register
class Volcano(KubernetesBase):
    """Volcano 1.14 in place of the default scheduler; Jobs start as gangs."""

    name: ClassVar[str] = "volcano"
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "kubernetes", "volcano")
    programs: ClassVar[tuple[ProgramGroup, ...]] = (KUBERNETES_PROGRAMS, KWOK_PROGRAMS, PROGRAMS)
    kind: ClassVar[JobKind] = JobKind(
        "batch.volcano.sh",
        volcano_end,
        r'"state":\{[^{}]*"phase":"(?:Completed|Failed|Aborted|Terminated)"',
    )
    version: ClassVar[str] = "v1alpha1"
    index: ClassVar[str] = "VC_TASK_INDEX"
    controllers: ClassVar[tuple[str, ...]] = ("vc-scheduler", "vc-controller-manager")
    metrics: ClassVar[str] = "http://head:8080/metrics"
    configuration: ClassVar[Mapping[str, str]] = {
        "volcano-scheduler.conf": "/etc/kubernetes/volcano-scheduler.yaml"
    }
    versions: ClassVar[Mapping[str, str]] = {
        **KubernetesBase.versions,
        "volcano": r"^Version:\s*(\S+)",
    }
    versioned: ClassVar[tuple[str, ...]] = controllers
    metric_prefixes: ClassVar[tuple[str, ...]] = ("scheduler_", "volcano_")
    native_settings: ClassVar[Mapping[str, Setting]] = {
        "schedulePeriod": Setting(
            "1s",
            "time between two scheduling cycles",
            r"[1-9]\d{0,6}(ms|s)",
            "a whole number of ms or s with at most 7 digits, such as 500ms or 60s",
        ),
        "actions": Setting(
            "enqueue, allocate, backfill",
            "actions of a cycle, in their order",
            r"(enqueue, )?allocate(, (backfill|preempt|reclaim))*",
            "a list such as enqueue, allocate, backfill; preempt and reclaim may follow",
        ),
        **client_settings(
            scheduler=("vc-scheduler", 2000, 2000),
            controller=("vc-controller-manager, which creates the pods of Jobs,", 50, 100),
        ),
    }

    def body(self, name: str, job: Job, stamps: str = STAMPS) -> dict[str, Any]:
        """Return a Job of one task that starts only with all its pods.

        It sets every default itself, because no admission webhook runs. The `env` plugin writes the
        rank into each pod before the pod is created.
        """
        return {
            "apiVersion": "batch.volcano.sh/v1alpha1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"schedlab/user": job.user}},
            "spec": {
                "schedulerName": "volcano",
                **priority_fields(job),
                "queue": queues.DEFAULT,
                "minAvailable": job.nodes,
                **(RESTARTED if job.requeue else {}),
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

    def translate(self, job: Job, trace: Trace) -> Submission:
        """As for Kubernetes; a user who has a share of the machine has a queue."""
        found = super().translate(job, trace)
        assert found.request is not None
        found.request["body"]["spec"]["queue"] = queues.queue_of(job.user, trace)
        return found

    def made_waiting(self, job: Job) -> int:
        """Its PodGroup: there are no pods before the job is admitted."""
        return 1

    def preparation(self, trace: Trace) -> list[dict[str, Any]]:
        """Add the queues of users that have shares."""
        return [*super().preparation(trace), *queues.requests(trace)]

    def no_preemption(self) -> Problem | None:
        """See the actions: with enqueue, jobs that do not fit beside those that run stay outside.

        A job that is not admitted has no pods, and none that could preempt
        (pkg/scheduler/actions/preempt; plugins/proportion, AddJobEnqueueableFn).
        """
        actions = self.in_force["actions"]
        names = actions.split(", ")
        if "preempt" in names and "enqueue" not in names:
            return None
        others = [name for name in names if name not in ("enqueue", "preempt")]
        why = ", and enqueue admits no job to a full machine" * ("enqueue" in names)
        remedy = f"set actions: {', '.join([*others, 'preempt'])}, or set preempt: false"
        return Problem("actions", actions, f"its actions are {actions}{why}", remedy)

    def arguments(self, settings: Mapping[str, str]) -> dict[str, list[str]]:
        """Add the scheduling period of Volcano's scheduler, and its metrics."""
        found = super().arguments(settings)
        found["vc-scheduler"] += [
            f"--schedule-period={settings['schedulePeriod']}",
            "--enable-metrics",
        ]
        return found

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Add the scheduler's actions."""
        return super().variables(settings) | {"volcano_actions": settings["actions"]}

    def settings(self, native: Path) -> dict[str, Any]:
        """Add the scheduler's actions, where the record has them."""
        found = re.search(
            r'^actions:\s*"?([^"\n]*)', text_of(native / "volcano-scheduler.conf"), re.M
        )
        return super().settings(native) | ({"actions": found[1].strip()} if found else {})

    def limits(self, settings: Mapping[str, Any], counters: Mapping[str, float]) -> list[Limit]:
        """Add the scheduling cycle.

        With the action enqueue a job needs two cycles: one admits it, if it fits beside all jobs
        that are admitted or hold processors, the next one binds its pods, which the controller
        creates in between (pkg/scheduler/actions/enqueue; plugins/proportion, AddJobEnqueueableFn).
        """
        default = self.native_settings["schedulePeriod"].default
        written = settings.get("schedulePeriod", default)
        period = _seconds(str(settings.get("vc-scheduler --schedule-period", written)))
        found = super().limits(settings, counters)
        if not period:
            return found
        turns = 2 if "enqueue" in str(settings.get("actions", self.in_force["actions"])) else 1
        cycle = Cycle(period, turns=turns)
        words = "scheduling cycle of vc-scheduler (schedule-period)"
        return [*found, Limit(words, "schedulePeriod", None, None, (cycle,))]

    def lifts(self) -> list[Lift]:
        """Add a tenth of the scheduling period."""
        period = _seconds(self.in_force["schedulePeriod"])
        shorter = round(1000 * period / LIFT) if period else 0
        lift = Lift("cycle", {"schedulePeriod": f"{shorter}ms"})
        return [*super().lifts(), *([lift] if shorter else [])]

    def trial_problems(
        self, overrides: Mapping[str, str], seconds: float, nodes: int
    ) -> list[Problem]:
        """Refuse a period after which no trial has a second scheduling cycle."""
        written = self.merged_settings(overrides)["schedulePeriod"]
        period = _seconds(written)
        if period is None or period < seconds:
            return []
        return [
            Problem(
                "schedulePeriod",
                written,
                f"not shorter than a trial, {seconds:g} s (limits.trial), which would have no"
                " scheduling cycle",
                "write a shorter one, or raise limits.trial",
            )
        ]

    def check_programs(self, versions: Mapping[str, str]) -> None:
        """Refuse a version of Volcano that is not made for that of Kubernetes."""
        require_supported_pair(versions["kubernetes"], versions["volcano"])

    def exporters(self) -> list[Exporter]:
        """Add Volcano's scheduler, which serves its metrics over plain HTTP."""
        return [*super().exporters(), Exporter("volcano", "head", 8080)]

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        actions = self.settings(native).get("actions", "unknown")
        period = self.running(native).get("vc-scheduler", {}).get("schedule-period", "1s (default)")
        return {
            "gang": "yes: a job's pods are bound together or not at all (minAvailable)",
            "scheduling period": f"{period} between cycles of actions {actions}; a job is first"
            " admitted to its queue and gets its pods, then they are bound, in different cycles",
            "back-fill": "without reservation: any job that fits starts; the action of that name"
            " concerns only pods without requests",
            "priority": "of the trace: by PriorityClass of that value, for job and pods; within"
            " one, first come first tried",
            "preemption": f"{'on' if 'preempt' in actions else 'off'} by the actions; where it is"
            " on, only jobs of a trace that wants it preempt (preemptionPolicy)",
            "requeue": "a pod that is deleted, because its node was lost or an urgent one took its"
            " place, is made again; where the trace wants it, the whole job restarts",
            "a job is translated to": "a Volcano Job of one task with a pod for each rank, at most"
            " one on a node, in queue default or in its user's",
            **self.shared_parity(native),
            "users": "one client creates all objects; where the trace has shares of the machine, a"
            " queue for each user, weight by share (plugin proportion)",
        }
