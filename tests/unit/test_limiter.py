"""What limits a cell, by the limits in force, and what comes when one is lifted (SYNTHETIC)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from schedlab.config import HostFacts
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.metrics.confirmation import Lifting, confirmations, limiters
from schedlab.metrics.cycles import Places, cycle_rate
from schedlab.metrics.limiter import Limiter, first_failed, limiter, of_cell
from schedlab.metrics.searches import knees
from schedlab.report.saturation_section import saturation
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.limits import Cycle, Limit, cycle_time
from schedlab.stages.decision import unless_limited

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"lateness_mean_s": 0.1, "submission_mean_s": 0.1, "launch_mean_s": 0.1}
CORES = 4


def started(
    period: float, jobs: int | None, places: int, held: float, turns: int, varies: float = 0.5
) -> float:
    """Jobs/s that a simulated scheduler starts, whose queue never ends.

    A job's first cycle takes a place, its last one starts it; held times vary by a part, by half.
    """
    least, most = 1 - varies, 1 + varies
    chance, cycles = random.Random(5), 4000
    admitted: list[int] = []
    free = [0.0] * places
    count = 0
    for number in range(cycles):
        now, looked = number * period, 0
        while admitted and (jobs is None or looked < jobs) and number >= admitted[0]:
            admitted.pop(0)
            looked += 1
            count += 1
            free.append(now + held * chance.uniform(least, most))
        there = [end for end in free if end <= now]
        for end in there[: None if jobs is None else jobs - looked]:
            free.remove(end)
            if turns == 1:
                count += 1
                free.append(now + held * chance.uniform(least, most))
            else:
                admitted.append(number + turns - 1)
    return count / (cycles * period)


@pytest.mark.parametrize(
    ("period", "jobs", "places", "held", "turns"),
    [
        (10.0, None, 4, 1.0, 1),  # a cycle starts what the machine holds
        (10.0, 2, 4, 1.0, 1),  # a cycle looks at two jobs
        (1.0, None, 4, 8.0, 1),  # jobs outlast the cycles
        (0.01, 500, 4, 2.0, 1),  # the period is no limit
        (5.0, None, 4, 1.0, 2),  # admitted in one cycle, started in the next
        (0.5, None, 4, 4.0, 2),
    ],
)
def test_cycles_start_as_many_jobs_as_the_formula_says(
    period: float, jobs: int | None, places: int, held: float, turns: int
) -> None:
    found = cycle_rate([Cycle(period, jobs, turns)], Places(places, held))
    assert found == pytest.approx(started(period, jobs, places, held, turns), rel=0.1)


@pytest.mark.parametrize(
    ("held", "true", "said"),
    [
        (4.0, 0.4, 0.4),
        (9.0, 0.4, 0.2857),
        (11.0, 0.2, 0.25),
        (19.0, 0.2, 0.1667),
        (91.0, 0.04, 0.0417),
    ],
)
def test_the_formula_is_off_by_what_is_said_where_jobs_follow_the_cycles(
    held: float, true: float, said: float
) -> None:
    period, places = 10.0, 4
    found = cycle_rate([Cycle(period)], Places(places, held))
    # Places that become free by one fixed time wait for the cycle that comes then.
    constant = started(period, None, places, held, 1, varies=0.0)
    assert constant == pytest.approx(true, rel=0.01) and found == pytest.approx(said, rel=0.01)
    low, high = places / (held + period), places / max(period, held)
    assert found is not None and low < found <= high and 0.99 * low < constant < 1.01 * high


def test_the_rates_of_loops_beside_one_another_add_up() -> None:
    found = cycle_rate([Cycle(10.0), Cycle(30.0, 1)], Places(4, 0.1))
    assert found == pytest.approx(4 / 10 + 1 / 30)
    assert cycle_rate([Cycle(None, 8)], Places(4, 0.1)) is None


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


@pytest.mark.parametrize(
    ("cycles", "seconds"),
    [
        ([(10.0, None)], 10.0),
        ([(10.0, None), (30.0, 500)], 7.5),
        ([(10.0, None), (2e-6, 2)], 2e-6),
        ([(10.0, None), (None, 8)], 0.0),
        ([(None, 8)], 0.0),
        ([], 0.0),
    ],
)
def test_the_time_between_two_cycles_is_that_of_all_loops(cycles: Any, seconds: float) -> None:
    limits = [
        Limit("x", "x", 5.0, None),
        Limit("y", "y", None, None, tuple(starmap(Cycle, cycles))),
    ]
    assert cycle_time(limits) == pytest.approx(seconds, rel=1e-3)


def test_a_search_within_few_cycles_is_refused(tmp_path: Path) -> None:
    """9 jobs/s and a cycle in 5 s: 226 jobs arrive in 25 s."""
    slow = "[{name: slow, scheduler: volcano, settings: {schedulePeriod: 5s}}]"
    where = r"workloads\[0\].rate.high = 9: on slow-n1 its 20 jobs arrive within fewer than 5"
    with pytest.raises(SchedlabError, match=where) as error:
        load(tmp_path, slow)
    remedy = "let workload knee have 226 jobs or more, or set rate.high to 0.76 or less"
    assert error.value.remedy == remedy
    assert load(tmp_path, slow, "226").workload("knee").confirms
    with pytest.raises(SchedlabError, match="225 jobs arrive"):
        load(tmp_path, slow, "225")


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


def row(limits: Sequence[Limit], rate: float, held: float, **changes: Any) -> dict[str, Any]:
    """Step of a search in which jobs wait for their allocation."""
    common = PARTS | {
        "workload": "knee", "cluster": "a", "scheduler": "a", "adapter": "made", "nodes": 1,
        "valid": True, "payload": True, "source": "", "conditions": "{}",
        "search": 1, "snapshot": 1, "daemon_cost": [],
        "observed_s": 100.0,
        "limits": json.dumps([one._asdict() for one in limits]), "utilisation_steady": 0.05,
        "scheduling_mean_s": 9.0, "completion_mean_s": 0.2, "held_mean_s": held, "cores": CORES,
        "processors_mean": 1.0, "achieved_rate_jobs_per_s": rate, "rate": rate, "sustained": False,
        "precision": 0.04, "why_not": ["queue"],
    }  # fmt: skip
    return common | changes


def cell(
    limits: Sequence[Limit], knee: float, held: float, cluster: str = "a"
) -> list[dict[str, Any]]:
    counts = knee / 0.98  # a queue that grows by 2 % of the arrivals does not count as growing
    return [
        row(limits, counts / 1.02, held, sustained=True, why_not=[], cluster=cluster),
        row(limits, counts * 1.02, held, cluster=cluster, achieved_rate_jobs_per_s=knee),
    ]


SLURM = {"SchedulerParameters": DEFER + "sched_interval=10,batch_sched_delay=10,bf_interval=-1"}
BACKFILL = {"SchedulerParameters": "sched_interval=-1,bf_interval=10"}
PLANTED = [
    # 4 places a period; lifted, a place is held for 1 s and half a period: the next bound.
    ("slurm", SLURM, "SchedulerParameters", 0.4, 4 / 1.5),
    ("slurm", BACKFILL, "SchedulerParameters", 0.4, 4 / 1.5),
    # Two cycles a job: 4 / 10; lifted, 4 places each 0.5 + (1 + 0.25) s.
    ("volcano", {"schedulePeriod": "5s"}, "schedulePeriod", 0.4, 4 / 1.75),
    # Ten times the depth; the processors would do 4 jobs/s.
    ("flux", {}, "queueDepth", 0.3, 3.0),
    ("flux", {}, "queueDepth", 1.0, 4.0),
]


@pytest.mark.parametrize(("name", "settings", "setting", "knee", "expected"), PLANTED)
@pytest.mark.parametrize(("off", "confirmed"), [(1.1, True), (0.7, False)])
def test_a_planted_limit_is_named_lifted_predicted_and_compared(
    name: str,
    settings: dict[str, str],
    setting: str,
    knee: float,
    expected: float,
    off: float,
    confirmed: bool,
) -> None:
    before = get_scheduler(name, settings)
    (lift,) = [lift for lift in before.lifts() if setting in lift.settings]
    after = get_scheduler(name, {**before.in_force, **lift.settings})
    assert not after.settings_problems(lift.settings)
    old, new = (one.limits(one.in_force, {}) for one in (before, after))
    base = cell(old, knee, 1.0)
    named = of_cell(pd.DataFrame(base))
    assert named is not None and named.lift == setting
    told = unless_limited(base, new)
    assert told["predicted"] == pytest.approx(expected) and told["limiter"] == named.name
    other = cell(new, off * expected, 1.0, cluster="b")
    trials = pd.DataFrame([*base, *other])
    (found,) = confirmations(
        trials, limiters(trials), [Lifting("a", "b", frozenset(lift.settings), {})]
    )
    assert (found.cluster, found.other, found.setting) == ("a", "b", setting)
    assert found.predicted == told["predicted"] and found.why == told["why"]
    assert found.confirmed is confirmed


REQUESTS = [Limit("requests of x", "xQps", 5.0, 450.0)]
QUOTA = [Limit("time of x", "CPUQuota", None, None, (), 0.1, "x")]


@pytest.mark.parametrize(
    ("before", "after", "changes", "expected", "why"),
    [
        # Ten times the requests would be 5 jobs/s, but 4 places are held for 3 s each.
        (REQUESTS, {"per_second": 50.0}, {}, 4 / 3, "jobs hold all processors, each for 3 s"),
        (REQUESTS, {"per_second": 12.5}, {}, 1.25, "xQps is 2.5 times as large"),
        (REQUESTS, {"per_second": 50.0}, {"utilisation_steady": 0.5}, 1.0, "50 % of it were"),
        (QUOTA, {"cores": 0.4}, {}, 4 / 3, "jobs hold all processors, each for 3 s"),
    ],
)
def test_a_prediction_is_no_more_than_the_processors_allow(
    before: list[Limit], after: dict[str, float], changes: dict[str, Any], expected: float, why: str
) -> None:
    cost = {"node": "head", "process": "x", "group": "scheduler", "cpu_s": 9.9}
    base = [one | {"daemon_cost": [cost]} | changes for one in cell(before, 0.5, 3.0)]
    # An invalid trial says nothing of the machine.
    base.append(base[0] | {"valid": False, "utilisation_steady": 1.0, "rate": 9.0})
    told = unless_limited(base, [before[0]._replace(**after)])
    assert told["predicted"] == pytest.approx(expected) and why in told["why"]
    if expected != 1.25:
        assert "which alone allows" in told["why"]


def test_of_a_quota_jobs_hold_processors_for_the_least_time_that_was_seen() -> None:
    """The daemon that lacks processor time also launches and ends jobs."""
    cost = {"node": "head", "process": "x", "group": "scheduler", "cpu_s": 9.9}
    base = [one | {"daemon_cost": [cost]} for one in cell(QUOTA, 0.5, 5.0)]
    base[0]["held_mean_s"] = 3.0
    told = unless_limited(base, [QUOTA[0]._replace(cores=0.2)])
    assert told["predicted"] == pytest.approx(1.0)


CYCLE = [Limit("cycles", "period", None, None, (Cycle(10.0),))]
DEPTH = [Limit("depth", "depth", None, None, (Cycle(None, 8),))]


@pytest.mark.parametrize(
    ("limits", "rate", "changes", "name"),
    [
        (CYCLE, 0.39, {}, "cycles"),
        # Fewer jobs than cycles could start; something else holds them up.
        (CYCLE, 0.2, {}, "scheduling"),
        (CYCLE, 0.39, {"lateness_mean_s": 20.0}, "submitter"),
        (CYCLE, 0.39, {"scheduling_mean_s": 0.1}, ""),
        # Without cycles the processors would take hardly more jobs.
        (CYCLE, 0.032, {"held_mean_s": 120.0, "launch_mean_s": 80.0}, "launcher"),
        (CYCLE, 0.032, {"held_mean_s": 120.0, "completion_mean_s": 80.0}, "completion"),
        (DEPTH, 1.0, {}, "depth"),
        (DEPTH, 3.9, {}, "the machine"),
        (DEPTH, 3.9, {"completion_mean_s": 0.6}, "completion"),
        (DEPTH, 1.0, {"held_mean_s": None}, "scheduling"),
        (CYCLE, 0.39, {"processors_mean": 4.0}, "scheduling"),
        (CYCLE, 0.09, {"processors_mean": 4.0}, "cycles"),
    ],
)
def test_cycles_are_named_only_where_they_start_what_they_can(
    limits: list[Limit], rate: float, changes: dict[str, Any], name: str
) -> None:
    assert limiter(row(limits, rate, 1.0, **changes)).name == name


def test_a_search_is_not_made_where_a_lift_does_not_concern_the_limiter() -> None:
    base = cell(CYCLE, 0.4, 1.0)
    no = {"run": False, "rate": None}
    other = "its limiter is not the one that is lifted"
    assert unless_limited(base, DEPTH) == no | {"limiter": "cycles", "why": other}
    assert unless_limited(base, CYCLE) == no | {"limiter": "cycles", "why": other}
    shorter = [CYCLE[0]._replace(cycles=(Cycle(9.0),))]
    little = "its limiter is lifted by less than 1.25 times"
    assert unless_limited(base, shorter) == no | {"limiter": "cycles", "why": little}
    unknown = "no valid trial tells whether its rate is sustained"
    assert unless_limited([], CYCLE) == no | {"limiter": "none", "why": unknown}
    invalid = [one | {"valid": False} for one in base]
    assert unless_limited(invalid, CYCLE) == no | {"limiter": "none", "why": unknown}
    sustained = "every rate was sustained, so nothing limited it"
    assert unless_limited(base[:1], CYCLE) == no | {"limiter": "none", "why": sustained}


@pytest.mark.parametrize("name", scheduler_names())
def test_every_lift_raises_a_limit_and_may_be_written(name: str) -> None:
    before = get_scheduler(name)
    for lift in before.lifts():
        after = get_scheduler(name, {**before.in_force, **lift.settings})
        assert after.limits(after.in_force, {}) != before.limits(before.in_force, {})
        assert not before.settings_problems(lift.settings)
        assert {one.setting for one in before.limits(before.in_force, {})} & set(lift.settings)


SEARCH = (
    "name: s\nnodes: [1]\nrepetitions: 1\nhead: {memory: 3 GiB}\n"
    "placement: {oversubscribe: true}\nschedulers: %s\n"
    "workloads:\n  - {name: knee, kind: saturate, confirm: true,"
    " workload: {kind: poisson, jobs: %s}, rate: {low: 1, high: 9}, precision: 20 %%}\n"
)


def load(tmp_path: Path, schedulers: str, jobs: str = "20") -> Any:
    (tmp_path / "e.yaml").write_text(SEARCH % (schedulers, jobs))
    return load_experiment(tmp_path / "e.yaml", HostFacts(cores=8, memory_mib=16384), ROOT)


def test_each_limit_is_lifted_alone(tmp_path: Path) -> None:
    slow = "[{name: slow, scheduler: volcano, settings: {schedulePeriod: 5s}}]"
    made = load(tmp_path, slow, "300")
    lifted = {cluster.variant: cluster.settings for cluster in made.clusters()}
    assert list(lifted) == ["slow", "slow-requests-lifted", "slow-cycle-lifted"]
    assert lifted["slow-cycle-lifted"] == {"schedulePeriod": "500ms"}
    assert lifted["slow-requests-lifted"]["schedulePeriod"] == "5s"


def test_a_confirmation_that_can_lift_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="confirm = true in workload knee: no variant") as error:
        load(tmp_path, "[nullscheduler]")
    assert "leave out confirm" in str(error.value.remedy)


def test_the_name_of_a_lifted_variant_is_taken(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match=r"schedulers\[1\].name = 'slurm-cycle-lifted'"):
        load(tmp_path, "[slurm, {name: slurm-cycle-lifted, scheduler: slurm}]")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (cell([], 0.4, 1.0), "knows no setting that lifts its limiter: scheduling"),
        # Without a cluster in which it is lifted: the setting is at its end.
        (cell(CYCLE, 0.4, 1.0), "no setting lifts its limiter further: cycles (period)"),
        ([one | {"valid": False} for one in cell(CYCLE, 0.4, 1.0)], "no valid trial tells"),
        (cell(CYCLE, 0.4, 1.0)[:1], "every rate was sustained"),
        (cell(CYCLE, 0.4, 1.0)[1:], "without a knee nothing can be predicted"),
        ([row([], 1.0, 1.0, **dict.fromkeys([*PARTS, "scheduling_mean_s"], 0.0))], "no rule holds"),
    ],
)
def test_the_report_says_why_a_limiter_was_not_lifted(rows: list[Any], why: str) -> None:
    (told,) = saturation(pd.DataFrame(rows), confirming=["knee"])["not_lifted"]
    assert (told["workload"], told["cluster"]) == ("knee", "a") and why in told["why"]
    assert saturation(pd.DataFrame(rows))["not_lifted"] == []


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({}, "no search with its limiter lifted (period) has valid trials"),
        ({"knee": "its limiter is lifted by less than 1.25 times"}, "less than 1.25 times"),
    ],
)
def test_the_report_tells_why_the_decision_was_against_a_search(
    refused: dict[str, str], why: str
) -> None:
    pair = Lifting("a", "b", frozenset({"period"}), {}, refused)
    found = saturation(pd.DataFrame(cell(CYCLE, 0.4, 1.0)), [pair], confirming=["knee"])
    (told,) = found["not_lifted"]
    assert why in told["why"]
    # Another cluster's, or another limit's, says nothing of this one.
    for other in (pair._replace(cluster="c"), pair._replace(settings=frozenset({"x"}))):
        (told,) = saturation(pd.DataFrame(cell(CYCLE, 0.4, 1.0)), [other], ["knee"])["not_lifted"]
        assert told["why"].startswith("no setting lifts its limiter further")


def test_knees_and_limiters_of_a_report_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[str, int]] = []

    def counted(name: str, function: Callable[[pd.DataFrame], Any]) -> None:
        def call(trials: pd.DataFrame) -> Any:
            found.append((name, len(trials)))
            return function(trials)

        monkeypatch.setattr(f"schedlab.metrics.confirmation.{name}", call)

    counted("knees", knees)
    counted("of_cell", of_cell)
    deeper = [DEPTH[0]._replace(cycles=(Cycle(None, 80),))]
    rows = [*cell(DEPTH, 0.4, 1.0), *cell(deeper, 3.0, 1.0, cluster="b")]
    pair = Lifting("a", "b", frozenset({"depth"}), {})
    assert saturation(pd.DataFrame(rows), [pair])["confirmations"]
    assert found == [("knees", 4), ("of_cell", 2), ("of_cell", 2)]


@pytest.mark.parametrize(("why", "words"), [("jobs", "no good end"), ("wait", "longest_wait")])
def test_no_limiter_is_named_where_no_queue_grew(why: str, words: str) -> None:
    """One failed job, or waits above a bound that the search was given, are no sign of a limit."""
    rows = cell(CYCLE, 0.4, 1.0)
    rows[1]["why_not"] = [why]
    trials = pd.DataFrame(rows)
    named = of_cell(trials)
    assert named is not None and named.name == named.lift == ""
    assert named.evidence.startswith("not judged: no rate made the queue grow")
    assert words in named.evidence
    (shown,) = saturation(trials)["rows"]
    assert shown["limiter"] == "not named" and words in shown["brackets"]
    (told,) = saturation(trials, confirming=["knee"])["not_lifted"]
    assert "no rate made the queue grow" in told["why"]
    # A higher rate at which the queue grew is judged, and not that one.
    higher = row(CYCLE, 0.39, 1.0) | {"rate": 0.8}
    assert of_cell(pd.DataFrame([*rows, higher])) == limiter(higher)


def test_the_limiter_is_read_from_the_search_in_the_middle() -> None:
    """The lowest failure of several searches is likely to be a queue that would have gone again."""
    lowest = {"rate": 0.2, "search": 1, "scheduling_mean_s": 0.1, "launch_mean_s": 5.0}
    alarm = row(CYCLE, 0.2, 1.0) | lowest
    own = [row(CYCLE, 0.39, 1.0, search=2) | {"rate": rate} for rate in (0.45, 0.8)]
    last = row(CYCLE, 0.39, 1.0, search=3) | {"rate": 0.5}
    assert of_cell(pd.DataFrame([alarm])) == limiter(alarm) != limiter(own[0])
    for rows in ([alarm, *own, last], [last, *own[::-1], alarm], [alarm, *own]):
        assert (first_failed(pd.DataFrame(rows)) or {})["rate"] == 0.45
        assert of_cell(pd.DataFrame(rows)) == limiter(own[0])
    # Searches of equal clusters have the same numbers.
    equal = [one | {"search": 1, "snapshot": one["search"]} for one in (alarm, *own, last)]
    assert (first_failed(pd.DataFrame(equal)) or {})["rate"] == 0.45


def test_a_lifted_cell_is_not_listed() -> None:
    deeper = [DEPTH[0]._replace(cycles=(Cycle(None, 80),))]
    rows = [*cell(DEPTH, 0.4, 1.0), *cell(deeper, 3.0, 1.0, cluster="b")]
    pair = Lifting("a", "b", frozenset({"depth"}), {})
    found = saturation(pd.DataFrame(rows), [pair], confirming=["knee"])
    assert found["not_lifted"] == [] and len(found["confirmations"]) == 1
    assert isinstance(of_cell(pd.DataFrame(rows)), Limiter)


FULL = {"scheduling_mean_s": 60.0, "held_mean_s": 10.0, "launch_mean_s": 1.0}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        # Half of the cores is the background's: those that are left are busy, or held.
        ({"background_filled": 0.5, "places": 2.0, "utilisation_steady": 0.49}, "the machine"),
        ({"background_filled": 0.5, "utilisation_steady": 0.49}, "the machine"),
        ({"background_filled": 0.5, "utilisation_steady": 0.3,
          "achieved_rate_jobs_per_s": 0.199}, "the machine"),
        ({"utilisation_steady": 0.49}, "scheduling"),
        # One job of 3 fits on 4 cores.
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.735}, "the machine"),
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.6,
          "achieved_rate_jobs_per_s": 0.0995}, "the machine"),
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.6,
          "achieved_rate_jobs_per_s": 0.08}, "scheduling"),
        ({"processors_mean": 3.0, "utilisation_steady": 0.735}, "the machine"),
        # They run most of the time that they hold all cores.
        ({"utilisation_steady": 0.85, "achieved_rate_jobs_per_s": 0.395}, "the machine"),
        ({"utilisation_steady": 0.3, "achieved_rate_jobs_per_s": 0.395, "launch_mean_s": 6.0},
         "launcher"),
    ],
)  # fmt: skip
def test_a_full_machine_is_known(changes: dict[str, Any], name: str) -> None:
    found = limiter(row([], 0.1, 10.0, **FULL | changes))
    assert found.name == name and (name != "the machine" or "% at most" in found.evidence
                                   or "hold all" in found.evidence)  # fmt: skip
