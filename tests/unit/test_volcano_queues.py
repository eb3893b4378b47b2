"""Volcano's queues: one for each user of a trace that has shares."""

from __future__ import annotations

from schedlab.schedulers import get_scheduler
from schedlab.workloads import workload_from
from schedlab.workloads.trace import Machine, Trace

TWO = Machine(2, 2)


def mix() -> Trace:
    parts = [
        {"user": user, "share": share, "workload": {"kind": "burst", "jobs": 2, "runtime": 1.0}}
        for user, share in (("root", 3.0), ("bob", 1.0), ("cid", 1e-6))
    ]
    return workload_from({"kind": "mix", "name": "m", "parts": parts}).generate(TWO, 1)


def test_a_users_jobs_go_to_the_queue_that_has_its_share_as_weight() -> None:
    volcano, trace = get_scheduler("volcano"), mix()
    made = [request["body"] for request in volcano.preparation(trace)]
    assert {body["kind"] for body in made} == {"Queue"}
    of_user = {body["metadata"]["annotations"]["schedlab/user"]: body for body in made}
    weights = {user: body["spec"]["weight"] for user, body in of_user.items()}
    assert weights == {"root": 750, "bob": 250, "cid": 1}
    names = {user: body["metadata"]["name"] for user, body in of_user.items()}
    assert len({*names.values(), "default", "root"}) == 5
    for job in trace.jobs:
        request = volcano.translate(job, trace).request
        assert request is not None
        assert request["body"]["spec"]["queue"] == names[job.user]


def test_a_trace_without_shares_has_the_default_queue_alone() -> None:
    volcano = get_scheduler("volcano")
    trace = workload_from({"kind": "burst", "name": "b", "jobs": 2}).generate(TWO, 1)
    assert volcano.preparation(trace) == []
    request = volcano.translate(trace.jobs[0], trace).request
    assert request is not None
    assert request["body"]["spec"]["queue"] == "default"


def test_kubernetes_is_told_of_no_shares() -> None:
    assert get_scheduler("kubernetes").preparation(mix()) == []
