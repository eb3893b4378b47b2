"""Searches for the highest sustained rate (SYNTHETIC trials)."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from record_factory import make_records
from trial_factory import make_trial

from schedlab.config import Experiment, HostFacts
from schedlab.config.trials import TrialKey
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES, draw
from schedlab.lineage.targets import resolve
from schedlab.metrics.cells import by_cell
from schedlab.metrics.saturation import rates, trend
from schedlab.metrics.searches import knees, without_searches
from schedlab.paths import decision_record
from schedlab.report.embedded import embedded
from schedlab.report.method import EMPTY, rules
from schedlab.report.results_section import cell_trials
from schedlab.report.saturation_section import saturation
from schedlab.results.records import load_record
from schedlab.results.store import Store
from schedlab.schedulers.base import COMPLETED, FAILED
from schedlab.stages.context import Context
from schedlab.stages.decision import of_search, write_decision
from schedlab.stages.figure import draw_figure
from schedlab.stages.report import write_report
from schedlab.stages.stopped import stop_if_decided
from schedlab.stages.tables import write_tables
from schedlab.tables.build import build_tables, load_tables
from schedlab.workloads import Machine, workload_from
from schedlab.workloads.ladder import Bracket, Step, bracket, most_steps, next_rate
from schedlab.workloads.saturate import Saturate

ROOT = Path(__file__).resolve().parents[2]


def climbed(knee: float, low: float, high: float, precision: float) -> list[Step]:
    """Steps of a search on a cluster that sustains exactly the rates up to `knee`."""
    steps: list[Step] = []
    while (rate := next_rate(steps, low, high, precision)) is not None:
        steps.append(Step(rate, rate <= knee))
    return steps


@pytest.mark.parametrize("knee", [1.0, 3.3, 47.0, 99.9])
@pytest.mark.parametrize("precision", [0.01, 0.05, 0.3])
def test_the_ladder_ends_around_the_knee_within_the_planned_steps(
    knee: float, precision: float
) -> None:
    steps = climbed(knee, 1.0, 100.0, precision)
    found = bracket(steps)
    assert found.low is not None and found.high is not None
    assert found.low <= knee < found.high
    assert found.high / found.low <= 1 + precision
    assert len(steps) < most_steps(1.0, 100.0, precision)


def test_a_knee_beyond_the_ends_ends_the_search() -> None:
    assert climbed(0.5, 1.0, 100.0, 0.05) == [Step(1.0, False)]
    assert climbed(500.0, 1.0, 100.0, 0.05) == [Step(1.0, True), Step(100.0, True)]


def test_a_step_of_unknown_outcome_is_made_again() -> None:
    assert next_rate([Step(1.0, True), Step(100.0, None)], 1.0, 100.0, 0.05) == 100.0


def test_of_contradictory_outcomes_the_lowest_failure_counts() -> None:
    steps = [Step(1.0, True), Step(8.0, False), Step(9.0, True)]
    assert bracket(steps) == Bracket(1.0, 8.0)


def queue(rate: float, capacity: float, seed: int, number: int = 400) -> tuple[Any, Any]:
    """Due and start instants (s) of one server with exponential gaps and service times."""
    chance, due, free = random.Random(seed), 0.0, 0.0
    dues, starts = [], []
    for _ in range(number):
        due += chance.expovariate(rate)
        start = max(due, free)
        free = start + chance.expovariate(capacity)
        dues.append(due)
        starts.append(start)
    return np.array(dues), np.array(starts)


def grows(rate: float, capacity: float, seed: int) -> bool:
    due, left = queue(rate, capacity, seed)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    return low > 0 and slope > 0.025 * rate


def test_a_queue_grows_at_the_difference_of_the_rates() -> None:
    due, left = queue(20.0, 10.0, 1, number=2000)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    assert slope == pytest.approx(10.0, rel=0.15)
    assert 0 < low < slope


def test_a_trend_is_seen_above_the_capacity_and_rarely_below() -> None:
    assert all(grows(15.0, 10.0, seed) for seed in range(20))
    assert sum(grows(5.0, 10.0, seed) for seed in range(100)) <= 10


def judged(
    longest: float | None, wait: float = 0.1, state: str = COMPLETED, *, stamped: bool = True
) -> tuple[bool | None, list[str] | None]:
    """Outcome of 40 jobs that arrive once a second and wait alike; the last one has a state."""
    due = np.arange(40.0)
    at = dict.fromkeys(("intended", "submit", "accepted"), due)
    ran = {"allocated": due + wait, "started": due + wait, "finished": due + wait + 0.5}
    if not stamped:
        ran = dict.fromkeys(ran, np.full(40, np.nan))
    jobs = pd.DataFrame({**at, **ran, "completed": due + wait + 0.6}) * 1e9
    jobs["state"] = [COMPLETED] * 39 + [state]
    trace = experiment().trace("knee", 1, 1, ROOT)
    found = rates(jobs, replace(trace, scale=trace.scale | {"longest_wait_s": longest}), 60.0)
    return found.sustained, found.why_not


@pytest.mark.filterwarnings("error")
def test_why_a_rate_is_not_sustained_is_told() -> None:
    assert judged(None) == (True, []) == judged(1.0)
    assert judged(None, state=FAILED) == (False, ["jobs"])
    assert judged(1.0, wait=2.0) == (False, ["wait"])
    assert judged(1.0, wait=2.0, state=FAILED) == (False, ["jobs", "wait"])
    # Every wait is missing, so the bound cannot be judged.
    assert judged(1.0, stamped=False) == (None, None)
    assert judged(None, stamped=False) == (True, [])


def test_arrivals_within_few_cycles_are_not_judged() -> None:
    """Jobs that arrive in 39 s, and a scheduler that starts jobs every 8 s, or every 7.8 s."""
    due = np.arange(40.0)
    jobs = pd.DataFrame(dict.fromkeys(("intended", "submit", "accepted"), due)) * 1e9
    for name in ("allocated", "started", "finished", "completed"):
        jobs[name] = 60e9
    jobs["state"] = COMPLETED
    trace = experiment().trace("knee", 1, 1, ROOT)
    found = rates(jobs, trace, 90.0, 8.0)
    assert (found.sustained, found.why_not) == (None, ["cycles"])
    assert found.slope is not None
    assert rates(jobs, trace, 90.0, 7.8).why_not == ["queue"]


def test_a_search_ends_at_a_rate_that_cannot_be_judged() -> None:
    search = workload_from(SPEC)
    assert isinstance(search, Saturate)
    rows = [
        {"repetition": 1, "rate": 0.5, "valid": True, "sustained": True, "why_not": []},
        {"repetition": 2, "rate": 8.0, "valid": True, "sustained": None, "why_not": ["cycles"]},
    ]
    told = of_search(rows, search, 3)
    assert told["run"] is False and told["rate"] is None
    assert told["why"].startswith("not judged: the arrivals last fewer than 5")
    assert "why" not in of_search(rows[:1], search, 2)


def test_a_knee_above_what_could_be_judged_is_unknown() -> None:
    rows = searches((1.0, 4.0))
    rows[1] |= {"sustained": None, "why_not": ["cycles"]}
    trials = pd.DataFrame(rows).assign(limits="[]")
    (knee,) = knees(trials)
    assert (knee.estimate, knee.low, knee.judged) == (None, 0.9, False)
    assert knee.bounded.startswith("not judged: the arrivals last fewer than 5")
    found = saturation(trials, confirming=["knee"])
    assert found["rows"][0]["knee"] == knee.bounded == found["rows"][0]["limiter"]
    assert found["not_lifted"][0]["why"] == knee.bounded
    # The lowest rate too: no end is known.
    (knee,) = knees(pd.DataFrame(rows[1:]))
    assert knee.bounded.startswith("not judged") and knee.low is None


def test_a_growing_queue_is_told_as_the_reason() -> None:
    due = np.arange(40.0)
    jobs = pd.DataFrame(dict.fromkeys(("intended", "submit", "accepted"), due)) * 1e9
    for name, after in (("allocated", 0.0), ("started", 0.0), ("finished", 0.5), ("completed", 1)):
        jobs[name] = (2 * due + after) * 1e9
    jobs["state"] = COMPLETED
    found = rates(jobs, experiment().trace("knee", 1, 1, ROOT), 90.0)
    assert (found.sustained, found.why_not) == (False, ["queue"])


SPEC = {
    "name": "knee",
    "kind": "saturate",
    "workload": {"kind": "poisson", "jobs": 150, "runtime": 0.5},
    "rate": {"low": 0.5, "high": 8.0},
    "precision": "20 %",
}


def experiment(**changes: Any) -> Experiment:
    content = {"name": "s", "nodes": [1], "repetitions": 1, "workloads": [SPEC]}
    return Experiment.model_validate(content | changes)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rate": {"low": 5e-324, "high": 3.0}}, "rate.low"),
        ({"precision": "0.00001 %"}, "six digits; write 0.01 % or more"),
        ({"precision": "20.1 %"}, "does not grow; write 20 % or less"),
    ],
)
def test_a_search_that_rates_cannot_express_is_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        workload_from({**SPEC, **change})


def test_a_step_is_decided_by_its_own_search() -> None:
    made = experiment(repetitions=3)
    steps = made.workload("knee").steps
    read = made.decided_by("slurm-n1", "knee", 2 * steps + 3)
    assert [key.repetition for key in read] == [2 * steps + 1, 2 * steps + 2]
    assert made.decided_by("slurm-n1", "knee", 2 * steps + 1) == []


def test_a_search_of_too_few_jobs_is_refused() -> None:
    few = {"kind": "poisson", "jobs": 19, "runtime": 0.5}
    with pytest.raises(SchedlabError, match="fewer than 20 cannot say"):
        workload_from({**SPEC, "workload": few}).generate(Machine(2, 2), 1)


def test_every_step_of_a_search_has_the_same_jobs() -> None:
    made = experiment(repetitions=2)
    steps = made.workload("knee").steps
    seeds = [made.trace_seed("knee", number) for number in range(1, 2 * steps + 1)]
    assert len(set(seeds[:steps])) == len(set(seeds[steps:])) == 1 != len(set(seeds))
    trace = made.trace("knee", 1, 1, ROOT)
    assert 149 / trace.jobs[-1].arrival == pytest.approx(0.5, rel=1e-3)
    faster = trace.at_rate(4.0, 1)
    assert faster.jobs[-1].arrival == pytest.approx(trace.jobs[-1].arrival / 8, abs=1e-5)
    assert [job.cores for job in faster.jobs] == [job.cores for job in trace.jobs]


def test_jobs_that_come_at_once_have_no_rate() -> None:
    workload = workload_from(SPEC | {"workload": {"kind": "burst"}})
    with pytest.raises(SchedlabError, match="they have no rate"):
        workload.generate(Machine(1, 2), 1)
    with pytest.raises(ValueError, match="not more than low"):
        workload_from(SPEC | {"rate": {"low": 3.0, "high": 2.0}})


@pytest.mark.parametrize("kind", ["priority", "fairness", "starvation"])
def test_kinds_whose_arrivals_make_a_situation_are_refused(kind: str) -> None:
    made = workload_from(SPEC | {"workload": {"kind": kind}})
    (problem,) = made.problems([Machine(2, 2)], ROOT)
    assert (problem.key, problem.value) == ("workload.kind", kind)


def test_jobs_most_of_which_come_at_once_have_no_rate() -> None:
    daily = {"kind": "daily", "jobs": 100, "burst": 50}
    with pytest.raises(SchedlabError, match="50 of the 100 jobs of workload knee arrive at one"):
        workload_from(SPEC | {"workload": daily}).generate(Machine(1, 2), 1)


def test_a_rate_that_the_search_replaces_is_refused() -> None:
    inner = {"kind": "poisson", "jobs": 150, "rate": 5.0}
    (problem,) = workload_from(SPEC | {"workload": inner}).problems([Machine(2, 2)], ROOT)
    assert (problem.key, problem.value) == ("workload.rate", 5.0)
    assert not workload_from(SPEC).problems([Machine(2, 2)], ROOT)


def test_ends_within_the_precision_leave_nothing_to_search() -> None:
    close = SPEC | {"rate": {"low": 1.0, "high": 1.2}}
    (problem,) = workload_from(close).problems([Machine(2, 2)], ROOT)
    assert problem.key == "rate.high" and "1.2" in problem.remedy
    assert not workload_from(close | {"precision": "10 %"}).problems([Machine(2, 2)], ROOT)


def test_all_steps_are_planned_one_after_the_other() -> None:
    made = experiment(nodes=[1, 2])
    steps = made.workload("knee").steps
    order = [key.repetition for key in made.trials()]
    assert order == sorted(order) and len(order) == 2 * steps
    assert all(made.decided(key.workload, key.repetition) for key in made.trials())


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a search on the simulated cluster, which runs two jobs of 0.5 s at a time."""
    root, made = tmp_path_factory.mktemp("searched"), experiment()
    make_records(root, made)
    context, folders = Context(made, root), []
    for order, key in enumerate(made.trials()):
        write_decision(context, key.cluster, key.workload, key.repetition)
        if not stop_if_decided(context, key):
            folders.append(make_trial(root, key, made, order=order))
    build_tables(folders, root / "tables")
    return root


