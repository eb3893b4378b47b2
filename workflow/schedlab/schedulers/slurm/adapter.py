"""Slurm: submission by slurmrestd or sbatch, instants from slurmctld's log.

Slurm's own job records are precise to 1 s; the controller's log (LogTimeFormat=iso8601_ms) is
precise to 1 ms and costs the scheduler nothing extra. So instants come from the log, and only
states, exit codes and allocations come from `scontrol show job`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.privacy.private_files import write_secret
from schedlab.schedulers import quota
from schedlab.schedulers.base import Exporter, Scheduler
from schedlab.schedulers.breaking import FaultCommands
from schedlab.schedulers.limits import Lift, Limit
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import NativeJob, text_of
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.slurm import bounds, breaking, cycles, records, together
from schedlab.schedulers.slurm import submission as ways
from schedlab.schedulers.slurm.keys import (
    NOT_OF_SLURM,
    UNLISTED,
    allowed,
    key_problems,
    value_problems,
    version_problems,
)
from schedlab.schedulers.slurm.refused import refused
from schedlab.schedulers.slurm.releases import release_of
from schedlab.schedulers.translation import Request, Submission
from schedlab.workloads.fault import DRAIN, FAULTS, RESTART
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace

LOG = "/var/log/slurm/slurmctld.log"
CONFIGURATION = "/etc/slurm/slurm.conf"
COUNTERS_PERIOD = 5
"""Seconds between two readings of sdiag; each reading costs a process and a remote call."""

# Slurm's parser strips comments and backslashes, even within quotes, and reads the text after a
# blank as the next key of the line. This pattern allows only what the parser reads as one value.
_VALUE = r'[^\s"#\\]+|"[^"#\\]+"'
_ALLOWED = "one value without #, quote or backslash; one with blanks in double quotes"


def _setting(key: str, default: str, meaning: str) -> tuple[str, Setting]:
    """Key of slurm.conf; `keys.txt` has the form of its value."""
    return key, Setting(default, meaning, _VALUE, allowed(key))


# Keys that only say where something is; they do not bound a result.
_PLACE = re.compile(r"(File|Dir|Location|Port|Host|Name|User|Addr|Key)$")

_PARITY = (
    "SLURM_VERSION",
    "SchedulerType",
    "SchedulerTimeSlice",
    "SelectType",
    "SelectTypeParameters",
    "PriorityType",
    "PreemptType",
    "PreemptMode",
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
    """Slurm, from 22.05 on."""

    name: ClassVar[str] = "slurm"
    image: ClassVar[str] = "slurm"
    roles: ClassVar[tuple[str, ...]] = ("common", "slurm", "monitoring")
    cost_port: ClassVar[int] = 9101
    # Measured with 24.11 and 512 nodes on a carrier: 3.7 MiB of a slurmd, with the kernel's part of
    # its process. With a job on nearly each the kernel ended processes of a carrier with 5.3 MiB
    # for each: slurmstepd, the script's shell and the payload take some 4 MiB.
    virtual_node_mib: ClassVar[float | None] = 8.0
    virtual_job_mib: ClassVar[float] = 4.0
    # A job on several nodes has a batch step, with a slurmstepd of its own and srun, beside the
    # step of its ranks. What srun takes is not measured, and not counted.
    virtual_batch_mib: ClassVar[float] = 4.0
    # Measured with 1,024 nodes: the head used 318 MiB, and 478 MiB with 1,000 jobs; slurmctld 28
    # and 73 MiB of these.
    virtual_head_mib: ClassVar[tuple[int, float]] = (512, 0.07)
    # A port each, from 10000 on (role slurm); from 15000 on any connection may have it (role
    # common), and then a daemon does not start.
    virtual_most_per_carrier: ClassVar[int | None] = 5000
    # slurm.conf has four fifths of it (role slurm), in whole MiB, of which there must be one.
    virtual_shape_mib: ClassVar[tuple[int, int]] = (2, 0)
    virtual_daemon: ClassVar[str] = "slurmd"
    virtual_daemon_each: ClassVar[bool] = True
    client: ClassVar[tuple[str, ...]] = ("slurmrestd",)
    priorities: ClassVar[tuple[int, int]] = (min(ways.PARTITIONS), max(ways.PARTITIONS))
    dependencies: ClassVar[bool] = True
    arrays: ClassVar[bool] = True
    requeues: ClassVar[bool] = True
    faults: ClassVar[frozenset[str]] = FAULTS
    virtual_faults: ClassVar[frozenset[str]] = frozenset({RESTART, DRAIN})
    running_jobs: ClassVar[str] = 'schedlab_slurm_sdiag{counter="jobs_running"}'
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
        **quota.setting("slurmctld"),
    } | dict(
        (
            _setting(
                "AccountingStorageType",
                "accounting_storage/none",
                "plugin that stores accounting records",
            ),
            _setting(
                "JobAcctGatherType", "jobacct_gather/none", "plugin that samples what jobs use"
            ),
            _setting("JobCompType", "jobcomp/none", "plugin that stores a record of finished jobs"),
            # Guides for high throughput recommend 10 s; then Slurm would forget jobs before the
            # trial's end, when their records are collected.
            _setting(
                bounds.AGE,
                bounds.A_YEAR,
                "s that a finished job stays known; it must be"
                f" {bounds.TAKING} s longer than `limits.trial`, as records are taken at the end",
            ),
            _setting("MpiDefault", "none", "default MPI plugin"),
            # proctrack/linuxproc reads /proc of every process for every job. That is a quarter of a
            # launch on a carrier of 500 slurmd (docs/scale.md).
            _setting(
                "ProctrackType",
                "proctrack/pgid",
                "plugin that finds a job's processes: by process group, which no job here leaves",
            ),
            _setting("TaskPlugin", "task/none", "plugins that bind tasks to processors"),
            # A node does not answer while a snapshot is taken or restored. It must be used again at
            # once afterwards, and a message must wait that long for its answer.
            _setting("ReturnToService", "2", "when a node that was down is used again: 2, at once"),
            _setting("MessageTimeout", "60", "s to wait for an answer; a snapshot may delay it"),
            _setting("BatchStartTimeout", "600", "s until a job that does not start is missing"),
            _setting("SlurmdTimeout", "300", "s without an answer after which a node is down"),
            _setting("SlurmdDebug", "info", "verbosity of slurmd's log"),
            _setting(
                "SchedulerParameters",
                "batch_sched_delay=1,sched_min_interval=100000,bf_interval=30,bf_continue,"
                "sched_interval=1,default_queue_depth=500,partition_job_depth=500",
                "periods and depths of scheduling, set for high throughput",
            ),
            _setting("SchedulerType", "sched/backfill", "scheduling plugin"),
            _setting("SelectType", "select/cons_tres", "plugin that allocates parts of nodes"),
            _setting("SelectTypeParameters", "CR_Core", "what is allocated: processor cores"),
        )
    )

    def translate(self, job: Job, trace: Trace) -> Submission:
        """Return a request to slurmrestd, or sbatch with the script on standard input.

        A job on one node runs the payload itself in the batch step. On more nodes, the batch step
        starts one rank on each node with srun. One guest user submits all jobs; the comment names
        the trace's user, and the partition stands for the priority.
        """
        return self._submission(job, 1)

    def translate_array(self, jobs: Sequence[Job], trace: Trace) -> Submission:
        """Return one job array; the script of a task has the number of its job."""
        return self._submission(jobs[0], len(jobs))

    def _submission(self, job: Job, tasks: int) -> Submission:
        if self.in_force["submission"] == ways.API:
            return Submission(job=job.job, arrival=job.arrival, request=ways.request(job, tasks))
        return Submission(
            job=job.job,
            arrival=job.arrival,
            argv=ways.options(job, tasks),
            stdin=ways.script(job),
        )

    def cannot(self, trace: Trace) -> Iterator[Problem]:
        """Also an array, or jobs at one time, that are more than Slurm takes."""
        yield from super().cannot(trace)
        written = {key.lower(): text for key, text in self.in_force.items()}
        yield from bounds.too_many(trace, written)
        yield from bounds.too_large_an_array(trace, written)

    def no_preemption(self) -> Problem | None:
        """See PreemptType and PreemptMode."""
        return breaking.no_preemption(self.in_force)

    def fault_commands(self, kind: str, node: str) -> FaultCommands:
        """A restart is that of slurmctld."""
        return breaking.commands(kind, node)

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Read the request's fields or sbatch's options, and the payload's time in the script."""
        return ways.asked(submission)

    def plan_extra(self) -> dict[str, Any]:
        """Return slurmrestd's address for the driver."""
        by_api = self.in_force["submission"] == ways.API
        return {"api": ways.SERVER} if by_api else {}

    def completion(self) -> dict[str, str]:
        """Return the controller's log, and the form of the lines that end a job for any reason."""
        return {"log": LOG, "pattern": records.ENDED}

    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """Jobs of the controller's log and of scontrol."""
        log, listed = native / "slurmctld.log", native / "scontrol-jobs.txt"
        return records.jobs(text_of(log), text_of(listed))

    def native_commands(self) -> dict[str, list[str]]:
        """Record file name -> command on the head."""
        return {
            "scontrol-jobs.txt": ["scontrol", "show", "job", "--oneliner"],
            "scontrol-nodes.txt": ["scontrol", "show", "node", "--oneliner"],
            "scontrol-config.txt": ["scontrol", "show", "config"],
            "sdiag.txt": ["sdiag"],
            "squeue.txt": ["squeue", "--states=all"],
            **quota.command("slurmctld"),
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
        """Return the units of the head's daemons, not slurmd's.

        Jobs run in slurmd's control group, because Slurm's own use of control groups is off. So
        slurmd and slurmstepd are counted by process. That misses what a slurmstepd used after it
        was last seen, so their cost is a lower bound.
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
        """Return the settings that bound the results, from `scontrol show config`.

        If that record is missing, they come from slurm.conf, which has no defaults.
        """
        written = records.key_values(text_of(native / "slurm.conf"))
        in_force = records.key_values(text_of(native / "scontrol-config.txt")) or written
        wanted = {key.lower() for key in (*_PARITY, *self.native_settings)} | {
            key.lower() for key in written if not _PLACE.search(key)
        }
        found = {key: text for key, text in sorted(in_force.items()) if key.lower() in wanted}
        record = text_of(native / "submission.txt").strip()
        return found | ({"submission": record} if record else {}) | quota.in_force(native)

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        partitions = ", ".join(f"{level} {name}" for level, name in ways.PARTITIONS.items())
        in_force = self.settings(native)
        rows = records.parity(in_force)
        return rows | {
            "users": "one guest user submits all jobs; a comment names the trace's user",
            "priority": f"of the trace: by partition, whose PriorityTier rises ({partitions});"
            f" within one: {rows['priority']}",
            "dependencies": "afterany: after the end of the other jobs, however they end",
            "arrays": "one job array",
            "time limit": "in whole minutes, rounded up; from the start of the job",
            "requeue": "as the trace says (sbatch --requeue, --no-requeue)",
            "submission": ways.told(text_of(native / "submission.txt")),
            "costs": "slurmctld, munge and slurmrestd by systemd unit (control group); slurmd and"
            " slurmstepd by process, because jobs run in slurmd's unit; this misses what a"
            " slurmstepd used after it was last seen",
        }

    def counters(self, native: Path) -> dict[str, float]:
        """Counters of sdiag since the controller's start; they include the health gate's job."""
        return records.sdiag(text_of(native / "sdiag.txt"))

    def limits(self, settings: Mapping[str, Any], counters: Mapping[str, float]) -> list[Limit]:
        """Periods and depths of the scheduling cycles, and slurmctld's quota."""
        return [*cycles.limits(settings), *quota.limits("slurmctld", "slurmctld", settings)]

    def lifts(self) -> list[Lift]:
        """Shorter periods and larger depths of the scheduling cycles, a larger quota."""
        return [*cycles.lifts(self.in_force[cycles.PARAMETERS]), *quota.lifts(self.in_force)]

    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """Check that jobs can be submitted, that every node is idle, and that a job runs."""
        return [
            ways.check(),
            # sinfo prints a line a node of a partition; states such as idle* (no answer) or drained
            # do not match.
            f'test "$(sinfo --noheader --Node --partition={ways.PARTITIONS[0]} --format=%T'
            f' | grep -cx idle)" -eq {nodes}',
            f"srun --nodes={wide} --ntasks-per-node=1 --time=1 --immediate=60 /bin/true",
        ]

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """Make the munge key."""
        write_secret(folder / "munge.key", secrets.token_bytes(128))

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Tell the role where the munge key is."""
        return {"schedlab_munge_key_file": str((folder / "munge.key").resolve())}

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return the settings, and the command whose counters the head's exporter reads."""
        own = {key: text for key, text in settings.items() if key.lower() not in NOT_OF_SLURM}
        return super().variables(own) | {
            **quota.variables("slurmctld", settings),
            "slurm_submission": settings["submission"],
            "slurm_partitions": [
                {"name": name, "tier": level - min(ways.PARTITIONS)}
                for level, name in ways.PARTITIONS.items()
            ],
            "monitoring_counters": {
                "metric": "schedlab_slurm_sdiag",
                "command": "sdiag",
                "period": COUNTERS_PERIOD,
            },
        }

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """Also refuse what slurm.conf does not have, what `refused` names, and unsound values."""
        found = list(refused(overrides))
        left = _without(overrides, found)
        found += key_problems(left, self.native_settings)
        free = _without(left, found, UNLISTED)
        # What is no one value is told as such, not by its parts.
        found += super().settings_problems(free)
        found += value_problems(_without(free, found) | _only(left, UNLISTED))
        sound = _without(free, found)
        found += together.problems(sound, self.merged_settings(sound))
        return found

    def release_problems(self, overrides: Mapping[str, str], release: str) -> list[Problem]:
        """Refuse a way of submission, and settings, that the release's Slurm does not have."""
        found = list(ways.problems(self.merged_settings(overrides)["submission"], release))
        one = release_of(release)
        return [*found, *(version_problems(overrides, one.version, one.name) if one else ())]

    def trial_problems(
        self, overrides: Mapping[str, str], seconds: float, nodes: int
    ) -> list[Problem]:
        """Refuse a MinJobAge after which a trial's first jobs are forgotten before its end."""
        in_force = self.merged_settings(overrides)
        written = {key.lower(): text for key, text in in_force.items()}
        return [*bounds.forgotten(written, seconds), *together.too_few(in_force, nodes)]


def _without(settings: Mapping[str, str], found: Iterable[Problem], *keys: str) -> dict[str, str]:
    """Settings in which no problem was found, and of other keys; keys ignore case."""
    left_out = {key.lower() for key in (*keys, *(problem.key for problem in found))}
    return {key: text for key, text in settings.items() if key.lower() not in left_out}


def _only(settings: Mapping[str, str], wanted: str) -> dict[str, str]:
    return {key: text for key, text in settings.items() if key.lower() == wanted.lower()}
