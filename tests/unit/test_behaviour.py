"""Mixes, backgrounds, and workloads that show how jobs and users are treated."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_metrics import frame

from schedlab.errors import SchedlabError
from schedlab.metrics import behaviour
from schedlab.metrics.trial_values import trial_metrics
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.tables.background import background_check
from schedlab.tables.schemas import FAILED, PASSED
from schedlab.workloads import Machine, Trace, workload_from
from schedlab.workloads.background import Background
from schedlab.workloads.burst import Burst
from schedlab.workloads.constant import Constant
from schedlab.workloads.duration import earliest_end
from schedlab.workloads.fairness import Fairness
from schedlab.workloads.gang import Gang
from schedlab.workloads.priority import Priority
from schedlab.workloads.registry import Workload
from schedlab.workloads.starvation import Starvation

ROOT = Path(__file__).resolve().parents[2]
TWO = Machine(2, 4)


def mix(*parts: dict[str, Any]) -> Any:
    return workload_from({"kind": "mix", "name": "m", "parts": list(parts)})


ANN = {"user": "ann", "share": 3.0, "workload": {"kind": "burst", "jobs": 3, "runtime": 2.0}}
BOB = {"user": "bob", "priority": 1, "workload": {"kind": "array", "jobs": 2, "runtime": 1.0}}


def test_a_mix_has_the_jobs_of_all_users_in_order_of_arrival() -> None:
    late = {"user": "cid", "workload": {"kind": "poisson", "jobs": 4, "rate": 1.0}}
    trace = mix(late, ANN, BOB).generate(TWO, 1)
    assert [job.job for job in trace.jobs] == list(range(9))
    assert [job.user for job in trace.jobs[:6]] == ["cid", "ann", "ann", "ann", "bob", "bob"]
    assert [job.user for job in trace.jobs[6:]] == ["cid"] * 3
    assert {job.priority for job in trace.jobs if job.user == "bob"} == {1}
    assert [job.array for job in trace.jobs if job.user == "bob"] == [0, 0]
    assert trace.scale["shares"] == {"cid": 0.2, "ann": 0.6, "bob": 0.2}
    assert trace.scale["asked"] == pytest.approx({"cid": 1 / 3, "ann": 0.5, "bob": 1 / 6})


def test_a_part_of_a_mix_does_not_change_the_others() -> None:
    one = {"user": "ann", "workload": {"kind": "poisson", "jobs": 9}}
    two = {"user": "bob", "workload": {"kind": "poisson", "jobs": 5}}
    alone = [job.arrival for job in mix(one).generate(TWO, 1).jobs]
    both = [job.arrival for job in mix(one, two).generate(TWO, 1).jobs if job.user == "ann"]
    assert alone == both


def test_faults_of_parts_are_told_at_their_keys() -> None:
    wide = {"user": "ann", "share": 2.0, "workload": {"kind": "poisson", "sizes": [99]}}
    found = mix(ANN, wide).problems([TWO], ROOT)
    assert [problem.key for problem in found] == [
        "parts[1].workload.sizes[0]", "parts[1].share"
    ]  # fmt: skip
    with pytest.raises(ValueError):
        mix({"user": "ann", "workload": {"kind": "mix", "parts": [ANN]}})


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


def test_urgent_jobs_meet_a_full_queue() -> None:
    workload = Priority(name="p", depth=4, runtime=2.0, urgent=2, at=3.0)
    jobs = workload.generate(TWO, 1).jobs
    assert len([job for job in jobs if job.priority == 0 and job.arrival == 0]) == 32
    assert [(job.arrival, job.priority) for job in jobs[32:]] == [(3.0, 1), (4.0, 1)]
    assert not workload.problems([TWO], ROOT)
    (problem,) = workload.model_copy(update={"depth": 2}).problems([TWO], ROOT)
    assert (problem.key, problem.remedy[:24]) == ("depth", "set depth to at least 4,")


def test_a_wide_job_comes_among_narrow_ones_that_ask_for_more_than_the_machine() -> None:
    workload = Starvation(name="s", length=40.0, load=1.25, runtime=4.0, at=8.0)
    jobs = workload.generate(TWO, 1).jobs
    wide = [job for job in jobs if job.cores > 1]
    assert [(job.arrival, job.cores) for job in wide] == [(8.0, 8)]
    assert len(jobs) - 1 == 40 * 1.25 * 8 / 4
    assert [problem.key for problem in workload.problems([Machine(1, 1)], ROOT)] == ["kind"]


def test_long_jobs_hold_half_of_the_machine_while_the_wide_job_waits() -> None:
    workload = Starvation(
        name="s", length=120.0, load=0.5, runtime=15.0, at=10.0, long_runtime=90.0
    )
    jobs = workload.generate(TWO, 1).jobs
    long = [job for job in jobs if job.user == "long"]
    assert [(job.arrival, job.cores, job.runtime) for job in long] == [(0.0, 1, 90.0)] * 4
    wide = next(job for job in jobs if job.user == "wide")
    narrow = [job for job in jobs if job.user not in ("long", "wide")]
    assert wide.job > max(job.job for job in long)
    # By their limits, narrow jobs end before the long ones, also if they start after the wide job
    # is due and limits are rounded up to minutes.
    (least,) = {job.walltime for job in narrow}
    assert least is not None and long[0].walltime is not None
    assert wide.arrival + 60 * -(-least // 60) < long[0].walltime
    early = Starvation(name="s", at=8.0, long_runtime=8.0)
    assert [problem.key for problem in early.problems([TWO], ROOT)] == ["long_runtime"]


def test_users_of_equal_shares_come_one_after_the_other() -> None:
    trace = Fairness(name="f", users=2, jobs=1, interval=0.5).generate(TWO, 1)
    assert [job.user for job in trace.jobs] == ["u1"] * 8 + ["u2"] * 8
    assert trace.scale["shares"] == {"u1": 0.5, "u2": 0.5}


def ran(due: float, started: float | None, length: float = 1.0, **more: Any) -> dict[str, Any]:
    row = {"intended": due, "submit": due, "accepted": due, "started": started, **more}
    if started is None:
        return row | {"state": "UNFINISHED"}
    end = started + length
    return row | {"allocated": started, "finished": end, "completed": end}


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


def shared(*starts: tuple[str, float]) -> dict[str, float | None]:
    """Two processors; every job lasts 1 s and is due at 0."""
    jobs = frame(*(ran(0, start, user=user) for user, start in starts))
    return behaviour.sharing(jobs, {})


def test_equal_use_by_equal_users_is_fair() -> None:
    alternately = shared(*(("u1", n) for n in range(4)), *(("u2", n) for n in range(4)))
    assert alternately == {"share_jain": 1.0, "share_gap": 0.0}


@pytest.mark.parametrize(
    ("end", "fair"),
    [
        ({"state": "TIMEOUT", "completed": 60.0}, True),
        ({"state": "UNFINISHED"}, True),  # to the end of the observed time, as long as the other
        ({"state": "FAILED", "given_up": [60 * 10**9]}, True),
        ({"state": "FAILED", "completed": 20.0}, False),
        ({"state": "LOST"}, None),
    ],
)
def test_a_job_without_a_last_stamp_had_its_processor(
    end: dict[str, Any], fair: bool | None
) -> None:
    one = ran(0, 0, 60.0, user="u1")
    other = {name: value for name, value in ran(0, 0, user="u2").items()
             if name not in ("finished", "completed")}  # fmt: skip
    waiting = [ran(0, None, user=user) | {"state": "UNFINISHED"} for user in ("u1", "u2")]
    late = [ran(0, 60, user="u1"), ran(0, 60, user="u2")]
    jobs = frame(one, other | end, *waiting, *late)
    found = behaviour.sharing(jobs, {}, 60.0)["share_jain"]
    assert found == (None if fair is None else pytest.approx(1.0 if fair else 0.8))


def test_one_user_before_the_other_is_unfair() -> None:
    first = shared(*(("u1", n) for n in range(4)), *(("u2", n + 4) for n in range(4)))
    # Until the first user's last job starts at 3 s, the other has nothing.
    assert first == {"share_jain": 0.5, "share_gap": 0.5}


def test_time_is_contended_only_while_every_user_has_a_job_that_waits() -> None:
    # ann has nothing that waits from 2.5 to 20.
    ann = [ran(2, 2.5, user="ann"), ran(20, 20.5, user="ann")]
    bob = [ran(0, 0, 30.0, user="bob"), ran(0, 30, user="bob")]
    window = behaviour.contended(frame(*ann, *bob))
    assert list(zip(window.begin, window.end, strict=True)) == [(2.0, 2.5), (20.0, 20.5)]
    assert window.before(np.array([1.0, 2.25, 10.0, 20.25, 99.0])).tolist() == [
        0, 0.25, 0.5, 0.75, 1.0
    ]  # fmt: skip
    # In 1 s of 30 s next to nothing of the use was decided.
    assert behaviour.sharing(frame(*ann, *bob), {}) == {"share_jain": None, "share_gap": None}


def test_use_at_other_times_is_none_of_the_shares() -> None:
    """Two processors: from 4 to 20 s ann has no job that waits, and bob has all."""
    ann = [ran(0, n, user="ann") for n in range(5)] + [
        ran(20, 20 + n, user="ann") for n in range(3)
    ]
    bob = [ran(0, n, user="bob") for n in range(24)] + [ran(0, n, user="bob") for n in range(5, 20)]
    jobs = frame(*ann, *bob)
    window = behaviour.contended(jobs)
    assert list(zip(window.begin, window.end, strict=True)) == [(0.0, 4.0), (20.0, 22.0)]
    assert behaviour.sharing(jobs, {}) == {"share_jain": 1.0, "share_gap": 0.0}


@pytest.mark.parametrize(
    ("last", "contends"), [("UNFINISHED", True), ("REJECTED", False), ("NOT_SUBMITTED", False)]
)
def test_a_job_that_never_starts_waits_unless_the_scheduler_does_not_have_it(
    last: str, contends: bool
) -> None:
    others = [ran(0, n, user="u1") for n in range(4)]
    window = behaviour.contended(frame(*others, ran(1, None, user="u2") | {"state": last}))
    assert window.length == (2.0 if contends else 0.0)


def test_contention_among_many_jobs_takes_no_loop_over_them() -> None:
    """100,000 jobs of 1,000 users, all due at 0 and started one a millisecond, user by user."""
    count = 100_000
    jobs = frame(ran(0, 1))
    jobs = jobs.loc[np.zeros(count, dtype=int)].reset_index(drop=True)
    jobs["started"] = np.arange(1, count + 1) * 1_000_000
    jobs["allocated"] = jobs["started"]
    jobs["user"] = [f"u{number % 1000}" for number in range(count)]
    jobs["priority"] = np.arange(count) % 2
    begun = time.process_time()
    window = behaviour.contended(jobs)
    assert behaviour.overtaken(jobs, behaviour.urgent(jobs)) is not None
    assert time.process_time() - begun < 5.0
    assert window.length == pytest.approx(99.001)


def test_use_is_compared_with_the_share() -> None:
    starts = [("u1", n) for n in (0, 0.001, 1, 1.001, 2, 2.001)] + [("u2", n) for n in (0, 1, 2)]
    jobs = frame(*(ran(0, start, user=user) for user, start in starts))
    found = behaviour.sharing(jobs, {"u1": 2 / 3, "u2": 1 / 3})
    assert found["share_jain"] == pytest.approx(1.0, abs=1e-3)
    assert found["share_gap"] == pytest.approx(0.0, abs=1e-3)


def test_a_single_user_has_no_share_to_compare() -> None:
    assert shared(("u1", 0), ("u1", 1)) == {"share_jain": None, "share_gap": None}


def test_the_metrics_of_a_trial_tell_how_urgent_jobs_fared() -> None:
    workload = Priority(name="p", depth=1, runtime=1.0, urgent=1, at=0.0)
    trace: Trace = workload.generate(Machine(1, 2), 1)
    jobs = frame(ran(0, 1, priority=0), ran(0, 2, priority=0), ran(0, 3, priority=1, user="urgent"))
    found = trial_metrics(jobs, trace, [], 5.0)
    assert (found["urgent_wait_s"], found["urgent_overtaken"]) == (3.0, 2.0)
    assert (found["wide_wait_s"], found["rate"]) == (None, None)


LARGE = Machine(10_000, 64)


@pytest.mark.parametrize(
    ("workload", "machine", "key", "remedy"),
    [
        (Priority(name="w", depth=8), LARGE, "depth", "lower it, or urgent"),
        (Fairness(name="w"), LARGE, "jobs", "lower it, or users"),
        (Constant(name="w"), LARGE, "tasks", "leave out the large node counts"),
        # Divisions by the smallest number give infinity, which is no number of jobs.
        (Priority(name="w", runtime=5e-324), TWO, "depth", "raise runtime"),
        (Priority(name="w", at=1e9), TWO, "depth", "raise runtime"),
        (Starvation(name="w", runtime=5e-324), TWO, "length", "raise runtime"),
        (Starvation(name="w", load=1e-9), TWO, "length", "raise load"),
    ],
)
def test_numbers_of_jobs_that_no_trace_can_have_are_refused(
    workload: Workload, machine: Machine, key: str, remedy: str
) -> None:
    (problem,) = workload.problems([machine], ROOT)
    assert problem.key == key
    assert remedy in problem.remedy


def test_parts_that_together_make_too_many_jobs_are_refused() -> None:
    parts = [
        {"user": f"u{number}", "workload": {"kind": "burst", "jobs": 30_000}} for number in range(9)
    ]
    with pytest.raises(SchedlabError, match="first 4 of 9 parts .* make 120000 jobs"):
        mix(*parts).generate(TWO, 1)


@pytest.mark.parametrize("own", [{"kind": "fairness"}, {"kind": "priority", "level": 0}])
def test_kinds_that_tell_jobs_apart_by_users_are_no_parts(own: dict[str, Any]) -> None:
    [problem] = mix({"user": "ann", "workload": own}, BOB).problems([TWO], ROOT)
    assert (problem.key, problem.value) == ("parts[0].workload.kind", own["kind"])
    assert "in a mix all jobs of a part are one user's" in problem.what and problem.remedy
    assert not mix({"user": "ann", "workload": {"kind": "priority"}}).problems([TWO], ROOT)


def test_kinds_with_other_facts_can_be_parts() -> None:
    trace = mix({"user": "ann", "workload": {"kind": "daily"}}, BOB).generate(TWO, 1)
    assert trace.scale["bounded_slowdown_threshold"] == 10.0
    assert set(trace.scale["shares"]) == {"ann", "bob"}


def test_the_least_time_counts_what_the_background_leaves() -> None:
    crowded = Burst(name="b", jobs=30, runtime=4.0, background=Background(filled="75 %", settle=5))
    bound = earliest_end(crowded.generate(Machine(1, 4), 1))
    assert bound.seconds == 5 + 30 * 4.0
    assert "keeps 1 processors busy" in bound.why
