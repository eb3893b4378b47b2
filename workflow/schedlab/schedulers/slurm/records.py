"""Parsers of what Slurm writes: slurmctld's log, scontrol, sdiag.

Formats as of Slurm 24.11, and of 22.05 and 26.05 where these differ; the log's are in its sources
under src/slurmctld (proc_req.c, job_mgr.c, job_scheduler.c) and src/plugins/sched/backfill.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from schedlab.schedulers.base import COMPLETED, FAILED, UNFINISHED
from schedlab.schedulers.hosts import hosts_of
from schedlab.schedulers.rows import NativeJob
from schedlab.workloads.registry import MOST_JOBS

# The guests' time zone is UTC (role common), and so are the log's time stamps.
_STAMP = r"^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\] "
# A task of an array is written JobId=123_4(127): array, place in it, and its own number.
_ID = r"(\d{1,10}(?:_\d{1,10})?)"
_JOB = rf"JobId={_ID}(?:\(\d{{1,10}}\))?"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# `_job_complete: ... done` ends a job whose script ended. For a job over its time limit or a
# cancelled job, or one whose node or place was lost, slurmctld does not write that line, only those
# of the other alternatives.
ENDED = (
    r"(?:_job_complete: (?=JobId=\S+ done)|Time limit exhausted for "
    r"|_slurm_rpc_kill_job: REQUEST_KILL_JOB |Killing (?=JobId=\S+ on failed node)"
    r"|(?:slurm_job_preempt: )?preempted (?=JobId=\S+ (?:has been|had to be) killed)"
    r")JobId=(\d+(?:_\d+)?)"
)

_LINES = {
    "accepted": re.compile(
        # From 26.05 on the job's further id stands between the two.
        _STAMP + r"_slurm_rpc_submit_batch_job: " + _JOB + r"(?: SLUID=\w+)? InitPrio=",
        re.ASCII,
    ),
    "main": re.compile(
        _STAMP + r"sched: Allocate " + _JOB + r" NodeList=(\S+) #CPUs=(\d{1,9})(?!\d)", re.ASCII
    ),
    "backfill": re.compile(
        _STAMP + r"sched/backfill: (?:_start_job: )?Started " + _JOB + r" in \S+ on (\S+)", re.ASCII
    ),
    "ended": re.compile(
        _STAMP + ENDED + r"(?:\(\d{1,10}\))?(?: on failed node (?P<node>\S+))?", re.ASCII
    ),
    "exit": re.compile(
        _STAMP + r"_job_complete: " + _JOB + r" (WEXITSTATUS|WTERMSIG) (\d{1,3})(?!\d)", re.ASCII
    ),
    # The job waits again, and comes to another end.
    "requeued": re.compile(
        _STAMP
        + rf"(?:preempted {_JOB} has been requeued"
        + rf"|requeue (?:job )?{_JOB} due to failure of node(?: (?P<node>\S+))?)",
        re.ASCII,
    ),
    "cause": re.compile(
        _STAMP + r"_job_complete: " + _JOB + r" (OOM failure|cancelled by node failure)", re.ASCII
    ),
}

_SOURCES = {
    "accepted": "slurmctld.log: _slurm_rpc_submit_batch_job (1 ms)",
    "main": "slurmctld.log: sched: Allocate (1 ms)",
    "backfill": "slurmctld.log: sched/backfill: Started (1 ms)",
    "ended": "slurmctld.log: end of job (1 ms)",
    "interrupted": "slurmctld.log: end of a run by a lost node or preemption (1 ms)",
}

_CAUSES = {"OOM failure": "OUT_OF_MEMORY", "cancelled by node failure": "NODE_FAIL"}
_PASSING = {
    "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STAGE_OUT", "STOPPED", "SIGNALING",
    "RESIZING",
}  # fmt: skip
"""States shortly before the end: the log, which is fetched after scontrol's answer, may end the
job."""
_WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
"""States of a job that will run, perhaps again."""


def clock_ns(stamp: str) -> int:
    """Nanoseconds since 1970 of a log's time stamp (UTC, 1 ms), without rounding."""
    since = datetime.fromisoformat(stamp).replace(tzinfo=UTC) - _EPOCH
    return since // timedelta(microseconds=1) * 1000


def jobs(log: str, scontrol: str) -> dict[str, NativeJob]:
    """What Slurm's records say about every job, by native id.

    Parameters
    ----------
    log : str
        slurmctld's log.
    scontrol : str
        Answer of `scontrol show job --oneliner`.

    Returns
    -------
    dict
        Native id -> what is known. The state is None if the log does not end the job and scontrol
        does not list it.
    """
    found: dict[str, NativeJob] = {}
    for line in whole_lines(log):
        for event, pattern in _LINES.items():
            match = pattern.match(line)
            if match:
                with contextlib.suppress(ValueError):  # a date that does not exist
                    now = clock_ns(match[1])
                    _apply(found.setdefault(match[2] or match[3], NativeJob()), event, match, now)
                break
    for number, fields in _scontrol_jobs(scontrol):
        _answered(found.setdefault(number, NativeJob()), fields)
    for number, job in found.items():
        array, task, _ = number.partition("_")
        if task and array in found and job.accepted is None:
            # The whole array is accepted at once.
            job.accepted, job.accepted_source = found[array].accepted, found[array].accepted_source
    return found


