"""Jobs that are there before the workload: their plan, and whether they were there."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest
from job_factory import frame, ran
from workload_factory import TWO

from schedlab.errors import SchedlabError
from schedlab.metrics.trial_values import trial_metrics
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.tables.background import background_check
from schedlab.tables.schemas import FAILED, PASSED
from schedlab.workloads import Machine
from schedlab.workloads.background import Background
from schedlab.workloads.burst import Burst
from schedlab.workloads.duration import earliest_end
from schedlab.workloads.gang import Gang
from schedlab.workloads.registry import workload_from


def filled(**changes: Any) -> Burst:
    return Burst(name="b", jobs=2, background=Background(filled="80 %", **changes))


def test_a_background_is_there_before_the_workload() -> None:
    trace = filled(pending=3, settle=10.0, rate=1.0).generate(TWO, 1)
    filler, *waiting = [job for job in trace.jobs if job.background]
    assert (filler.arrival, filler.nodes, filler.cpus) == (0.0, 2, 3)
    assert [job.arrival for job in waiting] == [10.0, 11.0, 12.0]
    # They want the whole machine, so they cannot start beside the filler.
    assert {(job.nodes, job.cpus, job.priority) for job in waiting} == {(2, 4, -1)}
    assert [(job.job, job.arrival) for job in trace.measured] == [(4, 23.0), (5, 23.0)]
    assert trace.scale["background"]["filled"] == 0.75
    assert trace.scale["background"]["filled_asked"] == 0.8


@pytest.mark.parametrize("name", scheduler_names())
def test_every_scheduler_can_be_given_a_background(name: str) -> None:
    trace = filled(pending=2).generate(TWO, 1)
    entries = [asdict(entry) for entry in get_scheduler(name).submissions(trace)]
    assert [entry["background"] for entry in entries] == [True] * 3 + [False] * 2


def test_jobs_that_do_not_fit_beside_the_background_are_refused() -> None:
    workload = Gang(name="g", background=Background(filled="50 %"))
    with pytest.raises(SchedlabError, match="can never start") as caught:
        workload.generate(TWO, 1)
    assert "background.filled" in str(caught.value.remedy)
    with pytest.raises(SchedlabError, match="one processor"):
        filled().generate(Machine(2, 1), 1)


@pytest.mark.parametrize(
    ("name", "background", "objects"),
    [
        # Of 2 pods each there can be 30 + 20 (269 / 50 + 20), and of pod groups 100 + 50 (1 + 20).
        ("kubernetes", {"pending": 269}, 538),
        ("kubernetes", {"pending": 268}, 0),
        ("kubernetes", {"pending": 269, "rate": 10.0}, 0),
        ("volcano", {"pending": 1200, "rate": 1200.0}, 1200),
        ("volcano", {"pending": 1000, "rate": 1000.0}, 0),
        ("slurm", {"pending": 5000, "rate": 1000.0}, 0),
    ],
)
def test_no_more_jobs_wait_than_the_controller_can_have_made(
    name: str, background: dict[str, Any], objects: int
) -> None:
    """On two nodes, by the limits of its requests, until the workload begins."""
    trace = filled(**background).generate(TWO, 1)
    found = get_scheduler(name).refusals(trace, {})
    assert [(one.key, one.value) for one in found] == [
        ("background.pending", background["pending"])
    ] * bool(objects)
    if found:
        assert f"creates {objects} objects" in found[0].what
        needed = re.search(r"controllerQps to (\d+) or more", found[0].remedy)
        assert needed and not get_scheduler(name).refusals(trace, {"controllerQps": needed[1]})


def test_jobs_that_would_stand_behind_those_that_wait_are_refused() -> None:
    """Where jobs go strictly in order, nothing passes jobs of its own priority that never start."""
    low, high = (
        {"user": user, "priority": priority, "workload": {"kind": "burst", "jobs": 2}}
        for user, priority in (("ann", -1), ("bob", 0))
    )
    spec = {"name": "m", "kind": "mix", "background": {"filled": "50 %", "pending": 2}}
    mix = workload_from({**spec, "parts": [high, low]})
    with pytest.raises(SchedlabError, match="job 2 of workload m has priority -1") as caught:
        mix.generate(TWO, 1)
    assert "the lowest is 0, or set background.pending to 0" in str(caught.value.remedy)
    assert workload_from({**spec, "parts": [high]}).generate(TWO, 1)
    alone = {**spec, "background": {"filled": "50 %"}, "parts": [high, low]}
    assert workload_from(alone).generate(TWO, 1)


@pytest.mark.parametrize(
    ("filler", "waiting", "verdict", "words"),
    [
        ({"started": 5}, {}, PASSED, ""),
        ({}, {}, FAILED, "1 of 2 jobs of the background did not run"),
        ({"started": 50}, {}, FAILED, "did not run when the workload began"),
        ({"started": 5, "finished": 60}, {}, FAILED, "ended before the workload"),
        ({"started": 5}, {"started": 60}, FAILED, "should have waited"),
    ],
)
def test_a_background_that_was_not_there_makes_the_trial_invalid(
    filler: dict[str, int], waiting: dict[str, int], verdict: str, words: str
) -> None:
    trace = filled(pending=1).generate(TWO, 1)
    check = background_check([{"job": 0, **filler}, {"job": 1, **waiting}], trace, 40)
    assert check.verdict == verdict
    assert words in check.reason


def test_the_least_time_counts_what_the_background_leaves() -> None:
    crowded = Burst(name="b", jobs=30, runtime=4.0, background=Background(filled="75 %", settle=5))
    bound = earliest_end(crowded.generate(Machine(1, 4), 1))
    assert bound.seconds == 5 + 30 * 4.0
    assert "keeps 1 processors busy" in bound.why


def test_what_a_background_takes_is_no_idle_core_and_no_core_for_the_ideal_time() -> None:
    """Of 4 cores 3 are the background's, and the fourth is busy all the time."""
    trace = Burst(
        name="b", jobs=2, runtime=10.0, background=Background(filled="75 %", settle=0.0)
    ).generate(Machine(1, 4), 1)
    found = trial_metrics(frame(ran(0, 0, 10.0), ran(0, 10, 10.0)), trace, [], 20.0)
    assert found["fragmentation"] == 0
    assert found["area_bound_s"] == found["makespan_s"] == 20
    # Of all cores.
    assert found["utilisation"] == 0.25
