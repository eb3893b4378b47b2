"""The neutral trace and the synthetic kinds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schedlab.errors import SchedlabError
from schedlab.workloads import KINDS, Job, Machine, Trace, read_trace
from schedlab.workloads.background import Background
from schedlab.workloads.burst import Burst
from schedlab.workloads.duration import earliest_end
from schedlab.workloads.gang import Gang
from schedlab.workloads.poisson import Poisson
from schedlab.workloads.regular import Regular

ONE, TWO, THREE = Machine(1, 2), Machine(2, 2), Machine(3, 4)


def test_every_kind_is_registered_by_its_module() -> None:
    assert set(KINDS) == {
        "array", "burst", "constant", "daily", "esp", "fairness", "gang", "lublin", "mix",
        "poisson", "priority", "regular", "saturate", "starvation", "swf",
    }  # fmt: skip


def test_burst_is_equal_jobs_at_once() -> None:
    trace = Burst(name="b", jobs=4, runtime=0).generate(TWO, 1)
    assert [(j.job, j.arrival, j.nodes, j.cpus, j.runtime) for j in trace.jobs] == [
        (n, 0.0, 1, 1, 0.0) for n in range(4)
    ]
    assert trace.scale == {"bounded_slowdown_threshold": 10.0}


def test_jobs_have_the_walltime_that_their_workload_gives() -> None:
    usual = Gang(name="g", jobs=4, runtime=5.0).generate(TWO, 1).jobs
    given = Gang(name="g", jobs=4, runtime=5.0, walltime=600).generate(TWO, 1).jobs
    assert {job.walltime for job in usual} == {70.0}
    assert given == tuple(replace(job, walltime=600.0) for job in usual)
    workload = Burst(
        name="b", jobs=1, runtime=1, walltime=99, background=Background(filled="50 %", pending=1)
    )
    limits = {job.background: job.walltime for job in workload.generate(TWO, 1).jobs}
    assert limits[False] == 99.0 < limits[True]


def test_a_walltime_that_would_end_every_job_early_is_refused() -> None:
    with pytest.raises(SchedlabError, match="runs 90 s, longer than its walltime of 60 s") as error:
        Burst(name="b", jobs=4, runtime=90, walltime=60).generate(TWO, 1)
    assert error.value.remedy == "set walltime to 90 or more"


def test_poisson_is_seeded_and_has_its_rate() -> None:
    workload = Poisson(name="p", jobs=2000, rate=4.0)
    trace = workload.generate(TWO, 7)
    assert trace == workload.generate(TWO, 7)
    assert trace != workload.generate(TWO, 8)
    assert trace.jobs[0].arrival == 0.0
    # Mean of 1999 gaps of mean 0.25 s and as large a deviation: 5 standard errors are 0.028 s.
    assert trace.jobs[-1].arrival / 1999 == pytest.approx(0.25, abs=0.028)


def test_regular_arrivals_have_equal_gaps() -> None:
    jobs = Regular(name="r", jobs=5, rate=4.0, sizes=[1, 4]).generate(TWO, 7).jobs
    assert [job.arrival for job in jobs] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_poisson_sizes_do_not_move_arrivals() -> None:
    plain = Poisson(name="p", jobs=50).generate(TWO, 7)
    mixed = Poisson(name="p", jobs=50, sizes=[1, 4]).generate(TWO, 7)
    assert [job.arrival for job in plain.jobs] == [job.arrival for job in mixed.jobs]
    assert {(job.nodes, job.cpus) for job in mixed.jobs} == {(1, 1), (2, 2)}


@pytest.mark.parametrize(
    ("machine", "whole", "half"),
    [
        (ONE, (1, 2), (1, 1)),
        (TWO, (2, 2), (1, 2)),
        (THREE, (3, 4), (2, 4)),
        (Machine(1, 1), (1, 1), (1, 1)),
        (Machine(1, 3), (1, 3), (1, 2)),
    ],
)
def test_gang_alternates_whole_and_half(
    machine: Machine, whole: tuple[int, int], half: tuple[int, int]
) -> None:
    trace = Gang(name="g", jobs=4, runtime=1.0, interval=0.5).generate(machine, 1)
    assert [(job.nodes, job.cpus) for job in trace.jobs] == [whole, half, whole, half]
    assert [job.arrival for job in trace.jobs] == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("cores", "shape"), [(1, (1, 1)), (2, (1, 2)), (4, (1, 4)), (5, (2, 3)), (12, (3, 4))]
)
def test_shape_of_a_job(cores: int, shape: tuple[int, int]) -> None:
    assert THREE.shape(cores) == shape


@pytest.mark.parametrize("cores", [0, 13])
def test_shape_that_does_not_fit(cores: int) -> None:
    with pytest.raises(ValueError):
        THREE.shape(cores)


def test_trace_survives_its_file_in_the_same_bytes(tmp_path: Path) -> None:
    trace = Poisson(name="p", jobs=9, rate=0.3).generate(TWO, 7)
    trace.write(tmp_path / "a" / "t.json")
    again = read_trace(tmp_path / "a" / "t.json")
    assert again == trace
    again.write(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a" / "t.json").read_bytes()
    data = json.loads((tmp_path / "b.json").read_text())
    assert data["schema"] == "schedlab.trace/1"
    assert list(data["jobs"][0]) == [
        "arrival", "cpus", "job", "nodes", "priority", "runtime", "user", "walltime"
    ]  # fmt: skip


def test_what_few_jobs_have_is_in_the_file_only_where_a_job_has_it(tmp_path: Path) -> None:
    jobs = (
        Job(0, 0, 1, 1, 1.0, array=3),
        Job(1, 0, 1, 1, 1.0, array=3),
        Job(2, 1.0, 1, 1, 1.0, after=(0, 1), think=0.5),
        Job(3, 1.0, 1, 1, 1.0, background=True),
    )
    trace = Trace("w", "burst", 1, TWO, jobs)
    trace.write(tmp_path / "t.json")
    assert read_trace(tmp_path / "t.json") == trace
    rows = json.loads((tmp_path / "t.json").read_text())["jobs"]
    assert [row.get("after") for row in rows] == [None, None, [0, 1], None]
    assert [row.get("array") for row in rows] == [3, 3, None, None]


def test_a_chain_of_jobs_cannot_end_before_the_sum_of_its_runtimes() -> None:
    jobs = (
        Job(0, 0, 1, 1, 5.0),
        Job(1, 0, 1, 1, 5.0, after=(0,)),
        Job(2, 11.0, 1, 1, 1.0, after=(1,), think=3.0),
    )
    bound = earliest_end(Trace("w", "burst", 1, TWO, jobs))
    assert bound.seconds == 14.0
    assert "after job 1" in bound.why


@pytest.mark.parametrize(
    ("jobs", "what"),
    [
        ([], "no jobs"),
        ([Job(1, 0, 1, 1, 0)], "job numbers"),
        ([Job(0, 0, 1, 1, 0), Job(0, 0, 1, 1, 0)], "job numbers"),
        ([Job(0, 5, 1, 1, 0), Job(1, 4, 1, 1, 0)], "arrives at 4"),
        ([Job(0, -1, 1, 1, 0)], "arrives at -1"),
        ([Job(0, float("nan"), 1, 1, 0)], "arrives at nan"),
        ([Job(0, 0, 1, 1, -1)], "runtime -1"),
        ([Job(0, 0, 1, 1, 90)], "walltime 60.0 s for a runtime of 90"),
        ([Job(0, 0, 3, 1, 0)], "wants 3 of 2 nodes"),
        ([Job(0, 0, 1, 0, 0)], "wants 0 of 2 processors"),
        ([Job(0, 0, 1, 1, 0, after=(1,)), Job(1, 0, 1, 1, 0)], "job 0 runs after job 1"),
        ([Job(0, 0, 1, 1, 0, after=(0,))], "job 0 runs after job 0"),
        ([Job(0, 0, 1, 1, 0, think=1.0)], "after the end of no job"),
        ([Job(0, 0, 1, 1, 0, array=0), Job(1, 0, 1, 2, 0, array=0)], "job 1 differs from job 0"),
        (
            [Job(0, 0, 1, 1, 0, array=0), Job(1, 0, 1, 1, 0), Job(2, 0, 1, 1, 0, array=0)],
            "job 2 does not follow",
        ),
        ([Job(0, 0, 1, 1, 0, background=True)], "no jobs"),
    ],
)
def test_unsound_traces_are_refused(jobs: list[Job], what: str) -> None:
    with pytest.raises(SchedlabError, match=what):
        Trace("w", "burst", 1, TWO, tuple(jobs))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schema": "schedlab.trace/0"}, "schema"),
        ({"jobs": [{"job": 0}]}, "missing or unknown keys"),
        ({"machine": {"nodes": 1}}, "not a trace"),
    ],
)
def test_files_of_another_form_are_refused(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    path = tmp_path / "t.json"
    data = Burst(name="b").generate(ONE, 1).to_dict() | change
    path.write_text(json.dumps(data))
    with pytest.raises(SchedlabError, match=what):
        read_trace(path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_files_that_are_no_trace(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(SchedlabError, match=r"t\.json"):
        read_trace(path)