_LONGEST = 1 << 16
"""Most characters of a line: Slurm's lines are shorter, and patterns are slow on longer lines."""


def whole_lines(text: str) -> list[str]:
    """Lines of a text without an unfinished last line, which may be cut off within a number."""
    return [line for line in text.split("\n")[:-1] if len(line) <= _LONGEST]


def _answered(job: NativeJob, fields: Mapping[str, str]) -> None:
    """Add scontrol's answer to a job's record; an end in the log overrides a state before it."""
    state = fields.get("JobState", "")
    ended = job.state is not None
    if state in _WAITING:
        # The job runs again, so the end in the log belongs to an earlier run.
        job.completed = job.completed_source = job.exit_code = None
        job.state, job.native_state = UNFINISHED, state
    elif state in _PASSING:
        if not ended:
            job.state, job.native_state, job.exit_code = UNFINISHED, state, None
    elif state:
        job.state = job.native_state = state
        code = re.fullmatch(r"([0-9]{1,3}):([0-9]{1,3})", fields.get("ExitCode", ""))
        if code:
            job.exit_code = 128 + int(code[2]) if int(code[2]) else int(code[1])
    # A job that was never allocated has a request in these fields, and no nodes.
    nodes = hosts_of(fields.get("NodeList", ""))
    if nodes:
        job.placement = nodes
        job.nodes = len(nodes)
        if re.fullmatch(r"[0-9]{1,9}", fields.get("NumCPUs", "")):
            job.cpus = int(fields["NumCPUs"])


def _apply(job: NativeJob, event: str, match: re.Match[str], now: int) -> None:
    """Add one line of the log to a job's record; the last line of each kind counts."""
    if event == "accepted":
        job.accepted, job.accepted_source = now, _SOURCES[event]
    elif event in ("main", "backfill"):
        job.allocated, job.allocated_source = now, _SOURCES[event]
        job.placement = hosts_of(match[3])
        job.nodes = len(job.placement) or None
        # A job that runs again has not ended yet.
        job.completed = job.completed_source = None
        job.state = job.native_state = job.exit_code = job.cpus = None
        if event == "main":
            job.cpus = int(match[4])
    elif event == "exit":
        number = int(match[4])
        signalled = match[3] == "WTERMSIG"
        job.exit_code = 128 + number if signalled else number
        job.state = job.native_state = FAILED if job.exit_code else COMPLETED
    elif event == "cause":
        job.state = job.native_state = _CAUSES[match[3]]
    elif event == "requeued":
        job.gave_up(now, _SOURCES["interrupted"], match["node"])
    else:
        job.completed, job.completed_source = now, _SOURCES[event]
        if "Time limit" in match[0]:
            job.state = job.native_state = "TIMEOUT"
        elif "REQUEST_KILL_JOB" in match[0]:
            job.state = job.native_state = "CANCELLED"
        elif "Killing" in match[0]:
            job.state = job.native_state = "NODE_FAIL"
            job.gave_up(now, _SOURCES["interrupted"], match["node"])
        elif "preempted" in match[0]:
            job.state = job.native_state = "PREEMPTED"
            job.gave_up(now, _SOURCES["interrupted"])


_READ = {"JobId", "ArrayJobId", "ArrayTaskId", "JobState", "ExitCode", "NodeList", "NumCPUs"}


