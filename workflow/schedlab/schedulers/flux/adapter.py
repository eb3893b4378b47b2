"""Flux: submission by its API through one process, instants from each job's event log.

Clusters run one instance over head and compute nodes, booted from configuration. The head runs no
jobs. Its instants are precise to 1 us and are kept by Flux itself for every job.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from schedlab.outside.json_text import parse_json
from schedlab.schedulers import quota
from schedlab.schedulers.base import Exporter, Scheduler
from schedlab.schedulers.breaking import FaultCommands, restart_of
from schedlab.schedulers.delays import Latencies, delays_told
from schedlab.schedulers.flux import jobspec, parity, records
from schedlab.schedulers.flux.given import INSTALLATION
from schedlab.schedulers.flux.latencies import latencies
from schedlab.schedulers.installation import SETTINGS, Installation
from schedlab.schedulers.limits import LIFT, Cycle, Lift, Limit
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import NativeJob, text_of
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.translation import Request, Submission
from schedlab.workloads.fault import FAULTS, RESTART
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace

JOURNAL = "/var/log/schedlab-flux/journal.jsonl"
CONFIGURATION = "/etc/flux/schedlab.toml"
METRICS_PORT = 9102
SIMPLE, FLUXION = "simple", "fluxion"
DEFAULT = "default"
DEEPEST = 1_000_000
"""Fluxion takes this for any larger depth, in silence (MAX_QUEUE_DEPTH of flux-sched)."""

_CLIENT = "/usr/local/lib/schedlab/schedlab_flux.py"
_URI = "FLUX_URI=local:///run/flux/local"
_USER = "bench"
"""Owner of the instance, and the driver's user: only its jobs may run without Flux's IMP."""

_HEAD = ("broker", "sched-simple", "job-validator")


_AS_OWNER = ("runuser", "--user", _USER, "--", "env", _URI)
"""Begin of a command that root runs as the instance's owner."""


def _ask(what: str) -> list[str]:
    """Command, run as root, that asks the instance as its owner."""
    return [*_AS_OWNER, "flux", "python", _CLIENT, what]


