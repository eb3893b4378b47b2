"""What schedulers on Kubernetes have in common.

Jobs are submitted by the API. Instants come from the API server's audit log, which is precise to
1 us; fields of pods and Jobs are precise to 1 s only.
"""

from __future__ import annotations

import json
import shlex
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers import quota
from schedlab.schedulers.base import STAMPS, Exporter, Scheduler
from schedlab.schedulers.breaking import FaultCommands, restart_of
from schedlab.schedulers.delays import Latencies
from schedlab.schedulers.kubernetes import bounds, manifest, records
from schedlab.schedulers.kubernetes.clients import client_limit, requests
from schedlab.schedulers.kubernetes.latencies import latencies
from schedlab.schedulers.kubernetes.network import SERVICE_NETWORK
from schedlab.schedulers.kubernetes.pod import (
    MOST_PRIORITY,
    RANK_MIB,
    priority_class,
    priority_of,
)
from schedlab.schedulers.kubernetes.records import JobKind
from schedlab.schedulers.kubernetes.virtual import HEAD_MIB, costs, role_variables, told
from schedlab.schedulers.limits import LIFT, Lift, Limit
from schedlab.schedulers.rows import NativeJob, driver_span, text_of
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.translation import Request, Submission
from schedlab.workloads.fault import DRAIN, FAULTS, RESTART
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace

AUDIT_LOG = "/var/log/kubernetes/audit.log"
API = {
    "url": "https://127.0.0.1:6443",
    "certificate": "/etc/kubernetes/driver/client.crt",
    "key": "/etc/kubernetes/driver/client.key",
    "authority": "/etc/kubernetes/pki/ca.crt",
    "answer": {"id": "metadata.name", "message": ["message"]},
    # The driver chooses the names, and the API server refuses a second object of the same name.
    "repeat": True,
}
"""The API server's address on the head, and the credentials of the driver and the checks."""
HEALTH_STAMPS = "/var/lib/schedlab/health.txt"
"""Stamps of the health check's job, kept apart from those of the trial's jobs."""

_UNITS = "/etc/systemd/system"
_CLIENT = ["python3", "/usr/local/lib/schedlab/schedlab_kubernetes.py", f"--api={json.dumps(API)}"]


_COUNT = r"[1-9]\d{0,5}"


def client_settings(
    scheduler: tuple[str, int, int], controller: tuple[str, int, int]
) -> dict[str, Setting]:
    """Settings of the clients of the API server, and the verbosity of all components.

    Parameters
    ----------
    scheduler, controller : tuple of str, int and int
        Program, and its built-in defaults of requests per second and of requests at once.
    """
    found = {}
    for kind, (program, qps, burst) in (("scheduler", scheduler), ("controller", controller)):
        found[f"{kind}Qps"] = Setting(
            str(qps),
            f"requests per second of {program} to the API server",
            rf"{_COUNT}(\.\d{{1,6}})?",
            "a number from 1 to below 1,000,000, such as 50",
        )
        found[f"{kind}Burst"] = Setting(
            str(burst),
            f"requests at once of {program} to the API server",
            _COUNT,
            "a whole number from 1 to 999,999",
        )
    found["logLevel"] = Setting(
        "2", "verbosity of the control plane's processes", r"\d|10", "a level from 0 to 10"
    )
    return found | quota.setting(scheduler[0])


