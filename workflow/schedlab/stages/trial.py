"""One trial: restore, check, measure, run the workload, collect, discard."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from schedlab import design, processes
from schedlab.config import Cluster, TrialKey
from schedlab.errors import SchedlabError
from schedlab.invocation import campaign
from schedlab.paths import CHECKOUT, RECORD
from schedlab.plain import plain
from schedlab.results.records import RecordWriter, beside, verify_outputs, write_json
from schedlab.schedulers import Scheduler, get_scheduler
from schedlab.schedulers.translation import jobs_of
from schedlab.sources import stage_files
from schedlab.stages.collect import OUTPUT, collect
from schedlab.stages.context import Context
from schedlab.stages.faults import Injection, planned_fault
from schedlab.stages.guests import (
    emulator_pids,
    liveness,
    realised_machines,
    require_running,
    resident_mib,
)
from schedlab.stages.health import health_gate
from schedlab.stages.live import Live
from schedlab.stages.pace import decision_parent, write_paced
from schedlab.stages.progress import report_progress
from schedlab.stages.submitting import MOST_READY, most_due, submissions_at_once
from schedlab.stages.timing import HostClock, Phases
from schedlab.testbed import host_load as host
from schedlab.testbed import snapshot
from schedlab.testbed.clock import measure_offsets
from schedlab.testbed.prometheus import (
    Server,
    export_samples,
    prometheus,
    read_exporter,
    scrape_config,
    scrapes,
    snapshot_block,
    wait_for_targets,
)
from schedlab.testbed.session import Testbed, open_testbed
from schedlab.testbed.ssh import Node, connect, head_of, wait_until_reachable
from schedlab.toolchain import Toolchain
from schedlab.workloads import Trace, read_trace

STAGE = "trial"
FAILURES = (SchedlabError, OSError, ValueError, subprocess.SubprocessError)
"""What makes a trial invalid if it is raised during the measurement."""
DRIVER = "/usr/local/lib/schedlab/schedlab_driver.py"
PLAN = "/var/lib/schedlab/plan.json"
TIME_WAS_UP = 3
"""Exit status of the guest driver when it reached its time limit before all jobs ended."""
HEALTH_AFTER = 120.0
"""Time for the cluster to be healthy again, s; 1,024 nodes clean up for some 30 s, emulated."""


class Trial:
    """One repetition of one workload on one cluster.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    key : TrialKey
        What to run on what.
    bridge : str
        Run of the workflow in which it runs again beside cells added later; else empty.
    """

    def __init__(self, context: Context, key: TrialKey, bridge: str = "") -> None:
        self.context, self.key, self.id = context, key, key.id
        self.cluster: Cluster = context.experiment.cluster(key.cluster)
        self.scheduler: Scheduler = get_scheduler(self.cluster.scheduler)
        self.folder = context.trial(key.cluster, key.workload, key.repetition)
        self.configured = context.configured(key.cluster)
        machine = context.experiment.machine_name(self.cluster)
        self.trace_path = context.trace(key.workload, machine, key.repetition)
        self.conditions: dict[str, Any] = {"campaign": campaign()}
        if bridge:
            self.conditions["bridge"] = bridge
        self.reasons: list[str] = []
        self.phases, self.host_clock = Phases(), HostClock()
        self.toolchain = Toolchain.load(context.toolchain)

    def run(self) -> None:
        """Run the trial and write its record.

        A failure during the measurement, such as a guest that dies, makes the trial invalid, with
        the reason in its record. What the scheduler does to the jobs within their time limit
        (limits.trial) is the result. A testbed that cannot restore the snapshot, or an
        interruption, raises an error, and no record is written.
        """
        with self.phases.measure("verify"):
            verify_outputs(self.configured / RECORD)
            verify_outputs(beside(self.trace_path))
        record = RecordWriter(
            STAGE,
            self.id,
            CHECKOUT,
            self.context.results,
            parents={
                "configured": self.configured / RECORD,
                "trace": beside(self.trace_path),
                "toolchain": self.context.toolchain,
                **decision_parent(self.context, self.key),
            },
            inputs=stage_files("trial", scheduler=self.cluster.scheduler),
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_paced(self.context, self.key, self.trace_path, self.folder / "trace.json")
        experiment = self.context.experiment
        with (
            open_testbed(
                experiment.libvirt.uri,
                self.context.results,
                self.id,
                hugepages=self.cluster.placement.hugepages,
            ) as testbed,
            # Started before the guests, because Prometheus needs 5 s to learn of its targets.
            self._prometheus() as server,
        ):
            with self.phases.measure("restore"):
                restored = snapshot.restore(testbed, self.configured / "snapshot")
            try:
                self._measure(testbed, restored, server)
            except FAILURES as error:
                self.reasons.append(plain(error))
            self._keep_consoles(testbed)
        shutil.rmtree(self.folder / "prometheus" / "data", ignore_errors=True)
        record.write(
            self.folder / RECORD,
            outputs=list(self.folder.iterdir()),
            trial=self.context.experiment.trial_facts(self.key),
            conditions=self.conditions,
            phases=self.phases.seconds,
            verdict={"valid": not self.reasons, "reasons": self.reasons},
            tools=self.toolchain.versions("prometheus", "qemu-system-x86_64", "libvirtd"),
        )
        report_progress(self.context, self.id, self.reasons)

    def _measure(self, testbed: Testbed, restored: dict[str, Any], server: Server | None) -> None:
        names = [node["name"] for node in restored["nodes"]]
        pids = emulator_pids(names, testbed, restored["cluster"])
        key = self.context.provisioned(self.cluster) / "secrets" / "id_ed25519"
        cores = host.host_description()["cores"]
        self.conditions |= {
            "accelerator": self.context.accelerator["accelerator"],
            "host": host.host_description() | {"boot": host.host_boot()},
            "oversubscription": round(self.cluster.vcpus_total / cores, 3),
            "reset": self.cluster.reset,
            "restore_seconds": round(restored["seconds"], 3),
            "resume_skew_ns": restored["resume_skew_ns"],
            "scrape_interval": self.cluster.metrics.scrape_interval,
            "clock": {name: {} for name in names},
            "declared": {
                name: {"cpus": guest.vcpus, "memory_mib": guest.memory_mib}
                for name, guest in self.cluster.machines().items()
            },
            "limit": self.context.experiment.limits.trial,
        }
        measure = self.phases.measure
        with ExitStack() as stack:
            with measure("reach"):
                nodes = stack.enter_context(connect(testbed.scratch, restored["nodes"], key))
                alive = liveness(testbed, restored["cluster"], nodes, STAGE)
                limit = self.context.experiment.limits.boot
                wait_until_reachable(nodes, limit, STAGE, alive=alive)
            head = head_of(nodes)
            with measure("health"):
                # What is restored was healthy when it was saved; a boot takes its time.
                waits = {"timeout": limit} if self.cluster.reset == "boot" else {}
                health_gate(self.scheduler, nodes, self.cluster, STAGE, **waits)
                self.conditions["machine"] = {"start": realised_machines(nodes)}
            with measure("clock"):
                self._clock(nodes, "start")
            with measure("prepare"):
                trace = read_trace(self.folder / "trace.json")
                plan = self._plan(trace)
                head.write(PLAN, json.dumps(plan).encode())
                if server:
                    wait_for_targets(server)
                self._cost(restored["nodes"], "start")
                fault = planned_fault(trace, self.scheduler, testbed, restored["cluster"], nodes)
                if fault:
                    self.conditions["fault"] = fault.facts
            total = sum(len(jobs_of(one)) for one in plan["submissions"])
            live = Live(self.id, total, server, self.scheduler.running_jobs)
            before = host.sample(pids)
            self.conditions["start_ns"] = self.host_clock.now()
            with self._samples_kept(server):
                with measure("workload"):
                    status = self._drive(testbed, head, restored, live, fault)
                self.conditions["end_ns"] = self.host_clock.now()
                self.conditions["resident_mib"] = resident_mib(pids)
                self._host_load(before, host.sample(pids))
                if fault:
                    fault.take_back()
                    wait_until_reachable(nodes, limit, STAGE, alive=alive)
                with measure("clock"):
                    self._cost(restored["nodes"], "end")
                    self._clock(nodes, "end")
                with measure("collect"):
                    self.conditions["not_taken"] = collect(self.scheduler, nodes, self.folder)
                # Checked only after collecting, because the records of a failed driver still tell
                # when it began and ended.
                self._require_driver(head, status)
                if fault:
                    fault.require()
            if self.reasons:
                return
            # Checked last: it may run a job, which must not appear in the records of the workload.
            with measure("health"):
                self._look_again(nodes, healthy=status == 0 and not (fault and fault.lasting))

    @contextmanager
    def _samples_kept(self, server: Server | None) -> Iterator[None]:
        """Export the samples at the end, also after a failure, because they may show its cause."""
        try:
            yield
        except FAILURES as error:
            # Before the reason of an export that fails because of it.
            self.reasons.append(plain(error))
        finally:
            with self.phases.measure("export"):
                seconds = (self.host_clock.now() - self.conditions["start_ns"]) / 1e9 + 2
                self.conditions["observed_seconds"] = round(seconds, 3)
                if server:
                    self._keep_samples(server, seconds)

    def _look_again(self, nodes: dict[str, Node], *, healthy: bool) -> None:
        """Read the machines again and, if the cluster should be healthy, check that it is.

        Jobs that remain occupy the nodes that the check needs.
        """
        self.conditions["machine"]["end"] = realised_machines(nodes)
        if healthy:
            try:
                health_gate(self.scheduler, nodes, self.cluster, STAGE, HEALTH_AFTER)
                self.conditions["health"] = {"after": []}
            except SchedlabError as error:
                self.conditions["health"] = {"after": [error.message]}

    def _host_load(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        during = host.difference(before, after)
        self.conditions["host"] |= {
            "load_start": before["load"],
            "load_end": after["load"],
            "during": during,
            "steal": during["processor"]["steal"],
        }

    def _clock(self, nodes: dict[str, Node], moment: str) -> None:
        self.host_clock.require_unset(STAGE)
        for name, offset in measure_offsets(nodes).items():
            self.conditions["clock"][name][moment] = offset

    def _plan(self, trace: Trace) -> dict[str, Any]:
        scheduler = get_scheduler(self.cluster.scheduler, design.settings(self.cluster))
        submissions = [asdict(one) for one in scheduler.submissions(trace, self.id)]
        write_json(self.folder / "translations.json", {"submissions": submissions})
        return {
            "schema": "schedlab.plan/1",
            "submissions": submissions,
            "completion": scheduler.completion(),
            "prepare": scheduler.preparation(trace),
            "concurrency": submissions_at_once(submissions, self.cluster.head.memory_mib),
            "ready": min(MOST_READY, most_due(trace)),
            **scheduler.plan_extra(),
        }

    @contextmanager
    def _prometheus(self) -> Iterator[Server | None]:
        """Prometheus, which scrapes the nodes; None where monitoring is off."""
        if not self.cluster.metrics.monitoring:
            yield None
            return
        nodes = snapshot.load_manifest(self.configured / "snapshot")["nodes"]
        targets = [
            (job, node["name"], node["address"], port)
            for job, role, port in self.scheduler.exporters()
            for node in nodes
            if node["role"] == role
        ]
        config = scrape_config(targets, self.cluster.metrics.scrape_interval, self.cluster.id)
        executable = self.toolchain.path("prometheus")
        with prometheus(executable, self.folder / "prometheus", config) as server:
            yield server

    def _keep_samples(self, server: Server, seconds: float) -> None:
        self.conditions |= scrapes(server, seconds)
        export_samples(server, seconds, self.folder / "samples.json.gz")
        folder = self.folder / "prometheus"
        snapshot_block(server, folder / "data", folder)

    def _cost(self, nodes: list[dict[str, Any]], moment: str) -> None:
        """Read the daemons' cumulative processor time and memory; scrapes are separate."""
        port = self.scheduler.cost_port
        samples = {node["name"]: read_exporter(node["address"], port) for node in nodes}
        for name, cost_of in (
            ("daemon_cost", self.scheduler.daemon_cost),
            ("unit_cost", self.scheduler.unit_cost),
        ):
            found = {node: cost_of(read) for node, read in samples.items()}
            self.conditions.setdefault(name, {})[moment] = found

    def _drive(
        self,
        testbed: Testbed,
        head: Node,
        restored: Mapping[str, Any],
        live: Live,
        fault: Injection | None = None,
    ) -> int:
        """Run the guest driver; return its exit status, 0 if all jobs ended within the limit."""
        limit = self.context.experiment.limits.trial
        command = f"python3 -u {DRIVER} --plan {PLAN} --output {OUTPUT} --timeout {limit:g}"
        # Of a new folder, so what is there is another's.
        with (self.folder / "driver.log").open("x") as errors:
            process = processes.start(
                head.command(command), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        failure: list[SchedlabError] = []
        names = [node["name"] for node in restored["nodes"]]

        def watch() -> None:
            deadline = time.monotonic() + limit + 60
            while process.poll() is None:
                try:
                    require_running(testbed, restored["cluster"], names, STAGE)
                    if time.monotonic() > deadline:
                        raise SchedlabError(
                            f"the driver did not end within {limit + 60:g} s, which are "
                            "limits.trial and a minute for its records",
                            stage=STAGE,
                            node=head.name,
                        )
                except SchedlabError as error:
                    failure.append(error)
                    process.kill()
                    return
                time.sleep(1)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("{"):
                    # The driver's first line comes with its first submissions.
                    if fault:
                        fault.workload_begins()
                    print(live.line(json.loads(line)), flush=True)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            watcher.join()
            if fault:
                fault.workload_ended()
        if failure:
            raise failure[0]
        return status

    def _require_driver(self, head: Node, status: int) -> None:
        """Raise an error if the driver failed."""
        log = self.folder / "driver.log"
        if status not in (0, TIME_WAS_UP):
            raise SchedlabError(
                f"the driver ended with status {status}: {log.read_text()[-500:]}",
                stage=STAGE,
                node=head.name,
                log=log,
            )

    def _keep_consoles(self, testbed: Testbed) -> None:
        """Keep the guests' console output since the restore, if there is any."""
        for log in sorted(testbed.scratch.glob("*/*.console.log")):
            if log.stat().st_size:
                (self.folder / "console").mkdir(exist_ok=True)
                shutil.copyfile(log, self.folder / "console" / log.name)


def run_trial(context: Context, key: TrialKey, bridge: str = "") -> None:
    """Run one trial (the command ``schedlab trial``)."""
    Trial(context, key, bridge).run()
