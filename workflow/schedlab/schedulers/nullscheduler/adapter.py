"""The null scheduler: it accepts every job and ends it at once, without running the payload.

Only the driver, its connections and one log take time. So the rate at which the null scheduler
takes jobs is the submitter's ceiling: no scheduler can be faster under the same workload. It is not
named `null`, because YAML reads that word as an absent value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers.base import COMPLETED, PARITY, Exporter, Scheduler
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import NativeJob, text_of
from schedlab.schedulers.translation import Request, Submission, native_id
from schedlab.workloads.trace import Job, Trace

LOG = "/var/log/nullscheduler/jobs.log"
SERVER = {
    "url": "unix:/run/nullscheduler/socket",
    "answer": {"id": "job", "message": ["error"]},
    "repeat": False,
}
NO_PAYLOAD = "null scheduler: no payload runs"
"""Source of the instants that a job without payload does not have."""

_LINE = re.compile(r"(accepted|completed) (\d{1,10}) (\d{1,19})(?: (\d{1,6}) (\d{1,6}))?", re.ASCII)


@register
class NullScheduler(Scheduler):
    """Accepts jobs and ends them at once: the submitter's ceiling."""

    name: ClassVar[str] = "nullscheduler"
    image: ClassVar[str] = "plain"
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "nullscheduler")
    payload: ClassVar[bool] = False
    priorities: ClassVar[tuple[int, int]] = (-(10**9), 10**9)
    dependencies: ClassVar[bool] = True
    serial: ClassVar[frozenset[str]] = frozenset({"nullscheduler"})
    cost_port: ClassVar[int] = 9101

    def translate(self, job: Job, trace: Trace) -> Submission:
        """Return one request with the neutral job. No job waits, so most of it has no effect."""
        body = {"name": f"job{job.job}", "nodes": job.nodes, "cpus": job.cpus,
                "runtime": round(job.runtime, 6), "user": job.user, "priority": job.priority,
                "after": list(map(native_id, job.held)), "limit": job.walltime}  # fmt: skip
        request = {"method": "POST", "path": "/jobs", "body": body}
        return Submission(job=job.job, arrival=job.arrival, request=request)

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Return what the fields of the request ask for."""
        body = submission["request"]["body"]
        return Request(
            int(body["nodes"]),
            int(body["cpus"]),
            float(body["runtime"]),
            user=body["user"],
            priority=body["priority"],
            after=tuple(int(re.sub(r"\D", "", text)) for text in body["after"]),
            limit=body["limit"],
        )

    def plan_extra(self) -> dict[str, Any]:
        """Return the API's address for the driver."""
        return {"api": SERVER}

    def completion(self) -> dict[str, str]:
        """Return the log, and the form of the lines that end a job."""
        return {"log": LOG, "pattern": r"^completed (\d+) "}

    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """Jobs of the log, with their nodes and processors."""
        return logged(text_of(native / "jobs.log"))

    def native_commands(self) -> dict[str, list[str]]:
        """Return none: the null scheduler has no commands that report its state."""
        return {}

    def native_files(self) -> dict[str, str]:
        """Its log."""
        return {"jobs.log": LOG}

    def configuration_files(self) -> dict[str, str]:
        """Return its systemd unit, which is its whole configuration."""
        return {"nullscheduler.service": "/etc/systemd/system/nullscheduler.service"}

    def exporters(self) -> list[Exporter]:
        """node_exporter and the project's own collector on all nodes."""
        return [
            Exporter(name, role, port)
            for name, port in (("node", 9100), ("schedlab", self.cost_port))
            for role in ("head", "compute")
        ]

    def daemons(self) -> dict[str, list[str]]:
        """One process on the head; the exporter of a compute node finds no such process."""
        return {"head": ["nullscheduler"], "compute": ["nullscheduler"]}

    def cost_units(self) -> dict[str, dict[str, list[str]]]:
        """Return its own unit on the head."""
        return {"head": {"nullscheduler": ["nullscheduler"]}, "compute": {}}

    def settings(self, native: Path) -> dict[str, Any]:
        """Return no settings: there are none."""
        return {}

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        nothing = dict.fromkeys(PARITY, "nothing is scheduled: jobs end as they are accepted")
        return nothing | {
            "client limits": "none",
            "accounting": "a line in its log for each instant of a job",
            "submission": "by its API, one request a job over kept connections to its socket on the"
            " head; further ones are opened when all are in use",
            "costs": "by systemd unit (control group)",
            "a job is translated to": "a request with its size; no payload runs",
        }

    def counters(self, native: Path) -> dict[str, float]:
        """Jobs in its log."""
        jobs = logged(text_of(native / "jobs.log"))
        ended = sum(job.completed is not None for job in jobs.values())
        return {"jobs_accepted": float(len(jobs)), "jobs_completed": float(ended)}

    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """It answers."""
        ask = f"python3 /usr/local/lib/schedlab/schedlab_submit.py --api='{json.dumps(SERVER)}'"
        return [f"{ask} GET /"]

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return only the variables of the cost exporter."""
        return self.cost_variables()

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """Make nothing: the null scheduler has no secrets."""

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Return none: the null scheduler has no secrets."""
        return {}


def logged(log: str) -> dict[str, NativeJob]:
    """Read every job from the log, by native id; skip a last line that was cut off."""
    found: dict[str, NativeJob] = {}
    for line in log.split("\n")[:-1]:
        match = _LINE.fullmatch(line)
        if not match:
            continue
        job = found.setdefault(match[2], NativeJob())
        if match[1] == "accepted":
            job.accepted, job.accepted_source = int(match[3]), "jobs.log: accepted (1 ns)"
            if match[4]:
                job.nodes, job.cpus = int(match[4]), int(match[4]) * int(match[5])
        else:
            job.completed, job.completed_source = int(match[3]), "jobs.log: completed (1 ns)"
            job.state = job.native_state = COMPLETED
            job.absent = NO_PAYLOAD
    return found
