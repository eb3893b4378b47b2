"""Slices of a trace by windows of time, and windows chosen by load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from swf_factory import HEADER, NASA, line

from schedlab.errors import SchedlabError
from schedlab.swf.table import read_table
from schedlab.swf.windows import representative
from schedlab.workloads import Machine, workload_from
from schedlab.workloads.swf import Representative, Select, Swf

HOUR = 3600.0
MACHINE = Machine(1, 2)


def hours(folder: Path, count: int = 12) -> Path:
    """A job in each hour: that of hour h keeps the 128 processors busy for h minutes."""
    lines = [
        line(h + 1, submit=HOUR * h, runtime=60 * h, processors=128, status=1) for h in range(count)
    ]
    path = folder / "t.swf"
    path.write_text(HEADER + "".join(lines))
    return path


def swf(**fields: Any) -> Swf:
    return Swf(name="s", file="t.swf", shake=0.0, time_scale=1.0, **fields)


def test_a_window_has_all_its_jobs_and_no_other(tmp_path: Path) -> None:
    hours(tmp_path)
    workload = swf(select=Select(first=2 * HOUR, length=3 * HOUR))
    trace = workload.generate(MACHINE, 1, tmp_path)
    assert [(job.arrival, job.runtime) for job in trace.jobs] == [
        (0.0, 120.0), (HOUR, 180.0), (2 * HOUR, 240.0),
    ]  # fmt: skip
    [window] = trace.scale["windows"]
    assert window == {
        "first": 2 * HOUR, "length": 3 * HOUR, "load": pytest.approx(9 / 180),
    }  # fmt: skip
    assert trace.scale["first_traced_job"] == 3


def test_windows_are_of_light_usual_and_heavy_load(tmp_path: Path) -> None:
    hours(tmp_path, 13)  # the last hour is no whole window
    of = Representative(windows=3, length=HOUR)
    trace = swf(representative=of).generate(MACHINE, 1, tmp_path)
    loads = [round(window["load"] * 60) for window in trace.scale["windows"]]
    assert loads[0] in range(4) and loads[1] in range(4, 8) and loads[2] in range(8, 12)
    assert [job.arrival for job in trace.jobs] == [0.0, HOUR, 2 * HOUR]
    # Repetitions replay the same windows; another seed of the choice gives others.
    assert swf(representative=of).generate(MACHINE, 2, tmp_path).jobs == trace.jobs
    chosen = {
        tuple(w.first for w in representative(read_table(tmp_path / "t.swf"), 128, 3, HOUR, seed))
        for seed in range(20)
    }
    assert len(chosen) > 5


def test_a_log_of_far_more_windows_than_jobs_fits_in_memory(tmp_path: Path) -> None:
    """One number for each second of the log would be 8 PB."""
    path = tmp_path / "t.swf"
    path.write_text(HEADER + "".join(line(n, submit=10**15 * n) for n in range(4)))
    found = representative(read_table(path), 128, 3, 1.0, 1)
    assert [window.first for window in found] == [0.0, 1e15, 2e15]


def test_windows_are_not_shorter_than_the_unit_of_the_log() -> None:
    for of in (Select, Representative):
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            of(length=1e-6)


def test_windows_without_jobs_are_not_chosen(tmp_path: Path) -> None:
    path = tmp_path / "t.swf"
    path.write_text(HEADER + "".join(line(n, submit=10 * HOUR * n) for n in range(4)))
    found = representative(read_table(path), 128, 3, HOUR, 1)
    assert [window.first for window in found] == [0.0, 10 * HOUR, 20 * HOUR]


def test_only_the_lines_of_a_window_are_validated(tmp_path: Path) -> None:
    path = hours(tmp_path)
    path.write_text(path.read_text() + line(99, submit=11 * HOUR + 5, runtime="x"))
    early, late = (swf(select=Select(first=h * HOUR, length=HOUR)) for h in (3, 11))
    assert early.problems([MACHINE], tmp_path) == []
    [problem] = late.problems([MACHINE], tmp_path)
    assert "field 4" in problem.what


@pytest.mark.parametrize("submit", ["x", "-1", "nan", "1e400"])
def test_a_line_without_a_submission_that_can_be_read_is_refused_in_every_window(
    tmp_path: Path, submit: str
) -> None:
    path = hours(tmp_path)
    whole = path.read_text()
    path.write_text(whole + line(99, submit=submit))
    [problem] = swf(select=Select(first=3 * HOUR, length=HOUR)).problems([MACHINE], tmp_path)
    assert f"field 2 (submit time) = '{submit}'" in problem.what
    # Lines that no replay uses are not validated.
    path.write_text(whole + line(99, submit=submit, status=2))
    assert not swf(select=Select(first=3 * HOUR, length=HOUR)).problems([MACHINE], tmp_path)


@pytest.mark.parametrize(
    ("fields", "key", "what"),
    [
        ({"select": Select(length=HOUR), "jobs": 3}, "select", "given beside jobs"),
        (
            {"select": Select(length=HOUR), "representative": Representative()},
            "select",
            "given beside representative",
        ),
        ({"select": Select(first=1e8, length=HOUR)}, "file", "has no usable job from 1e+08 s"),
        (
            {"representative": Representative(windows=12, length=HOUR)},
            "file",
            "has 11 whole windows of 3600 s with usable jobs, 12 are wanted",
        ),
    ],
)
def test_windows_that_cannot_be(tmp_path: Path, fields: Any, key: str, what: str) -> None:
    hours(tmp_path)
    [problem] = swf(**fields).problems([MACHINE], tmp_path)
    assert problem.key == key and what in problem.what and problem.remedy


def test_a_window_of_too_many_jobs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours(tmp_path)
    monkeypatch.setattr("schedlab.workloads.swf.MOST_JOBS", 5)
    with pytest.raises(SchedlabError, match="brings the replay to 12 usable jobs, 5 are the most"):
        swf(select=Select(length=12 * HOUR)).generate(MACHINE, 1, tmp_path)


def test_a_workload_with_windows_survives_its_specification() -> None:
    workload = swf(representative=Representative(windows=2, length=60.0))
    assert workload_from(json.loads(workload.model_dump_json())) == workload


@pytest.mark.skipif(not NASA.is_file(), reason=f"real trace absent: {NASA} (set SCHEDLAB_TRACES)")
def test_days_of_the_real_trace_have_different_loads() -> None:
    found = representative(read_table(NASA), 128, 3, 86_400.0, 1)
    assert found[0].first < found[1].first < found[2].first
    loads = sorted(window.load for window in found)
    assert loads[0] < 0.4 < loads[2] < 1.0
