"""Parsers of damaged or hostile records give correct values or None, or refuse with a message."""

from __future__ import annotations

import json
from typing import Any

import flux_factory as flux_made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes_factory import audit, created
from record_factory import put

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import DEEPEST, parse_json
from schedlab.schedulers.flux import parity as flux_parity
from schedlab.schedulers.flux import records as flux
from schedlab.schedulers.hosts import MOST_NODES
from schedlab.schedulers.kubernetes import records as kubernetes
from schedlab.schedulers.kubernetes.clients import requests
from schedlab.schedulers.slurm import records as slurm

BOUNDED = settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
LOG = """\
[2026-03-20T09:46:40.120] _slurm_rpc_submit_batch_job: JobId=3 InitPrio=1 usec=812
[2026-03-20T09:46:40.220] sched: Allocate JobId=3 NodeList=compute[1-2] #CPUs=4 Partition=main
[2026-03-20T09:46:41.400] _job_complete: JobId=3 WEXITSTATUS 13
[2026-03-20T09:46:41.401] _job_complete: JobId=3 done
"""
SCONTROL = (
    "JobId=3 JobName=job0 JobState={state} Reason=None ExitCode={code} NodeList=compute[1-2]"
    " NumNodes=2 NumCPUs=4 NumTasks=2 Comment=user=u1\n"
)
FAILED = SCONTROL.format(state="FAILED", code="13:0")


@pytest.mark.parametrize("state", ["COMPLETING", "RUNNING", "CONFIGURING", "STAGE_OUT"])
def test_the_logs_end_wins_over_a_state_that_is_passing(state: str) -> None:
    log = LOG.replace("WEXITSTATUS 13", "WEXITSTATUS 0")
    job = slurm.jobs(log, SCONTROL.format(state=state, code="0:0"))["3"]
    assert (job.state, job.exit_code, job.native_state) == ("COMPLETED", 0, "COMPLETED")
    assert job.completed is not None and job.placement == ["compute1", "compute2"]


def test_a_job_that_waits_again_has_not_ended() -> None:
    job = slurm.jobs(LOG, SCONTROL.format(state="PENDING", code="0:0"))["3"]
    assert (job.state, job.completed, job.exit_code) == ("UNFINISHED", None, None)
    again = LOG + LOG.splitlines()[1].replace("46:40.220", "47:40.220") + "\n"
    job = slurm.jobs(again, SCONTROL.format(state="RUNNING", code="0:0"))["3"]
    assert (job.state, job.completed, job.exit_code) == ("UNFINISHED", None, None)


def test_every_cut_of_slurms_records_is_right_or_null() -> None:
    whole = slurm.jobs(LOG, FAILED)["3"]
    for end in range(len(LOG)):
        known = slurm.jobs(LOG[:end], "").get("3")
        for name in ("accepted", "allocated", "completed", "exit_code", "cpus"):
            assert known is None or getattr(known, name) in {None, getattr(whole, name)}
        assert known is None or known.placement in ([], whole.placement)
    for end in range(len(FAILED)):
        assert slurm.jobs("", FAILED[:end]) == {}, "a torn line is not taken"


def test_counters_that_midnight_set_back_are_none() -> None:
    text = "Data since      Fri Mar 20 {time} 2026 ({epoch})\nJobs submitted: 30\n"
    assert slurm.sdiag(text.format(time="00:00:00", epoch=1773964800)) == {}
    assert slurm.sdiag(text.format(time="00:00:04", epoch=1773964804)) == {}
    assert slurm.sdiag(text.format(time="09:40:00", epoch=1773999600)) == {"jobs_submitted": 30}


def test_a_host_list_of_millions_is_no_placement() -> None:
    log = LOG.replace("compute[1-2]", "n[1-99999999]")
    job = slurm.jobs(log, FAILED.replace("compute[1-2]", "n[1-5000],m[1-99999]"))["3"]
    assert (job.placement, job.nodes) == ([], None)


@BOUNDED
@given(st.text(), st.text(), st.text())
def test_slurms_parsers_take_any_text(log: str, scontrol: str, counters: str) -> None:
    slurm.jobs(log, scontrol)
    slurm.sdiag(counters)
    slurm.parity(slurm.key_values(counters))