def _scontrol_jobs(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the jobs that scontrol lists, and their fields.

    No trial has more than `MOST_JOBS`, so a text that names more was not written by one.
    """
    left = MOST_JOBS
    for line in whole_lines(text):
        # Values may hold blanks (a comment); the keys read here never do.
        pairs = re.findall(r"(?:^|\s)(\w+)=(\S*)", line)
        fields = {key: value for key, value in pairs if key in _READ}
        if any(key in _READ and value != fields[key] for key, value in pairs):
            continue  # It says two things of one job, and which of them holds cannot be told.
        if not re.fullmatch(r"[0-9]{1,10}", fields.get("JobId", "")):
            continue
        array = fields.get("ArrayJobId", "")
        names = [fields["JobId"]]
        if re.fullmatch(r"[0-9]{1,10}", array):
            names = [f"{array}_{task}" for task in tasks_of(fields.get("ArrayTaskId", ""), left)]
            if len(names) > 1:
                # Tasks that share a line wait, so they have no nodes.
                fields.pop("NodeList", None)
        yield from ((name, fields) for name in names[:left])
        left -= len(names)
        if left <= 0:
            return


def tasks_of(text: str, most: int) -> list[int]:
    """Places in an array that scontrol writes as `4`, or as `5-9,11%2` for those that wait.

    Not more than `most` of them.
    """
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"([0-9]{1,7})(?:-([0-9]{1,7}))?", part)
        if match:
            first, last = int(match[1]), int(match[2] or match[1])
            found += range(first, min(last + 1, first + most - len(found)))
    return found


def key_values(text: str) -> dict[str, str]:
    """Settings of slurm.conf or `scontrol show config`: `Key=value` or `Key = value` lines.

    Comments and lines of nodes and partitions are left out; of a repeated key the last counts.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if len(line) > _LONGEST:
            continue
        match = re.match(r"\s*([A-Za-z]\w*)\s*=([^#]*)", line)
        if match and match[1].lower() not in ("nodename", "partitionname"):
            found[match[1]] = match[2].strip()
    return found


def parity(settings: Mapping[str, str]) -> dict[str, str]:
    """Rows of `PARITY` from the settings that were in force."""
    value = {key.lower(): text for key, text in settings.items()}
    parameters = dict(
        re.findall(r"(\w+)=?([^,]*)", value.get("schedulerparameters", ""))  # a,b=1
    )

    def told(*keys: str) -> str:
        return "; ".join(f"{key}={value.get(key.lower(), 'unknown')}" for key in keys)

    def told_parameters(*keys: str) -> str:
        return ", ".join(f"{key}={parameters.get(key, 'default')}" for key in keys)

    backfill = "backfill" in value.get("schedulertype", "")
    limited = "rl_enable" in value.get("slurmctldparameters", "").lower()
    return {
        "gang": "yes: a job starts on all its nodes at once or not at all",
        "accounting": told("AccountingStorageType", "JobAcctGatherType", "JobCompType"),
        "scheduling period": "at every submission and end of a job; "
        + told_parameters("sched_min_interval", "sched_interval", "batch_sched_delay"),
        "client limits": f"rate limit of requests {'on' if limited else 'off'}",
        "back-fill": f"yes: {told_parameters('bf_interval')} s" if backfill else "no",
        "priority": told("PriorityType"),
        "preemption": told("PreemptType", "PreemptMode"),
        "logging level": told("SlurmctldDebug"),
        "node daemons": _node_daemons(value),
        "a job is translated to": "a batch script on its nodes; with more than one node, srun in"
        " it starts a rank on each",
    }


def _node_daemons(value: Mapping[str, str]) -> str:
    """What the nodes are; only virtual ones may have another shape than their machine."""
    if not value:
        return "unknown"
    if "config_overrides" in value.get("slurmdparameters", ""):
        return "a slurmd for each virtual node, many on a machine; jobs run their payload"
    return "a slurmd on each node"


_SDIAG_SECTIONS = {
    "Main schedule statistics": "main",
    "Main scheduler exit": "main_exit",
    "Backfilling stats": "backfill",
    "Backfill exit": "backfill_exit",
    "Latency for": "latency",
    "Remote Procedure Call statistics by message type": "rpc",
    "Remote Procedure Call statistics by user": "user",
    "Pending RPC statistics": "pending",
}


_LONGEST_COUNTER = 400
_SINCE = re.compile(r"Data since .*\((\d{1,12})\)\s*$")
_DAY, _AFTER = 86_400, 60
"""Seconds after midnight: the controller checks the clock periodically, so it resets its counters
a little late."""


def _reset_at_midnight(line: str) -> bool:
    since = _SINCE.match(line)
    return since is not None and int(since[1]) % _DAY < _AFTER


def sdiag(text: str) -> dict[str, float]:
    """Counters of `sdiag`.

    Returns
    -------
    dict
        Flat names: `main.mean_cycle` (us), `main.total_cycles`, `backfill.last_cycle` (us),
        `jobs_started`, `rpc.REQUEST_SUBMIT_BATCH_JOB.count`, `.ave_time`, `.total_time` (us).
        Times of cycles and calls are in microseconds, as Slurm reports them. Empty if slurmctld
        reset its counters at midnight (UTC, see sdiag(1)), because they then cover only a part of
        the trial.
    """
    found: dict[str, float] = {}
    section = ""
    lines = whole_lines(text)
    if any(_reset_at_midnight(line) for line in lines):
        return found
    for line in lines:
        if len(line) > _LONGEST_COUNTER:
            continue
        for title, short in _SDIAG_SECTIONS.items():
            if line.strip().startswith(title):
                section = f"{short}."
        call = re.match(r"\s+(\S+)\s*\(\s*\d+\)\s+(count:.*)$", line)
        if call:
            for key, number in re.findall(r"(\w+):\s*(\d{1,18})(?!\d)", call[2]):
                found[f"{section}{call[1]}.{key}"] = float(number)
            continue
        plain = re.match(
            r"\s*([A-Za-z][^:]*?)\s*:\s*(\d{1,18}(?:\.\d{1,18})?)(?:\s[a-z].*)?$", line
        )
        if plain:
            name = re.sub(r"\W+", "_", plain[1].strip().lower()).strip("_")
            found[section + name] = float(plain[2])
    return found
