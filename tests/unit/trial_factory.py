"""SYNTHETIC trial directories for tests, in the form that real trials leave behind.

Nothing here was measured. A first-come-first-served simulation with seeded delays writes the
driver's, the payload's, Slurm's and Prometheus' records; guests' clocks lie behind the
controller's and drift, as those of restored guests do.

    make_results(root)      the default sweep: 2 node counts x 4 workloads x 3 repetitions,
                            of which one trial failed
    make_trial(root, key)   one trial
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from record_factory import write_record
from simulated_cluster import SECOND, Guests, Run, daemon_cost, samples, simulate, slurm_log

from schedlab.config.model import Experiment
from schedlab.config.trials import TrialKey
from schedlab.paths import cluster_record, trace_file
from schedlab.results.records import beside, write_json
from schedlab.results.series import write_series
from schedlab.schedulers import get_scheduler
from schedlab.stages.context import Context
from schedlab.stages.pace import decision_parent, write_paced
from schedlab.workloads import read_trace

ROOT = Path(__file__).resolve().parents[2]
START = 1_790_000_000_000_000_000
"""Controller's clock at the start of the first trial, ns."""
PATIENCE = 30.0
"""s from the last job's end to the trial's limit, in trials with unfinished jobs."""
FAILED = "slurm-n2.gang.2"
"""The trial of `make_results` that is invalid."""


def make_experiment(**changes: Any) -> Experiment:
    """Experiment of the synthetic sweep; `changes` replace top-level keys."""
    content: dict[str, Any] = {
        "name": "synthetic",
        "seed": 7,
        "repetitions": 3,
        "nodes": [1, 2],
        "workloads": [
            {"name": "burst", "kind": "burst", "jobs": 12, "runtime": 0},
            {"name": "poisson", "kind": "poisson", "jobs": 15, "rate": 2.0, "runtime": 0.5},
            {"name": "gang", "kind": "gang", "jobs": 6, "runtime": 1.0},
            {
                "name": "swf",
                "kind": "swf",
                "file": "resources/traces/sample.swf",
                "jobs": 10,
                "time_scale": 0.01,
            },
        ],
    }
    return Experiment.model_validate(content | changes)