@BOUNDED
@given(st.integers(0, len(LOG) - 1), st.characters(), st.integers(0, len(FAILED) - 1))
def test_mutations_of_slurms_records_end_in_rows(at: int, letter: str, other: int) -> None:
    for job in slurm.jobs(
        LOG[:at] + letter + LOG[at + 1 :], FAILED[:other] + letter + FAILED[other + 1 :]
    ).values():
        assert len(job.placement) <= MOST_NODES
        assert job.exit_code is None or 0 <= job.exit_code <= 128 + 999
        assert job.cpus is None or job.cpus < 1 << 31


END = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def bound(seconds: float, pod: str, node: str) -> str:
    return audit(seconds, "create", "pods/binding", pod, {"target": {"name": node}}, code=201)


def ended(seconds: float, name: str) -> str:
    return audit(seconds, "update", "jobs/status", name, END, group="batch")


LINES = [
    created(0, "job3", "batch"),
    bound(1, "job3-0-aaaaa", "compute1"),
    bound(2, "job3-1-bbbbb", "compute2"),
    ended(3, "job3"),
]


def pods(*rows: tuple[str, int]) -> str:
    """Objects with pods that ended, each with a name and an exit code."""
    items = [
        {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "spec": {
                "nodeName": "compute1",
                "containers": [{"resources": {"requests": {"cpu": "500m"}}}],
            },
            "status": {"containerStatuses": [{"state": {"terminated": {"exitCode": code}}}]},
        }
        for name, code in rows
    ]
    return json.dumps({"items": items})


def k8s(lines: list[str], objects: str = "") -> Any:
    text = "".join(f"{line}\n" for line in lines)
    return kubernetes.jobs(text, objects, kubernetes.BATCH, {"job3": 2}).get("job3")


def test_a_replaced_pod_makes_instants_null_never_wrong() -> None:
    assert k8s(LINES).allocated is not None
    # Rank 0 is bound twice and rank 1 never, so the whole job is not allocated.
    assert (
        k8s([LINES[0], LINES[1], bound(2, "job3-0-ccccc", "compute3"), LINES[3]]).allocated is None
    )
    job = k8s([*LINES[:3], bound(2.5, "job3-1-ddddd", "compute3"), LINES[3]])
    assert (job.allocated, job.placement) == (None, [])
    # Volcano's replaced pods have the same name.
    volcano = [LINES[0], *(bound(at, "job3-rank-0", "compute1") for at in (1, 2)), LINES[2]]
    assert k8s(volcano).allocated is None
    job = k8s(LINES, pods(("job3-0-aaaaa", 137), ("job3-0-ccccc", 0), ("job3-1-bbbbb", 0)))
    assert (job.state, job.exit_code) == ("COMPLETED", None)


