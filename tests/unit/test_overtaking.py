"""How urgent and wide jobs fared: their waits, and what overtook them."""

from __future__ import annotations

from typing import Any

import pytest
from job_factory import frame, ran
from workload_factory import TWO, mix

from schedlab.metrics import behaviour
from schedlab.metrics.trial_values import trial_metrics
from schedlab.workloads import Machine, Trace
from schedlab.workloads.priority import Priority


def test_who_overtakes_an_urgent_job() -> None:
    # The urgent job is due at 1 and starts at 4: those that start at 2 and 3 overtake it.
    normal = [ran(0, start, priority=0) for start in (0.5, 2, 3, 5)]
    jobs = frame(*normal, ran(1, 4, priority=1))
    chosen = behaviour.urgent(jobs)
    assert chosen.tolist() == [False] * 4 + [True]
    assert behaviour.median_wait(jobs, chosen) == (3.0, False)
    assert behaviour.overtaken(jobs, chosen) == 2.0


def test_the_highest_priority_is_urgent_also_below_0() -> None:
    assert behaviour.urgent(frame(ran(0, 1, priority=-2), ran(0, 1, priority=-1))).tolist() == [
        False, True
    ]  # fmt: skip


SLURM, AUDIT = "slurmctld.log: sched: Allocate (1 ms)", "audit.log: pods/binding answered (1 us)"


def placed(due: float, allocated: float, started: float, source: str = SLURM, **more: Any) -> Any:
    return ran(due, started, priority=0, **more) | {
        "allocated": allocated, "allocated_source": source
    }  # fmt: skip


def passed(urgent: dict[str, Any], *others: dict[str, Any]) -> float | None:
    jobs = frame(*others, urgent | {"priority": 1})
    return behaviour.overtaken(jobs, behaviour.urgent(jobs))


def test_jobs_of_one_scheduling_cycle_do_not_overtake_each_other_by_how_fast_they_start() -> None:
    # One cycle places the urgent job first; its payload is the last to start.
    others = [placed(0, 10.002, start) for start in (10.4, 10.5, 10.6)]
    assert passed(placed(1, 10.001, 10.7), *others) == 0
    before = placed(0, 9.0, 11.0)  # that starts late was placed before it all the same
    assert passed(placed(1, 10.001, 10.7), before, *others) == 1
    # One that was placed before the urgent job was due did not pass it, however late it started.
    assert passed(placed(9.5, 10.001, 10.7), before, *others) == 0


@pytest.mark.parametrize(
    ("apart", "source", "count"),
    [(0.001, SLURM, 0), (0.002, SLURM, 1), (0.001, AUDIT, 1), (0.0, AUDIT, 0)],
)
def test_records_tell_an_order_only_above_their_resolution(
    apart: float, source: str, count: int
) -> None:
    urgent = placed(1, 10.002, 10.7, source)
    assert passed(urgent, placed(0, 10.002 - apart, 10.4, source)) == count


def test_without_a_known_allocation_starts_count() -> None:
    other, unknown = placed(0, 10.002, 10.4), placed(0, 0.0, 10.5) | {"allocated": None}
    assert passed(placed(1, 10.001, 10.7), other, unknown) == 1
    assert passed(placed(1, 0.0, 10.7) | {"allocated": None}, other, unknown) == 2


def test_jobs_of_the_kind_priority_are_urgent_also_without_priority() -> None:
    workload = Priority(name="p", depth=1, runtime=1.0, urgent=1, at=0.0, level=0)
    trace = workload.generate(Machine(1, 2), 1)
    jobs = frame(
        *(ran(0, start, priority=0, user=job.user) for start, job in zip((1, 2, 3), trace.jobs,
                                                                        strict=True))
    )  # fmt: skip
    found = trial_metrics(jobs, trace, [], 5.0)
    assert (found["urgent_wait_s"], found["urgent_overtaken"]) == (3.0, 2.0)
    # In a mix the users are the parts' own, and priorities alone tell who is urgent.
    mixed = mix({"user": "urgent", "workload": {"kind": "burst", "jobs": 3}}).generate(TWO, 1)
    assert trial_metrics(jobs, mixed, [], 5.0)["urgent_wait_s"] is None


def test_a_wide_job_that_never_starts_is_overtaken_by_all_and_waits_to_the_end() -> None:
    jobs = frame(ran(0, 1), ran(3, 4), ran(2, None, nodes=2))
    chosen = behaviour.wide(jobs)
    assert behaviour.overtaken(jobs, chosen) == 1.0
    assert behaviour.median_wait(jobs, chosen, 50.0) == (48.0, True)


@pytest.mark.parametrize("level", [-1, 0, 1])
def test_jobs_that_are_alike_are_neither_urgent_nor_wide(level: int) -> None:
    jobs = frame(ran(0, 1, priority=level), ran(0, 1, priority=level))
    assert not behaviour.urgent(jobs).any() and not behaviour.wide(jobs).any()
    assert behaviour.overtaken(jobs, behaviour.wide(jobs)) is None


def test_the_metrics_of_a_trial_tell_how_urgent_jobs_fared() -> None:
    workload = Priority(name="p", depth=1, runtime=1.0, urgent=1, at=0.0)
    trace: Trace = workload.generate(Machine(1, 2), 1)
    jobs = frame(ran(0, 1, priority=0), ran(0, 2, priority=0), ran(0, 3, priority=1, user="urgent"))
    found = trial_metrics(jobs, trace, [], 5.0)
    assert (found["urgent_wait_s"], found["urgent_overtaken"]) == (3.0, 2.0)
    assert (found["wide_wait_s"], found["rate"]) == (None, None)