def make_trial(
    root: Path,
    key: TrialKey,
    experiment: Experiment | None = None,
    *,
    order: int = 0,
    failed: bool = False,
    unfinished: int = 0,
) -> Path:
    """Write a synthetic trial directory `root`/trials/<cluster>/<workload>/<repetition>.

    Parameters
    ----------
    root : pathlib.Path
        The results folder.
    key : TrialKey
        Which trial.
    experiment : Experiment, optional
        By default `make_experiment()`.
    order : int
        Place in the order of trials.
    failed : bool
        The guests died half way: no stamps, no native records, no samples.
    unfinished : int
        So many of the last jobs never started; the trial's limit came `PATIENCE` s after the end of
        the others.
    """
    experiment = experiment or make_experiment()
    cluster = experiment.cluster(key.cluster)
    folder = root / "trials" / key.cluster / key.workload / str(key.repetition)
    folder.mkdir(parents=True)
    trace = experiment.trace(key.workload, cluster.nodes, key.repetition, ROOT, cluster.node.vcpus)
    made = root / trace_file(key.workload, experiment.machine_name(cluster), key.repetition)
    made.parent.mkdir(parents=True, exist_ok=True)
    trace.write(made)
    write_record(beside(made), root, "trace", made.stem, outputs=[made])
    shutil.copyfile(made, folder / "trace.json")
    if experiment.workload(key.workload).steps > 1:
        write_paced(Context(experiment, root), key, folder / "trace.json", folder / "trace.json")
        trace = read_trace(folder / "trace.json")
    scheduler = get_scheduler(cluster.scheduler)
    translations = [asdict(one) for one in scheduler.submissions(trace)]
    write_json(folder / "translations.json", {"submissions": translations})
    carriers = cluster.carried()
    # Virtual nodes have delays of their own.
    runs = simulate(trace, trace.seed + 1000 * len(carriers))
    ran = runs[: len(runs) - unfinished]
    seconds = max(run.completed for run in ran) + (PATIENCE if unfinished else 0.2)
    start_ns = START + order * 100 * SECOND + 123_456_789
    end_ns = start_ns + round(seconds * SECOND)
    names = list(cluster.machines())
    guests = Guests(names, start_ns, end_ns)

    def head(second: float) -> int:
        return guests.at("head", start_ns + round(second * SECOND))

    driver = folder / "driver"
    driver.mkdir()
    kept = runs[: len(runs) // 2] if failed else runs
    rows = [
        {
            "job": run.job.job,
            "intended_ns": head(run.job.arrival),
            "submit_ns": head(run.submit),
            "accepted_ns": head(run.accepted),
            "native_id": str(run.native),
            "returncode": 0,
            "stderr": "",
        }
        for run in kept
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (driver / "submissions.jsonl").write_text(text)
    machine = {
        name: {"cpus": guest.vcpus, "memory_mib": guest.memory_mib - 60, "boot": f"boot-{name}"}
        for name, guest in cluster.machines().items()
    }
    conditions: dict[str, Any] = {
        "accelerator": "tcg",
        "campaign": "2026-09-21T14:00:00+00:00",
        "declared": {
            name: {"cpus": guest.vcpus, "memory_mib": guest.memory_mib}
            for name, guest in cluster.machines().items()
        },
        "machine": {"start": machine, "end": machine},
        "limit": seconds if unfinished else 600.0,
        "health": {} if unfinished else {"after": []},
        "not_taken": [],
        "observed_seconds": seconds + 2,
        "scraped": {f"node/{name}": float(int(seconds + 2)) for name in names},
        "host": {
            "cores": 2,
            "cpu": "Synthetic processor",
            "kernel": "0.0-synthetic",
            "memory_mib": 24576,
            "system": "Synthetic system",
            "boot": "5f0c3a9d7e21",
            "load_start": 0.4,
            "load_end": 2.1,
            "steal": 0.0,
            "during": {
                "processor": {"busy": 1.5 * seconds, "steal": 0.0, "idle": 0.5 * seconds},
                "emulators": {name: {"run_seconds": 1.4 * seconds / len(names)} for name in names},
                "own": 0.06 * seconds,
                "pressure": {"memory_full": 0.0},
                "swap": {"in": 0, "out": 0},
            },
        },
        "oversubscription": round(cluster.vcpus_total / 2, 3),
        "restore_seconds": 2.5,
        "resume_skew_ns": 1_500_000,
        "scrape_interval": 1.0,
        "start_ns": start_ns,
        "clock": guests.conditions(),
        "daemon_cost": {"start": daemon_cost(names, 0.0, carriers)},
    }
    if failed:
        for clock in conditions["clock"].values():
            del clock["end"]
    else:
        conditions["end_ns"] = end_ns
        conditions["daemon_cost"]["end"] = daemon_cost(names, seconds, carriers)
        write_json(
            driver / "driver.json",
            {
                "start_ns": head(0),
                "end_ns": head(seconds),
                "timed_out": bool(unfinished),
                "unfinished": [run.job.job for run in runs[len(ran) :]],
            },
        )
        carrier_of = {f"compute{n}": name for name, numbers in carriers.items() for n in numbers}
        _write_guest_records(folder, ran, guests, start_ns, carrier_of)
        with (folder / "native" / "scontrol-jobs.txt").open("a") as handle:
            for run in runs[len(ran) :]:
                handle.write(
                    f"JobId={run.native} JobName=job{run.job.job} JobState=PENDING"
                    f" Reason=Resources ExitCode=0:0 NumNodes={run.job.nodes}"
                    f" NumCPUs={run.job.cores} NumTasks={run.job.nodes}\n"
                )
        write_series(folder / "samples.json.gz", samples(names, start_ns, seconds + 2, trace.seed))
    reasons = ["the guest compute1 died\n  stage: trial\n  node: compute1"] if failed else []
    content = {
        "tools": {"prometheus": "0.0-synthetic"},
        "trial": {
            "cluster": key.cluster,
            "scheduler": cluster.scheduler,
            "variant": cluster.variant,
            "number": cluster.number,
            "workload": key.workload,
            "repetition": key.repetition,
            "nodes": cluster.nodes,
            "cpus_per_node": cluster.node.vcpus,
            "order": order,
            **({"carriers": len(carriers)} if carriers else {}),
        },
        "conditions": conditions,
        "verdict": {"valid": not failed, "reasons": reasons},
    }
    write_record(
        folder / "record.json",
        root,
        "trial",
        key.id,
        {
            "configured": root / cluster_record(key.cluster, "configured"),
            "trace": beside(made),
            **decision_parent(Context(experiment, root), key),
        },
        outputs=list(folder.iterdir()),
        created=datetime.fromtimestamp(start_ns // SECOND, UTC).isoformat(),
        duration=round(seconds + 20, 3),
        **content,
    )
    return folder


def _write_guest_records(
    folder: Path, runs: list[Run], guests: Guests, start_ns: int, carrier_of: dict[str, str]
) -> None:
    """Native records and payload stamps; those of virtual nodes lie on their carrier."""

    def at(node: str, second: float) -> int:
        return guests.at(node, start_ns + round(second * SECOND))

    native = folder / "native"
    native.mkdir()
    (native / "slurmctld.log").write_text(slurm_log(runs, lambda second: at("head", second)))
    (native / "scontrol-jobs.txt").write_text(
        "".join(
            f"JobId={run.native} JobName=job{run.job.job} JobState=COMPLETED Reason=None"
            f" ExitCode=0:0 NodeList={','.join(run.placement)} NumNodes={run.job.nodes}"
            f" NumCPUs={run.job.cores} NumTasks={run.job.nodes}\n"
            for run in runs
        )
    )
    (native / "slurm.conf").write_text("ClusterName=synthetic\nSchedulerType=sched/backfill\n")
    (native / "sdiag.txt").write_text(f"Jobs submitted: {len(runs)}\nJobs started: {len(runs)}\n")
    with (folder / "stamps.jsonl").open("w") as handle:
        for run in runs:
            for rank, node in enumerate(carrier_of.get(name, name) for name in run.placement):
                for event, second in (("first", run.first[rank]), ("last", run.last[rank])):
                    stamp = {
                        "node": node,
                        "event": event,
                        "job": run.job.job,
                        "rank": rank,
                        "clock_ns": at(node, second),
                        "cpus": run.job.cpus,
                    }
                    handle.write(json.dumps(stamp, sort_keys=True) + "\n")


def make_results(root: Path, experiment: Experiment | None = None) -> list[Path]:
    """Write the synthetic sweep below `root`; return the trial directories in run order.

    Trial `FAILED` is invalid. Tables are not made here: `schedlab.tables.build.build_tables`.
    """
    experiment = experiment or make_experiment()
    return [
        make_trial(root, key, experiment, order=order, failed=key.id == FAILED)
        for order, key in enumerate(experiment.trials())
    ]
