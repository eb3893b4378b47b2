"""Dependencies of an archive's jobs: its fields `preceding job` and `think time`."""

from __future__ import annotations

from pathlib import Path

import pytest
from swf_factory import line, write

from schedlab.errors import SchedlabError
from schedlab.workloads import Machine


@pytest.mark.parametrize("of", ["scheduler", "users"])
def test_dependencies_on_no_earlier_job_are_told(tmp_path: Path, of: str) -> None:
    workload = write(
        tmp_path,
        line(1, submit=0, preceding=2),
        line(2, submit=10, preceding=1),
        line(3, submit=20, preceding=3),
        line(4, submit=30, preceding=99),
    )
    asked = workload.model_copy(update={"dependencies": of})
    scale = asked.generate(Machine(2, 2), 1, tmp_path).scale
    assert scale["jobs_with_dependency_ignored"] == 3
    assert scale["jobs_with_dependency_on_no_earlier_job"] == 2
    ignored = workload.generate(Machine(2, 2), 1, tmp_path).scale
    assert "jobs_with_dependency_on_no_earlier_job" not in ignored


@pytest.mark.parametrize("of", ["scheduler", "users"])
@pytest.mark.parametrize("numbers", [(-1, -1, -1), (-1, 2, 3)])
def test_no_job_waits_for_a_number_that_is_unknown(
    tmp_path: Path, of: str, numbers: tuple[int, ...]
) -> None:
    """-1 is no preceding job, and no number of one."""
    lines = [line(number, submit=place, think=7) for place, number in enumerate(numbers)]
    workload = write(tmp_path, *lines).model_copy(update={"dependencies": of})
    trace = workload.generate(Machine(4, 16), 1, tmp_path)
    assert not any(job.after for job in trace.jobs)
    assert trace.scale["jobs_with_dependency_ignored"] == 0
    assert "jobs_with_dependency_on_no_earlier_job" not in trace.scale


def test_dependencies_on_a_job_of_number_0_are_none_that_are_ignored(tmp_path: Path) -> None:
    lines = [line(0), line(1, submit=1, preceding=0), line(2, submit=2, preceding=9)]
    workload = write(tmp_path, *lines).model_copy(update={"dependencies": "scheduler"})
    trace = workload.generate(Machine(4, 16), 1, tmp_path)
    assert [job.after for job in trace.jobs] == [(), (0,), ()]
    assert trace.scale["jobs_with_dependency_ignored"] == 1


def test_preceding_jobs_are_an_option(tmp_path: Path) -> None:
    workload = write(
        tmp_path,
        line(1, submit=0, runtime=100),
        line(2, submit=10, preceding=1, think=50),
        line(3, submit=20, preceding=99),
        line(4, submit=30, preceding=2),
    )
    told = workload.model_copy(update={"dependencies": "scheduler"})
    trace = told.generate(Machine(2, 2), 1, tmp_path)
    assert [(job.job, job.arrival, job.after, job.think) for job in trace.jobs] == [
        (0, 0.0, (), None), (1, 1.0, (0,), None), (2, 2.0, (), None), (3, 3.0, (1,), None),
    ]  # fmt: skip
    assert trace.scale["jobs_with_dependency_ignored"] == 1
    # Job 1 lasts 10 s, then its user thinks for 5 s; job 2 ends at 25 s at the earliest.
    users = workload.model_copy(update={"dependencies": "users"})
    trace = users.generate(Machine(2, 2), 1, tmp_path)
    assert [(job.job, job.arrival, job.after, job.think) for job in trace.jobs] == [
        (0, 0.0, (), None), (2, 2.0, (), None), (1, 15.0, (0,), 5.0), (3, 25.0, (1,), 0.0),
    ]  # fmt: skip
    assert not any(job.after for job in workload.generate(Machine(2, 2), 1, tmp_path).jobs)


@pytest.mark.parametrize("word", ["x", "nan", "1e300"])
def test_think_times_are_checked_only_where_users_wait_for_them(tmp_path: Path, word: str) -> None:
    lines = [
        line(1, submit=0, think="y"),
        line(2, submit=10, preceding=9, think="z"),
        line(3, submit=20, preceding=1, think=word),
    ]
    workload = write(tmp_path, *lines)
    told = workload.model_copy(update={"dependencies": "scheduler"})
    assert not workload.problems([], tmp_path) and not told.problems([], tmp_path)
    assert [job.after for job in told.generate(Machine(2, 2), 1, tmp_path).jobs] == [(), (), (0,)]
    users = workload.model_copy(update={"dependencies": "users"})
    (problem,) = users.problems([], tmp_path)
    assert f"t.swf:8: field 18 (think time) = '{word}': not a number in range" in problem.what
    assert "write -1 where it is unknown" in problem.remedy
    with pytest.raises(SchedlabError, match="field 18"):
        users.generate(Machine(2, 2), 1, tmp_path)


def test_a_preceding_job_has_one_meaning_where_it_is_followed(tmp_path: Path) -> None:
    workload = write(
        tmp_path,
        line(1, submit=0),
        line(1, submit=5),
        line(2, submit=10, preceding=1),
        line(3, submit=20, preceding=2),
    )
    assert not workload.problems([Machine(2, 2)], tmp_path)
    scale = workload.generate(Machine(2, 2), 1, tmp_path).scale
    assert scale["jobs_with_number_of_another"] == 1
    for of in ("scheduler", "users"):
        [problem] = workload.model_copy(update={"dependencies": of}).problems([], tmp_path)
        assert "t.swf:8: field 17 (preceding job) = '1': lines 6 and 7 have" in problem.what
        assert "dependencies: ignore" in problem.remedy