@register
class Flux(Scheduler):
    """Flux 0.85 or newer, with its own scheduler or Fluxion."""

    name: ClassVar[str] = "flux"
    image: ClassVar[str] = "flux"
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "flux")
    installation: ClassVar[Installation | None] = INSTALLATION
    client: ClassVar[tuple[str, ...]] = ("schedlab-flux",)
    # It ends after 5 s without a job, and is started for the next one (job-ingest/workcrew.c).
    passing: ClassVar[frozenset[str]] = frozenset({"job-validator"})
    priorities: ClassVar[tuple[int, int]] = (
        jobspec.LEAST - jobspec.NORMAL,
        jobspec.MOST - jobspec.NORMAL,
    )
    dependencies: ClassVar[bool] = True
    faults: ClassVar[frozenset[str]] = FAULTS
    # Of virtual nodes it knows the resources alone, and the broker has no ranks to drain.
    virtual_faults: ClassVar[frozenset[str]] = frozenset({RESTART})
    running_jobs: ClassVar[str] = 'schedlab_flux_jobs{state="run"}'
    cost_port: ClassVar[int] = 9101
    # The broker on the head has the virtual nodes, carriers run nothing of Flux.
    virtual_node_mib: ClassVar[float | None] = 0.0
    virtual_head_mib: ClassVar[tuple[int, float]] = (512, 0.05)
    virtual_delays: ClassVar[Latencies | None] = staticmethod(latencies)
    native_settings: ClassVar[Mapping[str, Setting]] = {
        **SETTINGS,
        "scheduler": Setting(
            SIMPLE,
            "what decides which job runs where: simple, sched-simple of flux-core; fluxion, of"
            " flux-sched, which the installation must have",
            f"{SIMPLE}|{FLUXION}",
            f"{SIMPLE} or {FLUXION}",
        ),
        "policy": Setting(
            "fcfs",
            "order of the queue; sched-simple has fcfs alone",
            "fcfs|easy|conservative|hybrid",
            "one of fcfs, easy, conservative, hybrid",
        ),
        "queueDepth": Setting(
            DEFAULT,
            "pending jobs that the scheduler looks at: by default 8 with sched-simple, 32 with"
            " Fluxion",
            rf"{DEFAULT}|[1-9]\d{{0,5}}|{DEEPEST}",
            f"{DEFAULT} or a whole number from 1 to {DEEPEST}",
        ),
        "matchPolicy": Setting(
            "first",
            "Fluxion's choice of resources",
            "first|low|high|lonode|hinode",
            "one of first, low, high, lonode, hinode",
        ),
        "matchFormat": Setting(
            "rv1_nosched",
            "form of Fluxion's resource sets; rv1 carries the scheduler's own part too",
            "rv1_nosched|rv1_shorthand|rv1",
            "one of rv1_nosched, rv1_shorthand, rv1",
        ),
        **quota.setting("flux"),
    }

    def submissions(self, trace: Trace, trial: str = "") -> list[Submission]:
        """Each also says by what the job's delays are drawn where its nodes are virtual.

        The trial is in it, because all repetitions of a cluster begin with the same memory, and
        equal clusters have the same traces.
        """
        return [
            replace(
                one,
                request=jobspec.drawn_by(one.request or {}, f"{trace.seed}/{trial}/{one.job}"),
            )
            for one in super().submissions(trace, trial)
        ]

    def translate(self, job: Job, trace: Trace) -> Submission:
        """One request with a jobspec and an urgency.

        All are submitted by the one guest user; the trace's user is in the jobspec.
        """
        request = jobspec.request(job)
        return Submission(job=job.job, arrival=job.arrival, request=request)

    def fault_commands(self, kind: str, node: str) -> FaultCommands:
        """A restart is that of the head's broker: the instance ends and starts again.

        As it ends it cancels all jobs that run; those that wait are kept.

        All processes of the head start anew, those of the submitter because they lose the broker.
        """
        if kind == RESTART:
            return restart_of(("flux",), tuple(self.daemons()["head"]))
        begin = [*_AS_OWNER, "flux", "resource", "drain", node, "schedlab"]
        return FaultCommands(
            shlex.join(begin), shlex.join([*_AS_OWNER, "flux", "resource", "undrain", node])
        )

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Resources and command of the jobspec."""
        return jobspec.asked(submission)

    def plan_extra(self) -> dict[str, Any]:
        """Where the driver finds the submitter."""
        return {"api": jobspec.SERVER}

    def completion(self) -> dict[str, str]:
        """The last event of a job, however it ended."""
        return {"log": JOURNAL, "pattern": records.ENDED}

    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """Jobs of the journal and of the event logs.

        The trial's record beside them, where there is one, tells when the broker was stopped.
        """
        trial: Any = {}
        with contextlib.suppress(ValueError):
            trial = parse_json(text_of(native.parent / "record.json"))
        return records.jobs(
            text_of(native / "journal.jsonl"),
            text_of(native / "eventlogs.jsonl"),
            records.stop_of(records.within(trial, "conditions")),
        )

    def native_commands(self) -> dict[str, list[str]]:
        """Event logs and resources of all jobs, and what the instance says of itself."""
        return {"eventlogs.jsonl": _ask("records"), "facts.json": _ask("facts")} | quota.command(
            "flux"
        )

    def native_files(self) -> dict[str, str]:
        """Record file name -> file on the head."""
        return {"journal.jsonl": JOURNAL, **self.configuration_files()}

    def configuration_files(self) -> dict[str, str]:
        """The instance's configuration."""
        return {"schedlab.toml": CONFIGURATION}

    def exporters(self) -> list[Exporter]:
        """node_exporter and the project's own collector on all nodes; the submitter on the head.

        The submitter tells how many jobs are in each state, and the broker's statistics.
        """
        return [
            *(
                Exporter(name, role, port)
                for name, port in (("node", 9100), ("schedlab", self.cost_port))
                for role in ("head", "compute")
            ),
            Exporter("flux", "head", METRICS_PORT),
        ]

    def daemons(self) -> dict[str, list[str]]:
        """Brokers, processes of the one on the head, the submitter, shells that start jobs.

        A broker's name has its rank, but its command line begins with `broker`. Fluxion runs in the
        broker; sched-simple and the validator of jobspecs are processes of their own.
        """
        return {
            "head": [*_HEAD, "schedlab-flux"],
            "compute": ["broker", "flux-shell"],
        }

    def cost_units(self) -> dict[str, dict[str, list[str]]]:
        """On the head, where no job runs; on compute nodes jobs run in the broker's group.

        So brokers and shells there are counted by process, which misses what a shell used after it
        was last seen: their cost is a lower bound.
        """
        return {
            "head": {"flux": list(_HEAD), "schedlab-flux": ["schedlab-flux"]},
            "compute": {},
        }

    def settings(self, native: Path) -> dict[str, Any]:
        """Versions, and what is in force in the scheduler."""
        return self._told(native) | quota.in_force(native)

    @staticmethod
    def _told(native: Path) -> dict[str, Any]:
        """What the instance told of itself; empty where it did not answer."""
        return parity.settings(records.facts(text_of(native / "facts.json")))

    def parity(self, native: Path) -> dict[str, str]:
        """Parity manifest."""
        return parity.manifest(self.settings(native))

    def counters(self, native: Path) -> dict[str, float]:
        """What the broker's modules count since they were loaded, and mean parts of jobs' lives.

        Both are over the health gate's job too.
        """
        statistics = records.facts(text_of(native / "facts.json"))["statistics"]
        return records.counters(statistics) | records.phases(text_of(native / "eventlogs.jsonl"))

    def limits(self, settings: Mapping[str, Any], counters: Mapping[str, float]) -> list[Limit]:
        """Pending jobs that the scheduler looks at on each submission and release; the quota."""
        given = quota.limits("flux", " + ".join(_HEAD), settings)
        depth = self._depth(settings)
        if depth is None:
            return given
        words = f"jobs that the scheduler looks at (queue-depth {depth})"
        return [Limit(words, "queueDepth", None, None, (Cycle(None, depth),)), *given]

    def lifts(self) -> list[Lift]:
        """Ten times the depth; a larger quota."""
        depth = self._depth(self.in_force)
        deeper = min(LIFT * depth, DEEPEST) if depth else 0
        found = [Lift("depth", {"queueDepth": str(deeper)})] if deeper else []
        return [*found, *quota.lifts(self.in_force)]

    @staticmethod
    def _depth(settings: Mapping[str, Any]) -> int | None:
        """Depth by settings, recorded or as an experiment writes them."""
        text = str(settings.get("queue-depth", settings.get("queueDepth", "unknown")))
        if text == DEFAULT:
            fluxion = settings["scheduler"] == FLUXION
            text = parity.FLUXION_DEPTH if fluxion else parity.SIMPLE_DEPTH
        return int(text) if text.isdecimal() else None

    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """All brokers are there, jobs can be submitted, and one runs over compute nodes.

        Over virtual nodes it is played, as the jobs of a trial are, but without delays.
        """
        server = json.dumps(jobspec.SERVER)
        ask = f"python3 /usr/local/lib/schedlab/schedlab_submit.py --api='{server}'"
        return [
            f"{_URI} flux overlay status --summary --wait=full --timeout=30s",
            f'test "$({_URI} flux resource list --states=free --no-header --format={{nnodes}})"'
            f" -eq {nodes}",
            f"{ask} GET /",
            f"played=$({_URI} flux config get --default= schedlab.virtual.nodes)"
            f" && {_URI} flux run --nodes={wide} --tasks-per-node=1 --time-limit=1m"
            " ${played:+--setattr=system.exec.test.run_duration=1ms} /bin/true",
        ]

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """What the instance is configured with; where it is installed from shapes the image."""
        own = {key: text for key, text in settings.items() if key not in {*SETTINGS, quota.KEY}}
        return super().variables(own) | quota.variables("flux", settings)

    def virtual_variables(
        self, virtual: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Also the delays in words, which records tell."""
        return {"flux_virtual": {**virtual, "told": delays_told(virtual["delays"])}}

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """Also what only Fluxion has."""
        found = super().settings_problems(overrides)
        values = self.merged_settings(overrides)
        if found or values["scheduler"] == FLUXION:
            return found
        defaults = self.merged_settings({})
        return [
            Problem(
                key,
                text,
                "sched-simple, the scheduler in force, does not have it",
                f"add scheduler: {FLUXION}, or remove this key",
            )
            for key, text in overrides.items()
            for name in ("policy", "matchPolicy", "matchFormat")
            if key.lower() == name.lower() and text != defaults[name]
        ]

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """The role has `flux keygen` make the certificate, within the cluster."""

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """None: see `make_secrets`."""
        return {}
