"""Submission of a job to Slurm by a request to slurmrestd or by sbatch, for the same job."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from schedlab.schedulers.base import PAYLOAD, STAMPS
from schedlab.schedulers.slurm.releases import release_of
from schedlab.schedulers.translation import Request, native_id
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job

_FIRST_API = "23.11"
"""Version of Slurm from which on slurmrestd has what submission needs."""
API, CLI = "api", "cli"
"""Values of the setting: slurmrestd's API, or sbatch."""
RECORD = "/etc/schedlab/slurm-submission"
"""File on the head, written by the role: the API's version (`v0.0.42`), or `cli`."""
SERVER = {
    "url": "unix:/run/slurmrestd/slurmrestd.socket",
    "version_file": RECORD,
    "answer": {"id": "job_id", "message": ["errors.0.description", "errors.0.error"]},
    # Slurm accepts several jobs of the same name, so a request that may have arrived is not
    # repeated.
    "repeat": False,
}
"""slurmrestd's address for the driver. It identifies the driver by the user of the socket."""
PATH = "/slurm/{version}/job/submit"
ENVIRONMENT = "PATH=/usr/local/bin:/usr/bin:/bin"
PARTITIONS = {-1: "low", 0: "main", 1: "urgent"}
"""Priority of a job in the trace -> partition, written by the role. Their PriorityTier rises, which
orders jobs whatever PriorityType is; with priority/basic a user cannot raise a job, and a job that
is lowered lowers all that come later."""


def number(job: Job) -> str:
    """Number of the job as the script's shell has it: an array counts on from its first job."""
    return str(job.job) if job.array is None else f"$(({job.job}+SLURM_ARRAY_TASK_ID))"


def script(job: Job) -> str:
    """Return the batch script: the payload, or on several nodes srun with a rank on each."""
    payload = f"exec {PAYLOAD} {STAMPS} {number(job)}"
    end = f"{job.runtime:.6f} sleep"
    if job.nodes == 1:
        command = f"{payload} 0 {end}"
    else:
        # Not every version of srun inherits the processors per task from the batch job.
        command = (
            f"exec srun --nodes={job.nodes} --ntasks-per-node=1 --cpus-per-task={job.cpus}"
            f" /bin/sh -c '{payload} \"$SLURM_PROCID\" {end}'"
        )
    return f"#!/bin/sh\n{command}\n"


def minutes(job: Job) -> int:
    """Return the time limit in whole minutes, Slurm's unit, rounded up."""
    return math.ceil(job.walltime / 60)


def dependency(job: Job) -> str:
    """Dependency on the end, however, of other jobs; empty without one."""
    return ":".join(["afterany", *map(native_id, job.held)]) if job.held else ""


def options(job: Job, tasks: int = 1) -> list[str]:
    """Command line of sbatch, which reads the script from its standard input.

    `tasks` is the size of the array whose first job it is.
    """
    rare = [f"--partition={PARTITIONS[job.priority]}"] if job.priority else []
    rare += [f"--dependency={dependency(job)}"] if job.held else []
    rare += [f"--array=0-{tasks - 1}"] if job.array is not None else []
    return [
        "sbatch",
        "--parsable",
        f"--job-name=job{job.job}",
        f"--nodes={job.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={job.cpus}",
        f"--time={minutes(job)}",
        # Unless the trace wants it, a second run of the job would hide the failure and stamp its
        # ranks twice.
        "--requeue" if job.requeue else "--no-requeue",
        "--input=/dev/null",
        "--output=/dev/null",
        "--error=/dev/null",
        "--chdir=/tmp",
        f"--comment=user={job.user}",
        *rare,
    ]


def request(job: Job, tasks: int = 1) -> dict[str, Any]:
    """Request of slurmrestd's API (v0.0.40 and later) for the same job or array."""
    rare = {"partition": PARTITIONS[job.priority]} if job.priority else {}
    rare |= {"dependency": dependency(job)} if job.held else {}
    rare |= {"array": f"0-{tasks - 1}"} if job.array is not None else {}
    wanted = {
        "name": f"job{job.job}",
        "script": script(job),
        # Without the maximum, Slurm may allocate more nodes.
        "minimum_nodes": job.nodes,
        "maximum_nodes": job.nodes,
        "tasks_per_node": 1,
        "cpus_per_task": job.cpus,
        "time_limit": {"set": True, "number": minutes(job)},
        "requeue": job.requeue,
        "standard_input": "/dev/null",
        "standard_output": "/dev/null",
        "standard_error": "/dev/null",
        "current_working_directory": "/tmp",
        "comment": f"user={job.user}",
        "environment": [ENVIRONMENT],
        **rare,
    }
    return {"method": "POST", "path": PATH, "body": {"job": wanted}}


def asked(submission: Mapping[str, Any]) -> Request:
    """What a native submission asks for, read from it alone."""
    if submission.get("request"):
        job = submission["request"]["body"]["job"]
        nodes, cpus, text = job["minimum_nodes"], job["cpus_per_task"], job["script"]
        minutes_asked, comment = job["time_limit"]["number"], job["comment"]
        partition, waits = job.get("partition"), job.get("dependency", "")
        again = bool(job.get("requeue"))
    else:
        found = dict(re.findall(r"--([a-z-]+)=(\S+)", " ".join(submission["argv"])))
        nodes, cpus, text = found["nodes"], found["cpus-per-task"], submission["stdin"]
        minutes_asked, comment = found["time"], found["comment"]
        partition, waits = found.get("partition"), found.get("dependency", "")
        again = "--requeue" in submission["argv"]
    priority = {name: level for level, name in PARTITIONS.items()}
    return Request(
        int(nodes),
        int(cpus),
        float(re.findall(r"(\S+) sleep", text)[-1]),
        user=comment.removeprefix("user="),
        priority=priority[partition or PARTITIONS[0]],
        after=tuple(map(int, re.findall(r"\{job:(\d+)\}", waits))),
        limit=60.0 * int(minutes_asked),
        requeue=again,
    )


def check() -> str:
    """Return a shell command for the head that succeeds if jobs can be submitted as set."""
    ask = f"python3 /usr/local/lib/schedlab/schedlab_submit.py --api='{json.dumps(SERVER)}'"
    remedy = "slurmrestd does not serve its API; remedy: set settings.slurm.submission: cli"
    return (
        f"grep -qx {CLI} {RECORD} || {ask} GET /slurm/{{version}}/ping/"
        f" || {{ echo '{remedy}' >&2; false; }}"
    )


def problems(way: str, release: str) -> Iterator[Problem]:
    """Yield the fault of a way of submission that the Slurm of a release does not have."""
    found = release_of(release)
    if way == API and found and found.version < _FIRST_API:
        yield Problem(
            "submission",
            way,
            f"Slurm has no API for it before {_FIRST_API}, and {found.name} has Slurm"
            f" {found.version}",
            f"write submission: {CLI}, for all variants that are compared",
        )


def told(record: str) -> str:
    """Describe how jobs were submitted, from the record.

    An absent record comes from a trial before slurmrestd was supported, so it means sbatch.
    """
    version = record.strip()
    if version in ("", CLI):
        return "sbatch: a process and a connection for each job"
    return (
        f"by slurmrestd's API {version} over kept connections to its socket on the head; further"
        " ones are opened when all are in use"
    )
