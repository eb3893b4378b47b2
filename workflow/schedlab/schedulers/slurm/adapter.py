"""Slurm: submission by slurmrestd or sbatch, instants from slurmctld's log.

Slurm's own job records are precise to 1 s; the controller's log (LogTimeFormat=iso8601_ms) is
precise to 1 ms and costs the scheduler nothing extra, so instants come from there and only
states, exit codes and allocations from `scontrol show job`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.privacy.private_files import write_secret
from schedlab.schedulers.base import (
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
from schedlab.schedulers.slurm import submission as ways
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
    client: ClassVar[tuple[str, ...]] = ("slurmrestd",)
    other_settings: ClassVar[Setting | None] = Setting(
        "", "any other key of slurm.conf", _VALUE, _ALLOWED
    )
    native_settings: ClassVar[Mapping[str, Setting]] = {
        "submission": Setting(
            ways.API,
            "not of slurm.conf; how jobs are submitted: api, requests to slurmrestd on the head"
            " (Slurm 23.11 and later); cli, sbatch",
            f"{ways.API}|{ways.CLI}",
            f"{ways.API} or {ways.CLI}",
        ),
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
        """A request to slurmrestd, or sbatch with the script on standard input.

        A job on one node is the payload itself in the batch step; on more, the batch step starts
        one rank per node with srun. All are submitted by the one guest user; the neutral user
        stands in the comment.

        Raises
        ------
        SchedlabError
            When the job has a priority: an unprivileged user cannot raise it.
        """
        refuse_priority(job, trace)
        if self.in_force["submission"] == ways.API:
            return Submission(job=job.job, arrival=job.arrival, request=ways.request(job))
        return Submission(
            job=job.job,
            arrival=job.arrival,
            argv=ways.options(job),
            stdin=ways.script(job),
        )

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Fields of the request or options of sbatch, and the payload's seconds in the script."""
        return ways.asked(submission)

    def plan_extra(self) -> dict[str, Any]:
        """Where the driver finds slurmrestd."""
        by_api = self.in_force["submission"] == ways.API
        return {"api": ways.SERVER} if by_api else {}

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
        return {"slurm.conf": CONFIGURATION, "submission.txt": ways.RECORD}

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
        return {
            "head": ["slurmctld", "munged", "slurmrestd"],
            "compute": ["slurmd", "slurmstepd", "munged"],
        }

    def cost_units(self) -> dict[str, dict[str, list[str]]]:
        """Not slurmd's: jobs run in its control group, as Slurm's use of groups is off.

        So slurmd and slurmstepd are counted by process, which misses what a slurmstepd used after
        it was last seen: their cost is a lower bound.
        """
        return {
            "head": {
                "slurmctld": ["slurmctld"],
                "munge": ["munged"],
                "slurmrestd": ["slurmrestd"],
            },
            "compute": {"munge": ["munged"]},
        }

    def settings(self, native: Path) -> dict[str, Any]:
        """What bounds the results, as `scontrol show config` had it.

        Where that record is missing, slurm.conf's text serves, which names only what was set.
        """
        written = records.key_values(text_of(native / "slurm.conf"))
        in_force = records.key_values(text_of(native / "scontrol-config.txt")) or written
        wanted = {key.lower() for key in (*_PARITY, *self.native_settings)} | {
            key.lower() for key in written if not _PLACE.search(key)
        }
        found = {key: text for key, text in sorted(in_force.items()) if key.lower() in wanted}
        record = text_of(native / "submission.txt").strip()
        return found | ({"submission": record} if record else {})

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        return records.parity(self.settings(native)) | {
            "submission": ways.told(text_of(native / "submission.txt")),
            "costs": "slurmctld, munge and slurmrestd by systemd unit (control group); slurmd and"
            " slurmstepd by process, for jobs run in slurmd's unit: what a slurmstepd used after"
            " it was last seen is missed",
        }

    def counters(self, native: Path) -> dict[str, float]:
        """Counters of sdiag; since the controller's start, so over the health gate too."""
        return records.sdiag(text_of(native / "sdiag.txt"))

    def health(self, nodes: int) -> list[str]:
        """Jobs can be submitted, every node is idle, and a job runs over all of them."""
        return [
            ways.check(),
            # One line a node; a state such as idle* (no answer) or drained does not count.
            f'test "$(sinfo --noheader --Node --format=%T | grep -cx idle)" -eq {nodes}',
            f"srun --nodes={nodes} --ntasks-per-node=1 --time=1 --immediate=60 /bin/true",
        ]

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """The munge key."""
        write_secret(folder / "munge.key", secrets.token_bytes(128))

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Where the munge key is."""
        return {"schedlab_munge_key_file": str((folder / "munge.key").resolve())}

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Also the controller's own counters, which the collector on the head reads."""
        own = {key: text for key, text in settings.items() if key != "submission"}
        return super().variables(own) | {
            "slurm_submission": settings["submission"],
            "monitoring_counters": {
                "metric": "schedlab_slurm_sdiag",
                "command": "sdiag",
                "period": COUNTERS_PERIOD,
            },
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