def test_a_search_finds_the_capacity_of_a_cluster_and_ends(searched: Path) -> None:
    """A job holds its processor for 0.5 s and some 0.24 s of overhead: 2 / 0.74 = 2.7 jobs/s."""
    tables = load_tables(searched / "tables")
    (knee,) = knees(tables.trials)
    assert knee.estimate == pytest.approx(2.7, rel=0.2)
    assert knee.low is not None and knee.high is not None and knee.high <= 1.2 * knee.low
    made = experiment()
    last = TrialKey("slurm-n1", "knee", made.workload("knee").steps)
    decision = load_record(searched / decision_record("slurm-n1", "knee", last.repetition))
    assert decision["decision"]["run"] is False
    trace = json.loads((searched / "trials/slurm-n1/knee/2/trace.json").read_text())
    assert (trace["scale"]["rate"], trace["scale"]["search"]) == (8.0, 1)
    assert not len(without_searches(tables.trials))


def searches(*brackets: tuple[float | None, float | None], **changes: Any) -> list[dict[str, Any]]:
    """Steps at the ends of the brackets of as many searches of one cell."""
    common = {"workload": "knee", "cluster": "a-n1", "scheduler": "a", "nodes": 1, "snapshot": 1,
              "valid": True, "payload": True, "source": "", "conditions": "{}",
              "precision": 0.2} | changes  # fmt: skip
    return [
        {"search": number, "rate": rate, "sustained": sustained}
        | {"why_not": ["queue"] * (not sustained)}
        | common
        for number, ends in enumerate(brackets, 1)
        for rate, sustained in zip(ends, (True, False), strict=True)
        if rate is not None
    ]


