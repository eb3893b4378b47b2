"""Limits in force in the schedulers, and the settings that lift them."""

from __future__ import annotations

from typing import Any

import pytest

from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.limits import Cycle

DEFER = "defer,sched_min_interval=100000,"


@pytest.mark.parametrize(
    ("parameters", "cycles"),
    [
        ("sched_min_interval=3000000,default_queue_depth=50", [(3.0, 50), (30.0, 500)]),
        # Ends of jobs begin no cycle: the background loop does, the whole queue's or the short one.
        (DEFER + "sched_interval=10,batch_sched_delay=20", [(10.0, None), (30.0, 500)]),
        (DEFER + "sched_interval=60,batch_sched_delay=5", [(5.0, 100), (30.0, 500)]),
        (DEFER + "batch_sched_delay=0,bf_interval=-1", [(1.0, 100)]),
        ("sched_interval=-1,bf_interval=7,bf_max_job_start=3", [(7.0, 3)]),
        ("sched_max_job_start=2,partition_job_depth=9,bf_interval=-1", [(2e-6, 2)]),
        ("sched_min_interval=x", [(2e-6, 100), (30.0, 500)]),
    ],
)
def test_slurms_cycles_follow_its_parameters(parameters: str, cycles: list[Any]) -> None:
    slurm = get_scheduler("slurm", {"SchedulerParameters": parameters})
    (limit,) = slurm.limits(slurm.in_force, {})
    assert [(one.period, one.jobs) for one in limit.cycles] == cycles
    (recorded,) = slurm.limits({"schedulerparameters": parameters}, {})
    assert recorded == limit


def test_without_backfill_slurm_has_one_cycle() -> None:
    slurm = get_scheduler("slurm", {"SchedulerType": "sched/builtin"})
    assert len(slurm.limits(slurm.in_force, {})[0].cycles) == 1
    assert slurm.limits({}, {}) == []


def test_slurms_periods_are_shortened_and_its_depths_increased() -> None:
    text = "defer,sched_interval=20,batch_sched_delay=4,bf_continue,bf_max_job_test=200000"
    (lift,) = get_scheduler("slurm", {"SchedulerParameters": text}).lifts()
    assert lift.settings["SchedulerParameters"] == (
        "defer,sched_interval=2,batch_sched_delay=1,bf_continue,bf_max_job_test=1000000,"
        "sched_min_interval=1,default_queue_depth=1000,bf_interval=3"
    )


def test_volcanos_cycle_is_needed_twice_where_it_admits_jobs() -> None:
    volcano = get_scheduler("volcano", {"schedulePeriod": "5s"})
    period = volcano.limits(volcano.in_force, {})[-1]
    assert (period.setting, period.cycles) == ("schedulePeriod", (Cycle(5.0, turns=2),))
    recorded = {"vc-scheduler --schedule-period": "500ms", "actions": "allocate"}
    assert volcano.limits(recorded, {})[-1].cycles == (Cycle(0.5),)
    assert [dict(lift.settings) for lift in volcano.lifts()][-1] == {"schedulePeriod": "500ms"}


@pytest.mark.parametrize(
    ("settings", "depth", "lifted"),
    [
        ({}, 8, "80"),
        ({"scheduler": "fluxion"}, 32, "320"),
        ({"scheduler": "fluxion", "queueDepth": "500000"}, 500_000, "1000000"),
    ],
)
def test_fluxs_depth_is_a_limit_without_a_period(
    settings: dict[str, str], depth: int, lifted: str
) -> None:
    flux = get_scheduler("flux", settings)
    (limit,) = flux.limits(flux.in_force, {})
    assert limit.cycles == (Cycle(None, depth),)
    assert flux.limits({"queue-depth": str(depth)}, {}) == [limit]
    assert flux.limits({"queue-depth": "unknown"}, {}) == []
    assert [dict(lift.settings) for lift in flux.lifts()] == [{"queueDepth": lifted}]


@pytest.mark.parametrize("name", scheduler_names())
def test_every_lift_raises_a_limit_and_may_be_written(name: str) -> None:
    before = get_scheduler(name)
    for lift in before.lifts():
        after = get_scheduler(name, {**before.in_force, **lift.settings})
        assert after.limits(after.in_force, {}) != before.limits(before.in_force, {})
        assert not before.settings_problems(lift.settings)
        assert {one.setting for one in before.limits(before.in_force, {})} & set(lift.settings)
