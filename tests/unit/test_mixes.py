"""Mixes: workloads of several users in one."""

from __future__ import annotations

from typing import Any

import pytest
from config_factory import ROOT
from workload_factory import TWO, mix

from schedlab.errors import SchedlabError

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