@pytest.mark.parametrize(
    ("brackets", "estimate", "low", "high", "bounded"),
    [
        # A queue that grows by a tenth of the arrivals does not count as growing.
        ([(1.0, 1.21)], 0.99, 0.9, 1.089, ""),
        # Equal brackets are no exact value.
        ([(1.0, 1.21)] * 3, 0.99, 0.9, 1.089, ""),
        ([(1.0, 1.21), (1.0, 1.21), (3.0, None)], None, 0.9, None,
         "even the highest rate is sustained in 1 of 3 searches"),
        ([(1.0, 1.21), (None, 0.5)], None, None, 1.089,
         "not even the lowest rate is sustained in 1 of 2 searches"),
        ([(3.0, None)], None, 2.7, None, "even the highest rate is sustained"),
        ([(None, 0.5), (3.0, None)], None, None, None,
         "even the highest rate is sustained in 1 of 2 searches; not even the lowest rate is"
         " sustained in 1 of 2 searches"),
    ],
)  # fmt: skip
def test_a_knee_beyond_the_ladder_in_any_search_is_no_mean_of_the_others(
    brackets: list[tuple[float | None, float | None]],
    estimate: float | None,
    low: float | None,
    high: float | None,
    bounded: str,
) -> None:
    (knee,) = knees(pd.DataFrame(searches(*brackets)))
    found = (knee.estimate, knee.low, knee.high)
    assert found == pytest.approx((estimate, low, high)) and knee.bounded == bounded


