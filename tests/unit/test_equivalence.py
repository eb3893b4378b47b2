"""The same neutral trace, read back from every adapter's translations and from its records.

The records are SYNTHETIC: made by hand from what each translation asks for, as its scheduler would
leave them; the end-to-end tests make the same comparison on real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import flux_factory as flux_made
import kubernetes_factory as made
import pytest
from kubernetes_factory import at

from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.base import Scheduler
from schedlab.schedulers.equivalence import (
    differences,
    of_records,
    of_trace,
    of_translations,
    wishes_of_trace,
    wishes_of_translations,
)
from schedlab.schedulers.rows import collect
from schedlab.workloads import Job, Machine, Trace

SHAPES = [(1, 1, 0.0), (2, 2, 1.5), (1, 2, 0.25), (1, 2, 0.25), (2, 1, 1.0)]
TRACE = Trace(
    "mixed",
    "gang",
    7,
    Machine(2, 2),
    tuple(
        Job(number, 0.1 * number, nodes, cpus, runtime, user=f"u{number % 2}")
        for number, (nodes, cpus, runtime) in enumerate(SHAPES)
    ),
)


def slurm_records(native: Path, asked: Sequence[Any]) -> list[str]:
    lines = [
        f"JobId={100 + number} JobName=job{number} JobState=COMPLETED ExitCode=0:0"
        f" NodeList={'compute[1-2]' if nodes == 2 else 'compute1'} NumNodes={nodes}"
        f" NumCPUs={nodes * cpus} NumTasks={nodes}"
        for number, (nodes, cpus, _) in enumerate(asked)
    ]
    (native / "scontrol-jobs.txt").write_text("\n".join(lines) + "\n")
    return [str(100 + number) for number in range(len(asked))]


def kubernetes_records(group: str) -> Callable[[Path, Sequence[Any]], list[str]]:
    def write(native: Path, asked: Sequence[Any]) -> list[str]:
        lines, objects = [], []
        end = ("Complete",) if group == "batch" else ("Completed",)
        for number, (nodes, cpus, runtime) in enumerate(asked):
            name = f"job{number}"
            lines.append(made.created(1.0, name, group))
            for rank in range(nodes):
                lines.append(made.bound(1.1, f"{name}-{rank}", f"compute{rank + 1}"))
                pod = made.pod_object(f"{name}-{rank}", f"compute{rank + 1}", str(cpus))
                objects.append(pod)
            lines.append(made.ended(3 + runtime, name, group, *end))
            objects.append(made.job_object(name, group, {}))
        (native / "audit.log").write_text("\n".join(lines) + "\n")
        (native / "objects.json").write_text(made.object_list(*objects))
        return [f"job{number}" for number in range(len(asked))]

    return write


def null_records(native: Path, asked: Sequence[Any]) -> list[str]:
    lines = [
        f"accepted {number} {at(1)} {nodes} {cpus}\ncompleted {number} {at(1) + 1}\n"
        for number, (nodes, cpus, _) in enumerate(asked, 1)
    ]
    (native / "jobs.log").write_text("".join(lines))
    return [str(number) for number in range(1, len(asked) + 1)]


def flux_records(native: Path, asked: Sequence[Any]) -> list[str]:
    lines = []
    for number, (nodes, cpus, _) in enumerate(asked):
        names, ranks = ("compute[1-2]", "1-2") if nodes == 2 else ("compute1", "1")
        cores = "0-1" if cpus == 2 else "1"
        found = flux_made.resources(names, ranks, cores)
        lines.append(flux_made.log_line(7000 + number, flux_made.ended(), found))
    (native / "eventlogs.jsonl").write_text("".join(lines))
    return [str(7000 + number) for number in range(len(asked))]


RECORDS = {
    "flux": flux_records,
    "nullscheduler": null_records,
    "slurm": slurm_records,
    "kubernetes": kubernetes_records("batch"),
    "volcano": kubernetes_records("batch.volcano.sh"),
}


def translations(scheduler: Scheduler) -> list[dict[str, Any]]:
    return [asdict(scheduler.translate(job, TRACE)) for job in TRACE.jobs]


def test_every_registered_adapter_is_compared() -> None:
    assert sorted(RECORDS) == scheduler_names()


@pytest.mark.parametrize("name", scheduler_names())
def test_translations_ask_for_the_trace(name: str) -> None:
    scheduler = get_scheduler(name)
    assert not differences(of_trace(TRACE), of_translations(scheduler, translations(scheduler)))


def test_both_ways_of_submission_to_slurm_ask_for_the_trace() -> None:
    for way in ("api", "cli"):
        scheduler = get_scheduler("slurm", {"submission": way})
        entries = translations(scheduler)
        assert all(bool(entry["request"]) == (way == "api") for entry in entries)
        assert not differences(of_trace(TRACE), of_translations(scheduler, entries))


@pytest.mark.parametrize("name", scheduler_names())
def test_records_tell_the_trace(name: str, tmp_path: Path) -> None:
    scheduler = get_scheduler(name)
    entries = translations(scheduler)
    asked = [scheduler.read_back(entry) for entry in entries]
    native = tmp_path / "native"
    native.mkdir()
    ids = RECORDS[name](native, [request[:3] for request in asked])
    driver = [
        {
            "job": entry["job"],
            "intended_ns": at(entry["arrival"]),
            "submit_ns": at(entry["arrival"]),
            "accepted_ns": at(entry["arrival"] + 0.01),
            "native_id": ids[entry["job"]],
            "returncode": 0,
            "stderr": "",
        }
        for entry in entries
    ]
    stamps = [
        {
            "node": f"compute{rank + 1}", "event": event, "job": number, "rank": rank, "cpus": 1,
            # The ranks start one after the other: the runtime is each rank's, not the job's.
            "clock_ns": at(2 + rank + (request.runtime + 0.002 if event == "last" else 0)),
        }
        for number, request in enumerate(asked)
        for rank in range(request.nodes)
        for event in ("first", "last")
    ]  # fmt: skip
    rows = collect(scheduler, native, stamps, entries, driver)
    assert {row["state"] for row in rows} == {"COMPLETED"}
    ran = of_records(rows, at(0))
    assert not differences(of_trace(TRACE), ran, tolerance=0.01)
    assert differences(of_trace(TRACE), ran), "runtimes of real payloads are never exact"


WISHES = Trace(
    "wishes",
    "gang",
    7,
    Machine(2, 2),
    (
        Job(0, 0.0, 1, 1, 1.0, user="ann", walltime=61.0),
        Job(1, 0.0, 1, 1, 1.0, user="bob", priority=1, walltime=120.0),
        Job(2, 0.5, 1, 1, 1.0, priority=-1, walltime=59.0, array=0),
        Job(3, 0.5, 1, 1, 1.0, priority=-1, walltime=59.0, array=0),
        Job(4, 1.0, 1, 1, 1.0, after=(0,), think=2.0),
    ),
)


@pytest.mark.parametrize("name", scheduler_names())
def test_translations_ask_for_users_priorities_dependencies_arrays_and_limits(name: str) -> None:
    scheduler, trace = get_scheduler(name), WISHES
    if scheduler.dependencies:
        held = Job(5, 1.0, 1, 1, 1.0, after=(0, 1))
        trace = replace(WISHES, jobs=(*WISHES.jobs, held))
    if scheduler.requeues:
        again = Job(len(trace.jobs), 2.0, 1, 1, 1.0, requeue=True)
        trace = replace(trace, jobs=(*trace.jobs, again))
    entries = [asdict(entry) for entry in scheduler.submissions(trace)]
    assert len(entries) == len(trace.jobs) - scheduler.arrays
    assert wishes_of_trace(trace) == wishes_of_translations(scheduler, entries)
    assert not differences(of_trace(trace), of_translations(scheduler, entries))


@pytest.mark.parametrize("name", scheduler_names())
def test_what_a_scheduler_has_no_notion_of_is_refused(name: str) -> None:
    scheduler = get_scheduler(name)
    jobs = (Job(0, 0.0, 1, 1, 1.0), Job(1, 0.0, 1, 1, 1.0, after=(0,)))
    trace = Trace("w", "gang", 1, Machine(1, 1), jobs)
    found = scheduler.refusals(trace, {})
    assert [problem.key for problem in found] == ([] if scheduler.dependencies else ["after"])
    wanted = (Job(0, 0.0, 1, 1, 1.0, priority=scheduler.priorities[1] + 1),)
    (problem,) = scheduler.refusals(Trace("w", "gang", 1, Machine(1, 1), wanted), {})
    assert problem.key == "priority" and problem.remedy
    again = Trace("w", "gang", 1, Machine(1, 1), (Job(0, 0.0, 1, 1, 1.0, requeue=True),))
    found = scheduler.refusals(again, {})
    assert [problem.key for problem in found] == ([] if scheduler.requeues else ["requeue"])


def test_differences_are_found() -> None:
    jobs = of_trace(TRACE)
    assert differences(jobs, jobs[1:])
    changed = [jobs[0]._replace(cpus=2), *jobs[1:]]
    assert differences(jobs, changed) == [f"{jobs[0]} against {changed[0]}"]
