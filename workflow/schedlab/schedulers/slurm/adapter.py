"""Slurm: submission by sbatch, instants from slurmctld's log.

Slurm's own job records are precise to 1 s; the controller's log (LogTimeFormat=iso8601_ms) is
precise to 1 ms and costs the scheduler nothing extra, so instants come from there and only
states, exit codes and allocations from `scontrol show job`.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers.base import (
    PAYLOAD,
    STAMPS,
    Exporter,
    Request,
    Scheduler,
    Submission,
    refuse_priority,
)
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import assemble, driver_rows, text_of
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.slurm import records
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace

LOG = "/var/log/slurm/slurmctld.log"
CONFIGURATION = "/etc/slurm/slurm.conf"
COUNTERS_PERIOD = 5
"""s between two readings of sdiag by the collector: each costs a process and a remote call."""

# What the role writes, and what this adapter depends on: not for an experiment to change.
_RESERVED = (
    "AuthType",
    "ClusterName",
    "CredType",
    "LogTimeFormat",
    "NodeName",
    "PartitionName",
    "SlurmUser",
    "SlurmctldDebug",
    "SlurmctldHost",
    "SlurmctldLogFile",
    "SlurmdLogFile",
    "SlurmdSpoolDir",
    "StateSaveLocation",
)

# What Slurm's parser takes as one value: it strips comments and backslashes, quoted or not, and
# reads what follows a blank as the line's next key.
_VALUE = r'[^\s"#\\]+|"[^"#\\]+"'
_ALLOWED = "one value without #, quote or backslash; one with blanks in double quotes"

# Where things are: not what bounds a result.
_PLACE = re.compile(r"(File|Dir|Location|Port|Host|Name|User|Addr|Key)$")

_PARITY = (
    "SLURM_VERSION",
    "SchedulerType",
    "SchedulerTimeSlice",
    "SelectType",
    "SelectTypeParameters",
    "PriorityType",
    "PreemptType",
    "JobAcctGatherType",
    "ProctrackType",
    "TaskPlugin",
    "AccountingStorageType",
    "LaunchParameters",
    "SlurmctldParameters",
    "SlurmctldDebug",
    "LogTimeFormat",
)


@register
class Slurm(Scheduler):
    """Slurm 24.11 (Debian trixie)."""

    name: ClassVar[str] = "slurm"
    image: ClassVar[str] = "slurm"
    roles: ClassVar[tuple[str, ...]] = ("common", "slurm", "monitoring")
    cost_port: ClassVar[int] = 9101
    other_settings: ClassVar[Setting | None] = Setting(
        "", "any other key of slurm.conf", _VALUE, _ALLOWED
    )
    native_settings: ClassVar[Mapping[str, Setting]] = {
        "AccountingStorageType": Setting(
            "accounting_storage/none", "plugin that stores accounting records"
        ),
        "JobAcctGatherType": Setting("jobacct_gather/none", "plugin that samples what jobs use"),
        "JobCompType": Setting("jobcomp/none", "plugin that stores a record of finished jobs"),
        # The 10 s of high-throughput guides would lose jobs before their records are collected.
        "MinJobAge": Setting(
            "3600",
            "s that a finished job stays known: longer than a trial, whose records are taken at its"
            " end",
            r"\d+",
            "a whole number",
        ),
        "MpiDefault": Setting("none", "default MPI plugin"),
        "ProctrackType": Setting(
            "proctrack/linuxproc",
            "plugin that finds a job's processes: by descent, as guests are single-purpose",
        ),
        "TaskPlugin": Setting("task/none", "plugin that binds tasks to processors"),
        # A node that was away for the time of a snapshot is used again at once; a snapshot may
        # lie between a question and its answer.
        "ReturnToService": Setting(
            "2", "when a node that was down is used again: 2, at once", "[012]", "one of 0, 1, 2"
        ),
        "MessageTimeout": Setting(
            "60", "s to wait for an answer; a snapshot may lie before it", r"\d+", "a whole number"
        ),
        "SlurmdTimeout": Setting(
            "300", "s without an answer after which a node is down", r"\d+", "a whole number"
        ),
        "SlurmdDebug": Setting("info", "verbosity of slurmd's log"),
        "SchedulerParameters": Setting(
            "batch_sched_delay=1,sched_min_interval=100000,bf_interval=30,bf_continue,"
            "sched_interval=1,default_queue_depth=500,partition_job_depth=500",
            "periods and depths of scheduling, set for high throughput",
        ),
        "SchedulerType": Setting("sched/backfill", "scheduling plugin"),
        "SelectType": Setting("select/cons_tres", "plugin that allocates parts of nodes"),
        "SelectTypeParameters": Setting("CR_Core", "what is allocated: processor cores"),
    }

    def translate(self, job: Job, trace: Trace) -> Submission:
        """`sbatch` with the script on standard input.

        A job on one node is the payload itself in the batch step; on more, the batch step starts
        one rank per node with srun. All are submitted by the one guest user; the neutral user
        stands in the comment.

        Raises
        ------
        SchedlabError
            When the job has a priority: an unprivileged user cannot raise it.
        """
        refuse_priority(job, trace)
        payload = f"exec {PAYLOAD} {STAMPS} {job.job}"
        end = f"{job.runtime:.6f} sleep"
        if job.nodes == 1:
            command = f"{payload} 0 {end}"
        else:
            # srun does not take the processors per task over from sbatch in all versions.
            command = (
                f"exec srun --nodes={job.nodes} --ntasks-per-node=1 --cpus-per-task={job.cpus}"
                f" /bin/sh -c '{payload} \"$SLURM_PROCID\" {end}'"
            )
        return Submission(
            job=job.job,
            arrival=job.arrival,
            argv=[
                "sbatch",
                "--parsable",
                f"--job-name=job{job.job}",
                f"--nodes={job.nodes}",
                "--ntasks-per-node=1",
                f"--cpus-per-task={job.cpus}",
                # Slurm counts limits in minutes; what it would round is rounded here, in sight.
                f"--time={math.ceil(job.walltime / 60)}",
                # A job that is run again would hide the failure and stamp its ranks twice.
                "--no-requeue",
                "--input=/dev/null",
                "--output=/dev/null",
                "--error=/dev/null",
                "--chdir=/tmp",
                f"--comment=user={job.user}",
            ],
            stdin=f"#!/bin/sh\n{command}\n",
        )

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Options of sbatch, and the payload's seconds in the script."""
        options = dict(re.findall(r"--([a-z-]+)=(\S+)", " ".join(submission["argv"])))
        seconds = re.findall(r"(\S+) sleep", submission["stdin"])
        return Request(int(options["nodes"]), int(options["cpus-per-task"]), float(seconds[-1]))

    def completion(self) -> dict[str, str]:
        """Lines of the controller's log that end a job, however it ended."""
        return {"log": LOG, "pattern": records.ENDED}

    def collect(
        self,
        native: Path,
        stamps: Sequence[Mapping[str, Any]],
        translations: Sequence[Mapping[str, Any]],
        submissions: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        """Canonical rows; see `Scheduler.collect`."""
        driver = driver_rows(native) if submissions is None else submissions
        known = records.jobs(
            text_of(native / "slurmctld.log"), text_of(native / "scontrol-jobs.txt")
        )
        return assemble(translations, driver, stamps, known)

    def native_commands(self) -> dict[str, list[str]]:
        """Record file name -> command on the head."""
        return {
            "scontrol-jobs.txt": ["scontrol", "show", "job", "--oneliner"],
            "scontrol-nodes.txt": ["scontrol", "show", "node", "--oneliner"],
            "scontrol-config.txt": ["scontrol", "show", "config"],
            "sdiag.txt": ["sdiag"],
            "squeue.txt": ["squeue", "--states=all"],
        }

    def native_files(self) -> dict[str, str]:
        """Record file name -> file on the head."""
        return {"slurmctld.log": LOG, **self.configuration_files()}

    def configuration_files(self) -> dict[str, str]:
        """Rendered configuration on the head."""
        return {"slurm.conf": CONFIGURATION}

    def exporters(self) -> list[Exporter]:
        """node_exporter on all nodes, the project's own collector on all nodes."""
        return [
            Exporter("node", "head", 9100),
            Exporter("node", "compute", 9100),
            Exporter("schedlab", "head", self.cost_port),
            Exporter("schedlab", "compute", self.cost_port),
        ]

    def daemons(self) -> dict[str, list[str]]:
        """Processes of Slurm; munged authenticates every message."""
        return {"head": ["slurmctld", "munged"], "compute": ["slurmd", "slurmstepd", "munged"]}

    def settings(self, native: Path) -> dict[str, Any]:
        """What bounds the results, as `scontrol show config` had it.

        Where that record is missing, slurm.conf's text serves, which names only what was set.
        """
        written = records.key_values(text_of(native / "slurm.conf"))
        in_force = records.key_values(text_of(native / "scontrol-config.txt")) or written
        wanted = {key.lower() for key in (*_PARITY, *self.native_settings)} | {
            key.lower() for key in written if not _PLACE.search(key)
        }
        return {key: text for key, text in sorted(in_force.items()) if key.lower() in wanted}

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        return records.parity(self.settings(native))

    def counters(self, native: Path) -> dict[str, float]:
        """Counters of sdiag; since the controller's start, so over the health gate too."""
        return records.sdiag(text_of(native / "sdiag.txt"))

    def health(self, nodes: int) -> list[str]:
        """Every node idle, and a job over all of them."""
        return [
            # One line a node; a state such as idle* (no answer) or drained does not count.
            f'test "$(sinfo --noheader --Node --format=%T | grep -cx idle)" -eq {nodes}',
            f"srun --nodes={nodes} --ntasks-per-node=1 --time=1 --immediate=60 /bin/true",
        ]

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """The munge key."""
        path = folder / "munge.key"
        path.write_bytes(secrets.token_bytes(128))
        path.chmod(0o600)

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Where the munge key is."""
        return {"schedlab_munge_key_file": str((folder / "munge.key").resolve())}

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Also the controller's own counters, which the collector on the head reads."""
        return super().variables(settings) | {
            "monitoring_counters": {
                "metric": "schedlab_slurm_sdiag",
                "command": "sdiag",
                "period": COUNTERS_PERIOD,
            }
        }

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """Also keys that the role and this adapter need as they are."""
        reserved = {key.lower() for key in _RESERVED}
        free = {key: text for key, text in overrides.items() if key.lower() not in reserved}
        return [
            Problem(
                key,
                overrides[key],
                "set by the workflow itself, which depends on it",
                "remove it; any other key of slurm.conf may be set",
            )
            for key in overrides
            if key not in free
        ] + super().settings_problems(free)