def test_the_interval_of_a_knee_covers_what_searches_differ_by() -> None:
    (knee,) = knees(pd.DataFrame(searches((1.0, 1.1), (1.2, 1.3), (1.5, 1.6))))
    assert knee.low is not None and knee.high is not None
    assert knee.low < 0.9 and knee.high > 1.44


@pytest.mark.parametrize("precision", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("number", [1, 3, 10])
def test_searches_that_agree_on_where_growth_counts_cover_the_capacity(
    precision: float, number: int
) -> None:
    """At c / (1 - precision / 2) a queue grows by half of the precision times the arrivals."""
    counts, half = 5.0 / (1 - precision / 2), (1 + precision) ** 0.5
    rows = searches(*[(counts / half, counts * half)] * number, precision=precision)
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.low is not None and knee.high is not None
    assert knee.low < 5.0 < knee.high and knee.estimate == pytest.approx(5.0)
    assert knee.brackets[0] == Bracket(counts / half, counts * half)


@pytest.mark.parametrize("why", ["jobs", "wait"])
def test_a_search_that_no_growing_queue_ended_tells_the_rate_as_it_was_offered(why: str) -> None:
    rows = searches((1.0, 1.21))
    rows[1]["why_not"] = [why]
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.estimate == pytest.approx(1.1) and knee.why_not == ((why,),)
    rows[1]["why_not"] = ["queue", why]
    (knee,) = knees(pd.DataFrame(rows))
    assert knee.estimate == pytest.approx(0.99) and knee.why_not == (("queue", why),)


@pytest.mark.parametrize(
    ("ceiling", "told"),
    [
        ([(4.0, None)], "at least 3.60"),
        ([(4.0, 4.84)], "3.96"),
        ([(4.0, 4.84), (5.0, None)], "at least 4.50"),
        ([(None, 0.5)], "not measured"),
    ],
)
def test_a_submitter_that_sustains_all_rates_is_no_bound(
    ceiling: list[tuple[float | None, float | None]], told: str
) -> None:
    null = searches(*ceiling, cluster="null-n1", scheduler="null", payload=False)
    trials = pd.DataFrame([*searches((1.0, 1.1)), *null])
    high = knees(trials)[0].ceiling.high
    assert (high is not None) == (told == "3.96")
    with_limits = trials.assign(limits="[]")
    (row,) = saturation(with_limits)["rows"]
    assert row["ceiling"] == told


@pytest.mark.parametrize(
    "other",
    [
        {"source": "lab", "cluster": "lab:null-n1"},
        {"conditions": json.dumps({"declared": {"head": {"cpus": 16, "memory_mib": 1024}}})},
    ],
)
def test_the_submitter_of_an_import_or_another_head_is_no_bound(other: dict[str, str]) -> None:
    null = {"cluster": "null-n1", "scheduler": "null", "payload": False}
    trials = pd.DataFrame([*searches((1.0, 1.1)), *searches((4.0, 4.84), **(null | other))])
    (row,) = saturation(trials.assign(limits="[]"))["rows"]
    assert row["ceiling"] == "not measured"


def test_the_report_shows_the_knee_and_the_limiter(searched: Path) -> None:
    found = saturation(load_tables(searched / "tables").trials)
    (row,) = found["rows"]
    assert row["how"] == "ends of the brackets" and row["ceiling"] == "not measured"
    assert row["limiter"] and row["evidence"]
    draw("saturation", searched / "tables", searched / "saturation.svg")
    assert "knee" in (searched / "saturation.svg").read_text()


def test_steps_of_a_search_are_no_repetitions_of_a_cell(searched: Path) -> None:
    tables = load_tables(searched / "tables")
    assert not list(by_cell(tables.trials)) and not cell_trials(tables.trials)
    assert rules(tables.trials, [], pooled=False, absent=False)[0]["status"] == EMPTY
    told = [trial["cell"] for trial in embedded(tables.trials, tables.jobs)["trials"]]
    assert len(set(told)) == len(told) > 2
    assert {"slurm-n1.knee at 0.5/s", "slurm-n1.knee at 8/s"} <= set(told)
    with pytest.raises(SchedlabError, match="nothing in .* is called"):
        resolve(Store(searched), "slurm-n1.knee/makespan")


def test_a_report_of_searches_alone_is_whole(searched: Path) -> None:
    """No trial repeats another, so there is nothing to estimate or compare."""
    context = Context(experiment(), searched)
    write_tables(context)
    for name in FIGURES:
        draw_figure(searched, name)
        told = "all trials are of searches" in (searched / f"figures/{name}.svg").read_text()
        assert told == (name != "saturation"), name
    write_report(context, searched / "report.html")
    text = (searched / "report.html").read_text()
    assert 'id="saturation"' in text and 'id="figure-saturation"' in text


def test_ready_made_experiments_are_well_formed() -> None:
    paths = list((ROOT / "config").glob("*.yaml"))
    assert {"saturation.yaml", "saturation-slurm.yaml", "saturation-volcano.yaml"} <= {
        path.name for path in paths
    }
    for path in paths:
        found = load_experiment(path, HostFacts(cores=8, memory_mib=32768), ROOT)
        assert found.trials()