class KubernetesBase(Scheduler):
    """What schedulers on Kubernetes have in common."""

    image: ClassVar[str] = "kubernetes"
    priorities: ClassVar[tuple[int, int]] = (-MOST_PRIORITY, MOST_PRIORITY)
    requeues: ClassVar[bool] = True
    faults: ClassVar[frozenset[str]] = FAULTS
    virtual_faults: ClassVar[frozenset[str]] = frozenset({RESTART, DRAIN})
    # Pods on a lost node stay Terminating until its kubelet confirms their end, and the controllers
    # of Jobs wait for that, with requeue and without.
    ends_lost: ClassVar[bool] = False
    cost_port: ClassVar[int] = 9101
    kind: ClassVar[JobKind]
    """Kind of the Jobs that this scheduler is given."""
    networks: ClassVar[Mapping[str, str]] = {SERVICE_NETWORK: "Kubernetes' services"}
    version: ClassVar[str]
    """Version of their API group."""
    index: ClassVar[str]
    """Environment variable with a pod's rank, which the kubelet puts into the arguments."""
    controllers: ClassVar[tuple[str, ...]]
    """Names of the scheduler's and the controller's programs."""
    metrics: ClassVar[str]
    """URL of the scheduler's metrics on the head."""
    metric_prefixes: ClassVar[tuple[str, ...]] = ("scheduler_",)
    """Prefixes of the names of metrics that are recorded as the scheduler's counters."""
    units: ClassVar[tuple[str, ...]] = ("etcd", "kube-apiserver", "kube-controller-manager")
    """Units that the role kubernetes starts on the head."""
    versioned: ClassVar[tuple[str, ...]] = ()
    """Programs, beyond those of every control plane, whose version is recorded."""
    versions: ClassVar[Mapping[str, str]] = {
        "etcd": r"etcd Version:\s*(\S+)",
        "crun": r"crun version\s*(\S+)",
    }
    """Program -> regular expression that finds its version in the record of versions."""
    configuration: ClassVar[Mapping[str, str]] = {}
    # Measured: 630 MiB in use on an idle head with one node; below 1 GiB no page cache is left.
    memory_floors: ClassVar[Mapping[str, int]] = {"head": 1024}
    virtual_node_mib: ClassVar[float | None] = 0.25
    virtual_head_mib: ClassVar[tuple[int, float]] = HEAD_MIB
    # So that as many pods fit a node as it has processors.
    virtual_shape_mib: ClassVar[tuple[int, int]] = (RANK_MIB, RANK_MIB)
    virtual_daemon: ClassVar[str] = "kwok"
    virtual_delays: ClassVar[Latencies | None] = staticmethod(latencies)

    @abstractmethod
    def body(self, name: str, job: Job, stamps: str = STAMPS) -> dict[str, Any]:
        """Return the API object that is created for a job."""

    def made_waiting(self, job: Job) -> int:
        """Number of objects that the controller creates for a job that waits, at least."""
        return job.nodes

    def cannot(self, trace: Trace) -> Iterator[Problem]:
        """Also more waiting jobs than the scheduler can know of in time."""
        yield from super().cannot(trace)
        yield from bounds.too_many_waiting(trace, self.made_waiting, self.in_force)

    def translate(self, job: Job, trace: Trace) -> Submission:
        """One request that creates one object, whose name is the native id."""
        path = f"/apis/{self.kind.group}/{self.version}/namespaces/{records.NAMESPACE}/jobs"
        request = {"method": "POST", "path": path, "body": self.body(f"job{job.job}", job)}
        return Submission(job=job.job, arrival=job.arrival, request=request)

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Return the number of pods, and what each asks for, from the object in the request."""
        spec = submission["request"]["body"]["spec"]
        task = spec["tasks"][0] if "tasks" in spec else spec
        container = task["template"]["spec"]["containers"][0]
        cpus = records.processors(container["resources"]["requests"]["cpu"])
        nodes = task.get("replicas") or task["completions"]
        pod = task["template"]["spec"]
        return Request(
            int(nodes),
            int(cpus),
            float(container["args"][3]),
            user=task["template"]["metadata"]["annotations"]["schedlab/user"],
            priority=priority_of(pod.get("priorityClassName")),
            limit=float(pod["activeDeadlineSeconds"]),
            # Of a Job by gangs, or of one whose pods come one by one.
            requeue="policies" in spec or "podFailurePolicy" in spec,
        )

    def preparation(self, trace: Trace) -> list[dict[str, Any]]:
        """Return the requests that create a class for each priority of the trace but 0."""
        path = "/apis/scheduling.k8s.io/v1/priorityclasses"
        levels = sorted({job.priority for job in trace.jobs if job.priority})
        preempt = bool(trace.scale.get("preempt"))
        bodies = [priority_class(level, preempt=preempt) for level in levels]
        return [{"method": "POST", "path": path, "body": body} for body in bodies]

    def fault_commands(self, kind: str, node: str) -> FaultCommands:
        """A restart is that of the scheduler and of the controller; a drained node is cordoned."""
        if kind == RESTART:
            return restart_of(self.controllers, self.controllers)
        ask = [*_CLIENT, "schedulable", node]
        return FaultCommands(shlex.join([*ask, "false"]), shlex.join([*ask, "true"]))

    def plan_extra(self) -> dict[str, Any]:
        """Return the API's address and the driver's credentials."""
        return {"api": API}

    def completion(self) -> dict[str, str]:
        """Return the audit log, and the form of the updates of a Job's status that end the Job."""
        return {"log": AUDIT_LOG, "pattern": records.ended_pattern(self.kind)}

    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """Jobs of the audit log and of the API's objects."""
        ranks = {
            f"job{entry['job']}": self.read_back(entry).nodes
            for entry in translations
            if entry.get("request")
        }
        audit, objects = text_of(native / "audit.log"), text_of(native / "objects.json")
        return records.jobs(audit, objects, self.kind, ranks)

    def native_commands(self) -> dict[str, list[str]]:
        """Record file name -> command on the head."""
        get = [*_CLIENT, "get"]
        jobs = f"/apis/{self.kind.group}/{self.version}/namespaces/{records.NAMESPACE}/jobs"
        pods = f"/api/v1/namespaces/{records.NAMESPACE}/pods"
        # crun asks for a folder of its user, of whom the driver's has none.
        versions = ["etcd --version", "XDG_RUNTIME_DIR=/tmp crun --version"]
        versions += [f"{name} --version" for name in self.versioned]
        return {
            "objects.json": [*get, "/api/v1/nodes", pods, jobs],
            "version.json": [*get, "/version"],
            "processes.txt": ["ps", "-e", "-ww", "-o", "args="],
            "versions.txt": ["sh", "-c", " && ".join(versions)],
            "apiserver-metrics.txt": [*get, "/metrics"],
            "scheduler-metrics.txt": [*get, self.metrics],
            **quota.command(self.controllers[0]),
        }

    def native_files(self) -> dict[str, str]:
        """Record file name -> file on the head."""
        return {"audit.log": AUDIT_LOG, **self.configuration_files()}

    def configuration_files(self) -> dict[str, str]:
        """Units and arguments of the control plane, and the audit policy."""
        units = ["kube-apiserver", "kube-controller-manager", *self.controllers]
        return {
            **{f"{name}.service": f"{_UNITS}/{name}.service" for name in dict.fromkeys(units)},
            "etcd.env": "/etc/default/etcd",
            "arguments.env": "/etc/kubernetes/arguments.env",
            "audit-policy.yaml": "/etc/kubernetes/audit-policy.yaml",
            **self.configuration,
        }

    def exporters(self) -> list[Exporter]:
        """node_exporter and the project's own collector on all nodes."""
        return [
            Exporter(name, role, port)
            for name, port in (("node", 9100), ("schedlab", self.cost_port))
            for role in ("head", "compute")
        ]

    def daemons(self) -> dict[str, list[str]]:
        """Processes of the control plane; on compute nodes those that start and watch pods.

        On a carrier KWOK plays the kubelets of its virtual nodes.
        """
        plane = ["etcd", "kube-apiserver", "kube-controller-manager"]
        return {
            "head": list(dict.fromkeys([*plane, *self.controllers])),
            "compute": ["kubelet", "containerd", "containerd-shim-runc-v2", "kwok"],
        }

    def cost_units(self) -> dict[str, dict[str, list[str]]]:
        """Return each daemon's unit; containerd's unit holds its shims, but no unit holds pods."""
        return {
            "head": {name: [name] for name in self.daemons()["head"]},
            "compute": {
                "kubelet": ["kubelet"],
                "containerd": ["containerd", "containerd-shim-runc-v2"],
                "kwok": ["kwok"],
            },
        }

    def running(self, native: Path) -> dict[str, dict[str, str]]:
        """Flags of the control plane's processes as they ran."""
        return manifest.flags(text_of(native / "processes.txt"), self.daemons()["head"])

    def settings(self, native: Path) -> dict[str, Any]:
        """Flags of the running processes and versions."""
        names = ("version.json", "versions.txt", "objects.json", "etcd.env")
        texts = (text_of(native / name) for name in names)
        found = manifest.settings(self.running(native), self.versions, *texts)
        return found | quota.in_force(native)

    def shared_parity(self, native: Path) -> dict[str, str]:
        """Rows of the parity manifest that are the same for all of them."""
        running = self.running(native)
        daemons = told(text_of(native / "objects.json"))
        mode = running.get("kube-apiserver", {}).get("audit-log-mode", "blocking")
        return {
            "accounting": f"none; audit log of the API server ({mode})",
            "client limits": manifest.client_limits(running, self.client_defaults())
            + f"; requests {'limited' if self._fair(running) else 'not limited'} by the API server",
            "submission": "by the API, one request a job over kept connections; further ones are"
            " opened when all are in use",
            "costs": costs(daemons),
            "users": "one client creates all objects; annotations name the trace's user",
            "dependencies": "none: a trace with dependencies is refused",
            "arrays": "none: one Job for each job, as the ends of an Indexed Job's pods are not"
            " known one by one",
            "time limit": "of each pod, in whole minutes, rounded up; from when the kubelet has it",
            "node daemons": daemons,
            "logging level": manifest.log_levels(running),
        }

    def client_defaults(self) -> dict[str, tuple[str, str]]:
        """Return scheduler and controller -> QPS and burst that apply when no flag sets them."""
        default = {key: setting.default for key, setting in self.native_settings.items()}
        return {
            name: (default[f"{kind}Qps"], default[f"{kind}Burst"])
            for name, kind in zip(self.controllers, ("scheduler", "controller"), strict=True)
        }

    def limits(self, settings: Mapping[str, Any], counters: Mapping[str, float]) -> list[Limit]:
        """The scheduler's quota; requests per second of both clients, and those that were counted.

        The audit log has no reads and no events, so the count is a lower bound.
        """
        defaults = self.client_defaults()
        found = [
            client_limit(program, kind, settings, defaults[program][0], counters)
            for program, kind in zip(self.controllers, ("scheduler", "controller"), strict=True)
        ]
        return [*found, *quota.limits(self.controllers[0], self.controllers[0], settings)]

    def lifts(self) -> list[Lift]:
        """Ten times the requests per second, and at once, of both clients; a larger quota."""
        most = 999_999
        wanted = {
            f"{kind}{word}": str(min(most, round(LIFT * float(self.in_force[f"{kind}{word}"]))))
            for kind in ("scheduler", "controller")
            for word in ("Qps", "Burst")
        }
        return [Lift("requests", wanted), *quota.lifts(self.in_force)]

    @staticmethod
    def _fair(running: Mapping[str, Mapping[str, str]]) -> bool:
        options = running.get("kube-apiserver", {})
        return options.get("enable-priority-and-fairness", "true") != "false"

    def counters(self, native: Path) -> dict[str, float]:
        """Count requests in the audit log, and add the scheduler's metrics; both since its start.

        So both include the health gate's job. Those of each clientset are counted while the driver
        ran.
        """
        text = text_of(native / "scheduler-metrics.txt")
        server = text_of(native / "apiserver-metrics.txt")
        return {
            **requests(text_of(native / "audit.log"), driver_span(native)),
            **manifest.metrics(text, self.metric_prefixes, ""),
            **manifest.metrics(server, ("apiserver_request_total",), ""),
        }

    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """Wait for every node to be ready, run a job, and delete its objects."""
        job = Job(job=0, arrival=0.0, nodes=wide, cpus=1, runtime=0.0, walltime=600.0)
        body = json.dumps(self.body("health", job, HEALTH_STAMPS))
        options = [f"--nodes={nodes}", f"--job={body}", f"--delay={delay:g}"]
        return [shlex.join([*_CLIENT, "health", *options])]

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Arguments and units of the components, and the processes whose cost is measured."""
        return {
            "kubernetes_arguments": self.arguments(settings),
            "kubernetes_units": {"head": list(self.units), "compute": ["containerd", "kubelet"]},
            "kubernetes_job_group": self.kind.group,
            **quota.variables(self.controllers[0], settings),
            **self.cost_variables(),
        }

    def virtual_variables(
        self, virtual: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give KWOK on the carriers their nodes, in place of kubelets."""
        return {
            **role_variables(virtual, own["kubernetes_arguments"], API),
            "kubernetes_units": {**own["kubernetes_units"], "compute": []},
        }

    def arguments(self, settings: Mapping[str, str]) -> dict[str, list[str]]:
        """Command line arguments that carry an experiment's settings to each component."""
        level = [f"--v={settings['logLevel']}"]
        names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
        found = {name: list(level) for name in (*names, *self.controllers)}
        for name, kind in zip(self.controllers, ("scheduler", "controller"), strict=True):
            found[name] += [
                f"--kube-api-qps={settings[f'{kind}Qps']}",
                f"--kube-api-burst={settings[f'{kind}Burst']}",
            ]
        return found

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """Certificates and access files, an archive for each node."""
        # Imported here because the cryptographic library is slow to import and few stages need it.
        from schedlab.schedulers.kubernetes.pki import write_credentials

        write_credentials(folder, nodes)

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Tell the role where the archives are."""
        return {"schedlab_credentials_directory": str(folder.resolve())}
