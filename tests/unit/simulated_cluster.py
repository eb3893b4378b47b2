"""SYNTHETIC cluster of the synthetic trials: its clocks, its jobs, its log and its series."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from schedlab.workloads import Job, Trace

SECOND = 1_000_000_000
BEHIND = -3_600 * SECOND
"""Guest clock minus controller clock, ns: guests go on from the instant of their snapshot."""


@dataclass
class Guests:
    """Clocks of the nodes: `offset(node, t)` is guest minus controller, linear in time.

    Parameters
    ----------
    nodes : list of str
        Names, the head first.
    start, end : int
        Controller's clock at the two measurements, ns.
    """

    nodes: list[str]
    start: int
    end: int
    uncertainty_ns: int = 400_000
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, node in enumerate(self.nodes):
            self.first[node] = BEHIND + index * 3_000_000
            self.last[node] = self.first[node] + index * 2_000_000

    def at(self, node: str, controller_ns: int) -> int:
        """Guest clock at an instant of the host's clock, ns."""
        passed = (controller_ns - self.start) / (self.end - self.start)
        drift = round((self.last[node] - self.first[node]) * passed)
        return controller_ns + self.first[node] + drift

    def conditions(self) -> dict[str, Any]:
        """The record's `clock`."""
        return {
            node: {
                "start": {"offset_ns": self.first[node], "uncertainty_ns": self.uncertainty_ns},
                "end": {"offset_ns": self.last[node], "uncertainty_ns": self.uncertainty_ns},
            }
            for node in self.nodes
        }


@dataclass
class Run:
    """A simulated job; instants in s after the trial's start, host's clock."""

    job: Job
    native: int
    submit: float
    accepted: float
    allocated: float
    placement: list[str]
    first: list[float]
    last: list[float]
    completed: float


def simulate(trace: Trace, seed: int) -> list[Run]:
    """First come, first served, on the trace's machine, with seeded overheads."""
    rng = random.Random(f"synthetic/{seed}")
    names = [f"compute{number}" for number in range(1, trace.machine.nodes + 1)]
    # When each core of each node becomes free.
    cores = {name: [0.0] * trace.machine.cpus_per_node for name in names}
    runs: list[Run] = []
    previous = 0.0
    for job in trace.jobs:
        submit = job.arrival + rng.uniform(0.001, 0.003)
        accepted = submit + rng.uniform(0.08, 0.16)
        ready = {name: sorted(free)[job.cpus - 1] for name, free in cores.items()}
        chosen = sorted(sorted(ready, key=lambda name: (ready[name], name))[: job.nodes])
        possible = max(accepted, previous, *(ready[name] for name in chosen))
        allocated = previous = possible + rng.uniform(0.005, 0.06)
        first = [allocated + rng.uniform(0.08, 0.2) for _ in chosen]
        last = [start + job.runtime + rng.uniform(0.001, 0.004) for start in first]
        completed = max(last) + rng.uniform(0.02, 0.08)
        for name in chosen:
            free = cores[name]
            for index in sorted(range(len(free)), key=free.__getitem__)[: job.cpus]:
                free[index] = completed
        runs.append(
            Run(
                job, job.job + 3, submit, accepted, allocated, chosen, first, last, completed
            )  # jobs 1 and 2 are the health gate's
        )
    return runs


def _stamp(guest_ns: int) -> str:
    moment = datetime.fromtimestamp(guest_ns // SECOND, UTC)
    return f"[{moment:%Y-%m-%dT%H:%M:%S}.{guest_ns % SECOND // 1_000_000:03d}]"


def slurm_log(runs: list[Run], at: Any) -> str:
    """slurmctld's log of a simulation; `at` turns s after the start into the head's clock."""
    lines: list[tuple[int, str]] = []
    for run in runs:
        number = run.native
        processors = run.job.cores
        nodes = ",".join(run.placement)
        lines += [
            (
                at(run.accepted - 0.01),
                f"_slurm_rpc_submit_batch_job: JobId={number} InitPrio={4294901760 - number}"
                " usec=812",
            ),
            (
                at(run.allocated),
                f"sched: Allocate JobId={number} NodeList={nodes} #CPUs={processors}"
                " Partition=batch",
            ),
            (at(run.completed) - 1_000_000, f"_job_complete: JobId={number} WEXITSTATUS 0"),
            (at(run.completed), f"_job_complete: JobId={number} done"),
        ]
    return "".join(f"{_stamp(when)} {text}\n" for when, text in sorted(lines))


def samples(nodes: list[str], start_ns: int, seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    """Series of node_exporter and of the cost exporter, with one sample each second."""
    rng = random.Random(f"samples/{seed}")
    times = [start_ns / 1e9 + step for step in range(int(seconds) + 1)]
    for node in nodes:
        processes = ("slurmctld", "munged") if node == "head" else ("slurmd", "munged")
        rates = {"slurmctld": 0.12, "slurmd": 0.03, "munged": 0.005}
        base = {"instance": node, "cluster": "synthetic"}
        busy = rng.uniform(0.2, 0.6)
        for mode, rate in (("user", busy), ("idle", 1.0 - busy)):
            yield {
                "metric": "node_cpu_seconds_total",
                "labels": base | {"job": "node", "cpu": "0", "mode": mode},
                "values": [[t, 100 + index * rate] for index, t in enumerate(times)],
            }
        for process in processes:
            labels = base | {"job": "schedlab", "process": process}
            yield {
                "metric": "schedlab_process_cpu_seconds_total",
                "labels": labels,
                "values": [[t, 5 + index * rates[process]] for index, t in enumerate(times)],
            }
            yield {
                "metric": "schedlab_process_resident_memory_bytes",
                "labels": labels,
                "values": [[t, 2e7 + 1e5 * rng.random()] for t in times],
            }
        of_node = base | {"job": "node"}
        for metric, labels, first, rate in (
            ("node_memory_MemTotal_bytes", {}, 2.0**30, 0.0),
            ("node_memory_MemAvailable_bytes", {}, 0.75 * 2.0**30, 0.0),
            ("node_network_receive_bytes_total", {"device": "eth0"}, 1e6, 2e4),
            ("node_network_transmit_bytes_total", {"device": "eth0"}, 1e6, 1e4),
            ("node_network_receive_bytes_total", {"device": "lo"}, 1e6, 9e9),
        ):
            yield {
                "metric": metric,
                "labels": of_node | labels,
                "values": [[t, first + index * rate] for index, t in enumerate(times)],
            }


def daemon_cost(
    nodes: list[str], seconds: float, carried: Mapping[str, list[int]] | None = None
) -> dict[str, Any]:
    counts = {node: len(numbers) for node, numbers in (carried or {}).items()}
    return {
        node: {
            process: {
                "cpu_seconds": round(5 + rate * seconds, 2),
                "rss_bytes": 21_000_000.0,
                "peak_rss_bytes": 24_000_000.0,
                **(
                    {"processes": float(counts[node]), "starts": float(counts[node])}
                    if node in counts and process == "slurmd"
                    else {}
                ),
            }
            for process, rate in (
                {"slurmctld": 0.12, "munged": 0.005}
                if node == "head"
                else {"slurmd": 0.03, "munged": 0.005}
            ).items()
        }
        for node in nodes
    }
