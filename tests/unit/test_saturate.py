"""The workload of a search: what is refused, and that its steps have the same jobs."""

from __future__ import annotations

from typing import Any

import pytest
from config_factory import ROOT
from pydantic import ValidationError
from search_factory import SPEC, experiment

from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, workload_from


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


def test_confirming_adds_searches_and_makes_none_of_those_that_ran_again() -> None:
    plain, confirming = experiment(), experiment(workloads=[SPEC | {"confirm": True}])
    for name in ("workload_spec", "decision_spec"):
        assert getattr(plain, name)("knee") == getattr(confirming, name)("knee")
    assert plain.report_spec() != confirming.report_spec()
