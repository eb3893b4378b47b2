"""How Flux is given a job: a jobspec (RFC 25, version 1) and an urgency, through one submitter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from schedlab.schedulers.base import PAYLOAD, STAMPS
from schedlab.schedulers.translation import Request, native_id
from schedlab.workloads.trace import Job

SOCKET = "/run/schedlab-flux/socket"
SERVER = {
    "url": f"unix:{SOCKET}",
    "answer": {"id": "id", "message": ["error"]},
    # Flux takes any number of equal jobs: what may have been heard is not sent again.
    "repeat": False,
    # While the broker restarts nobody takes a job: that is no refusal of it.
    "away": True,
}
"""The submitter (role flux, schedlab_flux.py), as the driver finds it."""
NORMAL = 16
"""Urgency of a job of priority 0 (RFC 30)."""
LEAST, MOST = 1, 30
"""Urgencies of jobs that wait for their turn: 0 holds a job, and 31 puts it before all others."""


def jobspec(job: Job) -> dict[str, Any]:
    """One task on each node: on one node the payload itself, on more a shell with its rank.

    A node may hold tasks of several jobs, each with processors of its own. The walltime is rounded
    up to whole seconds.
    """
    payload = [PAYLOAD, STAMPS, str(job.job)]
    end = f"{job.runtime:.6f} sleep"
    if job.nodes == 1:
        command = [*payload, "0", *end.split()]
    else:
        command = ["/bin/sh", "-c", f'exec {" ".join(payload)} "$FLUX_TASK_RANK" {end}']
    nowhere = {"type": "file", "path": "/dev/null"}
    core = {"type": "core", "count": job.cpus}
    slot = {"type": "slot", "count": 1, "label": "task", "with": [core]}
    return {
        "version": 1,
        "resources": [{"type": "node", "count": job.nodes, "with": [slot]}],
        "tasks": [{"command": command, "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {
            "system": {
                "duration": math.ceil(job.walltime),
                "cwd": "/tmp",
                "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
                "job": {"name": f"job{job.job}"},
                # Else output is kept in the broker's store, a cost that the payload has no use for.
                "shell": {"options": {"output": {"stdout": nowhere, "stderr": nowhere}}},
                **dependencies(job),
            },
            "user": {"user": job.user},
        },
    }


def drawn_by(request: Mapping[str, Any], draw: str) -> dict[str, Any]:
    """Return the request of a job that also says by what its delays on virtual nodes are drawn.

    Parameters
    ----------
    request : mapping
        From `request`.
    draw : str
        Another text for every job of every trial.
    """
    spec = request["body"]["jobspec"]
    user = {**spec["attributes"]["user"], "draw": draw}
    told = {**spec, "attributes": {**spec["attributes"], "user": user}}
    return {**request, "body": {**request["body"], "jobspec": told}}


def dependencies(job: Job) -> dict[str, Any]:
    """Attribute of the system that lets a job wait for the end of others (RFC 26, afterany)."""
    waits = [{"scheme": "afterany", "value": native_id(number)} for number in job.held]
    return {"dependencies": waits} if waits else {}


def request(job: Job) -> dict[str, Any]:
    """Request of the submitter; the urgency is as far from the normal one as the priority."""
    body = {"jobspec": jobspec(job), "urgency": NORMAL + job.priority}
    return {"method": "POST", "path": "/jobs", "body": body}


def asked(submission: Mapping[str, Any]) -> Request:
    """What a native submission asks for, read from it alone."""
    spec = submission["request"]["body"]["jobspec"]
    node = spec["resources"][0]
    words = " ".join(spec["tasks"][0]["command"])
    runtime = float(re.findall(r"(\S+) sleep", words)[-1])
    attributes = spec["attributes"]
    waits = attributes["system"].get("dependencies", [])
    return Request(
        int(node["count"]),
        int(node["with"][0]["with"][0]["count"]),
        runtime,
        user=attributes["user"]["user"],
        priority=submission["request"]["body"]["urgency"] - NORMAL,
        after=tuple(int(re.sub(r"\D", "", entry["value"])) for entry in waits),
        limit=float(attributes["system"]["duration"]),
    )