def test_a_log_that_was_rotated_is_right_or_null() -> None:
    whole = k8s(LINES)
    for first in range(1, len(LINES)):
        job = k8s(LINES[first:])
        assert (job.accepted, job.allocated, job.completed) == (None, None, None)
    text = "".join(f"{line}\n" for line in LINES)
    for end in range(0, len(text), 7):
        job = kubernetes.jobs(text[:end], "", kubernetes.BATCH, {"job3": 2}).get("job3")
        for name in ("accepted", "allocated", "completed", "exit_code"):
            assert job is None or getattr(job, name) in {None, getattr(whole, name)}


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("9" * 400),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values within nested mappings and lists."""
    found = [path] if path else []
    items = dict(enumerate(value)) if isinstance(value, list) else value
    for key, entry in items.items() if isinstance(items, dict) else ():
        found += places(entry, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    return put(json.loads(json.dumps(value)), path, to)


@BOUNDED
@given(st.data())
def test_kubernetes_parsers_take_any_shape(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    event = json.loads(LINES[number])
    path = data.draw(st.sampled_from(places(event)))
    lines = [*LINES]
    lines[number] = json.dumps(changed(event, path, data.draw(VALUES)))
    objects = json.loads(pods(("job3-0-aaaaa", 0), ("job3-1-bbbbb", 0)))
    path = data.draw(st.sampled_from(places(objects)))
    torn = json.dumps(changed(objects, path, data.draw(VALUES)))
    try:
        k8s(lines, torn)
        requests("\n".join(lines), (0, 2**62))
    except SchedlabError as error:
        assert error.remedy


FLUX_R = flux_made.resources("compute[1-2]", "1-2", "0-1")
FLUX_PLAYED = {"start": 0.2, "duration": 1.1}
FLUX_LOG = flux_made.log_line(7, flux_made.ended(3 << 8), FLUX_R, FLUX_PLAYED)
FLUX_JOURNAL = flux_made.journal_lines(7, flux_made.ended(3 << 8), FLUX_R, FLUX_PLAYED)


def test_every_cut_of_fluxs_records_is_right_or_null() -> None:
    whole = flux.jobs(FLUX_JOURNAL, "")["7"]
    assert (whole.exit_code, whole.cpus, whole.placement) == (3, 4, ["compute1", "compute2"])
    for end in range(0, len(FLUX_JOURNAL), 7):
        known = flux.jobs(FLUX_JOURNAL[:end], "").get("7")
        for name in ("accepted", "allocated", "completed", "exit_code", "cpus"):
            assert known is None or getattr(known, name) in {None, getattr(whole, name)}
    for end in range(0, len(FLUX_LOG) - 1, 7):
        assert flux.jobs("", FLUX_LOG[:end]) == {}, "a torn line is not taken"


def test_a_resource_set_of_millions_is_no_placement() -> None:
    for found in (
        flux_made.resources("n[1-99999999]", "1", "0"),
        flux_made.resources("n1", "1-99999999", "0"),
        flux_made.resources("n1", "1", "0-99999999"),
    ):
        assert flux.placement(found) == ([], None)


@BOUNDED
@given(st.text(), st.text(), st.text())
def test_fluxs_parsers_take_any_text(journal: str, logs: str, facts: str) -> None:
    flux.jobs(journal, logs)
    flux.phases(logs)
    flux.counters(flux.facts(facts)["statistics"])
    flux_parity.manifest(flux_parity.settings(flux.facts(facts)))


FACTS = {
    "versions": {"flux-core": "0.88.0"},
    "configuration": {
        "modules": {"sched-simple": {"args": ["queue-depth=16"]}},
        "schedlab": {"virtual": {"nodes": 8, "carriers": 1, "delays": "none"}},
    },
    "parameters": {"sched-fluxion-resource": {"params": {"policy": "first"}}},
    "statistics": {
        "sched-fluxion-qmanager": {"queues": {"default": {"policy": "easy", "queue_depth": 32}}}
    },
}


@BOUNDED
@given(st.data())
def test_fluxs_parsers_take_any_shape(data: st.DataObject) -> None:
    def torn(value: Any) -> Any:
        return changed(value, data.draw(st.sampled_from(places(value))), data.draw(VALUES))

    journal = FLUX_JOURNAL.splitlines()
    number = data.draw(st.integers(0, len(journal) - 1))
    journal[number] = json.dumps(torn(json.loads(journal[number])))
    logs = json.dumps(torn(json.loads(FLUX_LOG)))
    flux.phases(logs)
    for job in flux.jobs("\n".join(journal), logs).values():
        assert len(job.placement) <= MOST_NODES
        assert job.exit_code is None or 0 <= job.exit_code <= 255
        assert job.cpus is None or job.cpus <= MOST_NODES * flux.MOST_CORES
        for name in ("accepted", "allocated", "completed"):
            instant = getattr(job, name)
            assert instant is None or 0 < instant < 1 << 63
        for times in job.ranks.values():
            assert all(instant is None or 0 < instant < 1 << 63 for instant in times)
    found = flux.facts(json.dumps(torn(FACTS)))
    flux.counters(found["statistics"])
    flux_parity.manifest(flux_parity.settings(found))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        '{"a":' * 5000 + "1" + "}" * 5000,
        "9" * 5000,
        "-" + "9" * 21,
        "1e999",
        "NaN",
        "[Infinity]",
        '"\\ud800"',
        b"\xff\xfe1\x00",
    ],
)
def test_json_is_bounded(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
    assert parse_json('{"a": ["\\ud83d\\ude00", 1.5, -9223372036854775808]}')
